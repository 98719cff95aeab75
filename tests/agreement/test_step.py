"""Whole training steps of the zoo equal Algorithm 1 of the reference: same weights, same masks, float64.

The model is the reference's own small classifier, written once more in PyTorch. The random numbers of the
reference's masks are drawn ahead and handed to the zoo in the shapes and order in which it asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uegr_ref import algorithm1 as reference
from uegr_ref.model import initialise
from zoo.core.batch import Batch
from zoo.method.contract import TextClassifier
from zoo.method.dropout import AdaptiveDropout
from zoo.method.step import prepare, train_step
from zoo.recipes import Recipe

WORDS, DIMENSIONS, HIDDEN, CLASSES = 12, 5, 6, 3
REST = DIMENSIONS * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES  # entries outside the table
ORDER = ("embedding", "hidden_weight", "hidden_bias", "output_weight", "output_bias")


class Small(TextClassifier):
    """The classifier of uegr_ref/model.py: mean pooling, one tanh layer, two dropout sites."""

    default_sites = ("embedding", "hidden")
    head_sites = ("hidden",)

    def __init__(self, parameters: dict[str, np.ndarray]) -> None:
        super().__init__(WORDS, DIMENSIONS)
        self.embedding.weight = nn.Parameter(torch.tensor(parameters["embedding"]))
        for name in ORDER[1:]:
            setattr(self, name, nn.Parameter(torch.tensor(parameters[name])))
        self.sites["embedding"] = AdaptiveDropout(DIMENSIONS)
        self.sites["hidden"] = AdaptiveDropout(HIDDEN)
        self.double()

    def trunk(self, vectors: Tensor, mask: Tensor) -> Tensor:
        dropped = self.sites["embedding"](vectors, mask) * mask[:, :, None]
        pooled = dropped.sum(1) / mask.sum(1).clamp_min(1)[:, None]
        return torch.tanh(pooled @ self.hidden_weight + self.hidden_bias)

    def head(self, features: Tensor) -> Tensor:
        return self.sites["hidden"](features) @ self.output_weight + self.output_bias

    def numpy(self) -> dict[str, np.ndarray]:
        return {
            name: (self.embedding.weight if name == "embedding" else getattr(self, name)).detach().numpy()
            for name in ORDER
        }


class Noise:
    """Serves the reference's random numbers of one step to the zoo."""

    def __init__(self, rng: np.random.Generator, batch: Batch, passes: int) -> None:
        dropout_rng, self.mask_rng = rng.spawn(2)
        rows, length = batch.tokens.shape
        draws = [
            (dropout_rng.random((rows, length, DIMENSIONS)), dropout_rng.random((rows, HIDDEN)))
            for _ in range(1 + passes)
        ]
        self.queue = {
            site: iter([draws[0][i], *([np.concatenate([d[i] for d in draws[1:]])] if passes else [])])
            for i, site in enumerate(("embedding", "hidden"))
        }
        self.touched = batch.tokens.unique().numpy()

    def site(self, name: str):
        return lambda shape, like: torch.tensor(next(self.queue[name])).reshape(shape)

    def update(self, like: Tensor) -> Tensor:
        """The model lists its own parameters first, the table last; of the table, only touched rows ask."""
        noise = self.mask_rng.random(WORDS * DIMENSIONS + REST)
        table = noise[: WORDS * DIMENSIONS].reshape(WORDS, DIMENSIONS)
        if len(like) < len(noise):
            table = table[self.touched]
        return torch.tensor(np.concatenate([noise[WORDS * DIMENSIONS :], table.ravel()]))


def texts(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([5, 2, 7, 1])
    mask = torch.arange(7) < lengths[:, None]
    tokens = torch.randint(1, WORDS, (4, 7), generator=generator) * mask
    return Batch(tokens, mask, torch.randint(0, CLASSES, (4,), generator=generator), torch.arange(4))


UEGR = Recipe(adversarial=2, divergence="js", dropout="mean", update="selective", base_rates=(0.2, 0.3, 0.1))
CASES: dict[str, tuple[Recipe, dict[str, object]]] = {
    "uegr": (UEGR, {"base_rates": (0.3, 0.1)}),
    "standard": (Recipe(), {"base_rates": (), "dropout": "uniform", "clean_rate": 0.0, "selective": False}),
    "dropout": (Recipe(dropout="uniform", base_rates=(0.2,)),
                {"base_rates": (), "dropout": "uniform", "selective": False}),
    "at": (Recipe(adversarial=1, dropout="uniform"),
           {"base_rates": (0.2,), "dropout": "uniform", "selective": False}),
    "r_at": (Recipe(adversarial=2, divergence="sym_kl", dropout="uniform"),
             {"base_rates": (0.2, 0.2), "dropout": "uniform", "consistency": "sym_kl", "selective": False}),
    "r_at_su": (Recipe(adversarial=2, divergence="sym_kl", dropout="uniform", update="selective"),
                {"base_rates": (0.2, 0.2), "dropout": "uniform", "consistency": "sym_kl"}),
    "three passes": (Recipe(adversarial=3, divergence="js", dropout="mean", update="selective"),
                     {"base_rates": (0.2,) * 3}),
    "rank dropout": (Recipe(adversarial=2, divergence="js", dropout="rank", update="selective"),
                     {"base_rates": (0.2,) * 2, "dropout": "rank"}),
    "logistic dropout": (Recipe(adversarial=2, divergence="js", dropout="logistic", update="selective"),
                         {"base_rates": (0.2,) * 2, "dropout": "logistic"}),
    "fgm": (Recipe(adversarial=2, divergence="js_pairwise", dropout="mean", update="selective", attack="fgm"),
            {"base_rates": (0.2,) * 2, "attack": "fgm", "consistency": "js_pairwise"}),
    "token_linf": (Recipe(adversarial=2, divergence="js", dropout="mean", attack="token_linf"),
                   {"base_rates": (0.2,) * 2, "attack": "token_linf", "selective": False}),
    "log_minmax": (Recipe(adversarial=2, divergence="js", dropout="mean", update="selective",
                          normalise="log_minmax"), {"base_rates": (0.2,) * 2, "normalisation": "log_minmax"}),
    "min-max, ema": (Recipe(adversarial=2, divergence="js", dropout="mean", update="selective",
                            normalise="minmax", saliency="ema", p_floor=0.2),
                     {"base_rates": (0.2,) * 2, "normalisation": "minmax", "saliency_decay": 0.9,
                      "p_floor": 0.2}),
    "no rescaling": (Recipe(adversarial=2, divergence="js", dropout="mean", update="selective",
                            rescale=False, threshold=0.9, sharpness=5.0),
                     {"base_rates": (0.2,) * 2, "rescale": False, "a": 0.9, "b": 5.0}),
}  # fmt: skip


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("case", CASES)
def test_steps_equal_algorithm_1(case: str, optimizer: str) -> None:
    recipe, options = CASES[case]
    weights = initialise(WORDS, DIMENSIONS, HIDDEN, CLASSES, np.random.default_rng(5))
    model = Small(weights)
    model.train()
    trainee = prepare(model, recipe)
    rate = 0.05
    if optimizer == "sgd":
        steps_with: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    else:
        matrices = [p for p in model.parameters() if p.dim() > 1]
        vectors = [p for p in model.parameters() if p.dim() == 1]
        groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
        steps_with = torch.optim.AdamW(groups, lr=rate)
    batches = [texts(seed) for seed in range(4)]
    settings = reference.Settings(
        **{"clean_rate": 0.2, **options}, alpha=recipe.alpha, optimizer=optimizer, learning_rate=rate
    )
    noise_rng = np.random.default_rng(9)
    for batch, (state, report) in zip(
        batches,
        reference.algorithm1(weights, numpy_batches(batches), settings, np.random.default_rng(9)),
        strict=True,
    ):
        noise = Noise(noise_rng, batch, recipe.adversarial)
        for name, site in trainee.sites.active.items():
            site.noise = noise.site(name)  # type: ignore[method-assign]
        if trainee.selective is not None:
            trainee.selective.uniform = noise.update  # type: ignore[method-assign]
        record = train_step(trainee, batch, steps_with)
        assert float(record["loss_clean"]) == pytest.approx(report.clean, abs=1e-10)
        assert float(record["loss"]) == pytest.approx(report.total, abs=1e-10)
        if recipe.adversarial:
            assert float(record["loss_adversarial"]) == pytest.approx(report.adversarial, abs=1e-10)
            assert float(record["perturbation"]) == pytest.approx(report.perturbation, abs=1e-10)
        if "divergence" in record:
            assert float(record["divergence"]) == pytest.approx(report.consistency, abs=1e-10)
        if trainee.selective is not None:
            assert float(record["kept_share"]) == pytest.approx(report.kept, abs=1e-7)
        for (name, site), rates in zip(trainee.sites.active.items(), report.rates, strict=True):
            if recipe.dropout != "none":
                assert site.plan is not None
                np.testing.assert_allclose(site.plan[-1].numpy(), rates, rtol=0, atol=1e-10, err_msg=name)
        for name, value in model.numpy().items():
            np.testing.assert_allclose(value, state.parameters[name], rtol=0, atol=1e-10, err_msg=name)
    moved = max(np.abs(model.numpy()[name] - weights[name]).max() for name in ORDER)
    assert moved > 1e-3, "four steps must have moved the weights, else nothing was compared"


def numpy_batches(batches: list[Batch]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for batch in batches:
        yield batch.tokens.numpy(), batch.mask.numpy(), batch.labels.numpy()
