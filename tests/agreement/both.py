"""Train the zoo and the reference side by side: same weights, same masks, float64.

The model is the reference's own small classifier, written once more in PyTorch. The random numbers of the
reference's masks are drawn ahead and handed to the zoo in the shapes and order in which it asks for them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uegr_ref.algorithm1 import algorithm1
from uegr_ref.model import initialise
from uegr_ref.settings import Settings
from zoo.core.batch import Batch
from zoo.method.contract import TextClassifier
from zoo.method.dropout import AdaptiveDropout
from zoo.method.recipe import Recipe
from zoo.method.step import prepare, train_step
from zoo.training.optim import make_optimizer, make_schedule
from zoo.training.settings import TrainSettings

WORDS, DIMENSIONS, HIDDEN, CLASSES = 12, 5, 6, 3
REST = DIMENSIONS * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES  # entries outside the table
ORDER = ("embedding", "hidden_weight", "hidden_bias", "output_weight", "output_bias")
TOLERANCE = 1e-10
TRAINING = TrainSettings(learning_rate=0.05)

# Settings of the zoo that the reference lacks: where each is compared with a slow form instead.
LEFT_OUT = {
    "clean": "R-Drop's two clean passes: test_options.py",
    "sites": "which dropout sites are used: tests/zoo/method/test_late_repeat.py",
    "statistic": "attribution: test_options.py",
    "statistic_scope": "rates by example: test_options.py",
    "update_scope": "encoder: tests/zoo/method/test_honest.py",
}


def reference_settings(flat: Mapping[str, Any], **own: Any) -> Settings:
    """The reference's settings of the same names; `own` are those that only the reference has."""
    return Settings(**{name: value for name, value in flat.items() if name not in LEFT_OUT}, **own)


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
    """Serves the reference's random numbers of one step to the zoo.

    The clean pass and each further step of PGD ask for one pass's numbers, the adversarial passes for all of
    theirs at once.
    """

    def __init__(self, rng: np.random.Generator, batch: Batch, alone: int, together: int) -> None:
        dropout_rng, self.mask_rng = rng.spawn(2)
        rows, length = batch.tokens.shape
        draws = [
            (dropout_rng.random((rows, length, DIMENSIONS)), dropout_rng.random((rows, HIDDEN)))
            for _ in range(alone + together)
        ]
        self.queue = {
            site: iter(
                [d[i] for d in draws[:alone]]
                + ([np.concatenate([d[i] for d in draws[alone:]])] if together else [])
            )
            for i, site in enumerate(("embedding", "hidden"))
        }
        self.touched = batch.tokens.unique().numpy()

    def site(self, name: str) -> Any:
        return lambda shape, like, generator: torch.tensor(next(self.queue[name])).reshape(shape)

    def update(self, p: Tensor) -> Tensor:
        """The model lists its own parameters first, the table last; of the table, only touched rows ask."""
        noise = self.mask_rng.random(WORDS * DIMENSIONS + REST)
        table = noise[: WORDS * DIMENSIONS].reshape(WORDS, DIMENSIONS)
        if len(p) < len(noise):
            table = table[self.touched]
        return torch.tensor(np.concatenate([noise[WORDS * DIMENSIONS :], table.ravel()]))


def texts(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([5, 2, 7, 1])
    mask = torch.arange(7) < lengths[:, None]
    tokens = torch.randint(1, WORDS, (4, 7), generator=generator) * mask
    return Batch(tokens, mask, torch.randint(0, CLASSES, (4,), generator=generator), torch.arange(4))


def numpy_batches(batches: list[Batch]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for batch in batches:
        yield batch.tokens.numpy(), batch.mask.numpy(), batch.labels.numpy()


def compare(
    recipe: Recipe, optimizer: str, steps: int = 4, epoch_steps: int = 0, schedule: bool = False
) -> list[dict[str, float]]:
    """Train both, comparing records, rates and weights after every step; returns the zoo's records."""
    training = {field.name: getattr(TRAINING, field.name) for field in dataclasses.fields(TRAINING)}
    shared = {name: value for name, value in training.items() if name in Settings._fields}
    own = {"optimizer": optimizer, "epoch_steps": epoch_steps, "steps": steps if schedule else 0}
    settings = reference_settings(recipe.flat() | shared, **own)
    weights = initialise(WORDS, DIMENSIONS, HIDDEN, CLASSES, np.random.default_rng(5))
    model = Small(weights)
    trainee = prepare(model.train(), recipe)
    stepper: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=TRAINING.learning_rate)
    if optimizer == "adamw":
        stepper = make_optimizer(model, TRAINING)
    scheduler = make_schedule(stepper, steps, TRAINING.warmup) if schedule else None
    batches, noise_rng, records = [texts(seed) for seed in range(steps)], np.random.default_rng(9), []
    reference = algorithm1(weights, numpy_batches(batches), settings, np.random.default_rng(9))
    for number, (batch, (state, report)) in enumerate(zip(batches, reference, strict=True)):
        alone = 1 + (settings.attack_steps - 1 if settings.adversarial else 0)
        noise = Noise(noise_rng, batch, alone, settings.adversarial)
        for name, site in trainee.sites.active.items():
            site.noise = noise.site(name)  # type: ignore[method-assign]
        if trainee.backward is not None:
            trainee.backward.uniform = noise.update  # type: ignore[attr-defined]
            if epoch_steps and number % epoch_steps == 0:
                trainee.backward.new_epoch()
        record = train_step(trainee, batch, stepper)
        if scheduler is not None:
            scheduler.step()
        records.append({key: float(value) for key, value in record.items() if value.dim() == 0})
        keys = ["loss", "loss_clean"] + ["loss_adversarial", "perturbation"] * (settings.adversarial > 0)
        keys += ["divergence"] * (settings.adversarial > 1 and settings.divergence != "none")
        keys += ["kept_share", "mean_keep_probability"] * (settings.update == "selective")
        for key in keys:
            assert records[-1][key] == pytest.approx(getattr(report, key), abs=TOLERANCE), (number, key)
        for name, site in trainee.sites.active.items():
            assert site.coming is not None
            close(site.coming.rates[-1], report.drop_rate[name], name)
        for name, value in model.numpy().items():
            close(value, state.parameters[name], f"step {number}: {name}")
    moved = max(np.abs(model.numpy()[name] - weights[name]).max() for name in ORDER)
    assert moved > 1e-3, "the steps must have moved the weights, else nothing was compared"
    return records


def close(got: Tensor | np.ndarray | float, wanted: np.ndarray | float, what: str = "") -> None:
    got = got.detach().numpy() if isinstance(got, Tensor) else got
    np.testing.assert_allclose(got, wanted, rtol=TOLERANCE, atol=TOLERANCE, err_msg=what)
