"""The step: off switches bit for bit, every term counted, every recipe trains every model."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import tiny
from zoo.core.batch import Batch
from zoo.core.errors import UserError
from zoo.method.contract import TextClassifier
from zoo.method.dropout import AdaptiveDropout, Pass
from zoo.method.rates import drop_rates, gradient_norm
from zoo.method.step import Trainee, prepare, train_step
from zoo.recipes import RECIPES, Recipe, resolve_recipe
from zoo.training.optim import make_optimizer
from zoo.training.settings import TrainSettings

STEPS = 5
SETTINGS = TrainSettings(learning_rate=0.01)


def texts(arch: str, step: int = 0, lengths: tuple[int, ...] = (7, 3, 12, 1)) -> Batch:
    batch = tiny.batch(lengths, seed=step)
    return tiny.by_sentence(batch) if arch == "han" else batch


def gradients(trainee: Trainee, batch: Batch) -> dict[str, Any]:
    return trainee.forward.gradients(trainee, batch)


def trained(arch: str, recipe: Recipe, seed: int = 7) -> TextClassifier:
    model = tiny.model(arch, double=False)
    optimizer = make_optimizer(model, SETTINGS)
    trainee = prepare(model, recipe, torch.Generator().manual_seed(seed))
    model.train()
    for step in range(STEPS):
        train_step(trainee, texts(arch, step), optimizer)
    return model


def same_weights(first: TextClassifier, second: TextClassifier) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def plain(arch: str, rate: float | None = None) -> TextClassifier:
    """The oracle of the off switches: an ordinary training loop with torch's own parts."""
    model = tiny.model(arch, double=False)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}],
        lr=0.01,
        fused=True,
    )
    generator = torch.Generator().manual_seed(7)
    for name, site in model.sites.items():
        assert isinstance(site, AdaptiveDropout)
        site.managed = True
        if rate is not None and name in model.default_sites:
            rates = torch.full((1, site.units), rate, dtype=torch.float64)
            site.coming = Pass(rates, generator=generator)
    model.train()
    for step in range(STEPS):
        batch = texts(arch, step)
        optimizer.zero_grad()
        F.cross_entropy(model(batch.tokens, batch.mask), batch.labels).backward()
        optimizer.step()
    return model


def test_standard_is_plain_training_bit_for_bit(arch: str) -> None:
    assert same_weights(trained(arch, RECIPES["standard"]), plain(arch))


def test_dropout_is_plain_training_with_dropout_bit_for_bit(arch: str) -> None:
    assert same_weights(trained(arch, RECIPES["dropout"]), plain(arch, rate=0.2))


def test_rate_zero_is_no_dropout_bit_for_bit(arch: str) -> None:
    assert same_weights(trained(arch, RECIPES["dropout"].changed(base_rates=(0.0,))), plain(arch))


def test_keeping_everything_is_no_mask_bit_for_bit(arch: str) -> None:
    kept = RECIPES["dropout"].changed(update="selective", keep="constant", keep_constant=1.0)
    # The mask draws from the same generator as dropout, so compare without dropout.
    assert same_weights(trained(arch, kept.changed(dropout="none")), plain(arch))


def test_uegr_with_its_parts_off_is_at(arch: str) -> None:
    off = RECIPES["uegr"].changed(adversarial=1, alpha=0.0, dropout="uniform", update="all")
    assert same_weights(trained(arch, off), trained(arch, RECIPES["at"]))


def test_gamma_zero_is_uniform_dropout() -> None:
    adaptive = RECIPES["uegr_no_mask"].changed(gamma=0.0)
    uniform = RECIPES["uegr_no_mask"].changed(dropout="uniform")
    assert same_weights(trained("textcnn", adaptive), trained("textcnn", uniform))


def test_a_shared_trunk_changes_nothing(arch: str) -> None:
    """All dropout after the pooling: one trunk pass and K heads equal K whole passes."""
    recipe = RECIPES["uegr"].changed(sites=("pooled",), adversarial=3)
    both = []
    for shared in (True, False):
        model = tiny.model(arch)
        trainee = prepare(model, recipe, torch.Generator().manual_seed(1))
        assert trainee.shares_trunk
        trainee.shares_trunk = shared
        model.train()
        gradients(trainee, texts(arch))
        both.append([p.grad for p in model.parameters()])
    for one, many in zip(*both, strict=True):
        torch.testing.assert_close(one, many, rtol=0, atol=1e-12)


def test_one_batch_of_k_passes_equals_the_loop(arch: str) -> None:
    """The same masks, pass by pass: logits of the K * B batch are those of K separate passes."""
    model = tiny.model(arch)
    recipe = RECIPES["uegr"].changed(adversarial=3)
    trainee = prepare(model, recipe)
    trainee.sites.repeats = False
    model.train()
    batch = texts(arch)
    drawn: dict[str, list[torch.Tensor]] = {}
    generator = torch.Generator().manual_seed(0)

    def record(name: str):
        def noise(shape, like, _):
            drawn.setdefault(name, []).append(torch.rand(shape, generator=generator, dtype=like.dtype))
            return drawn[name][-1].clone()

        return noise

    for name, site in trainee.sites.active.items():
        site.noise = record(name)
    vectors = model.embed(batch.tokens).detach()
    trainee.sites.plan_passes(3)
    rows = vectors.repeat(3, 1, 1), batch.mask.repeat(3, 1)
    together = model.classify(*rows).unflatten(0, (3, -1))
    plans = {name: site.coming for name, site in trainee.sites.active.items()}
    for k in range(3):
        for name, site in trainee.sites.active.items():
            plan = plans[name]
            assert plan is not None
            site.coming = replace(plan, rates=plan.rates[k : k + 1])
            site.noise = lambda shape, like, _, name=name, k=k: drawn[name][0].chunk(3)[k].clone()
        torch.testing.assert_close(model.classify(vectors, batch.mask), together[k], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("field", "term"), [("alpha", "divergence")])
def test_the_coefficient_moves_the_gradient_by_exactly_its_term(arch: str, field: str, term: str) -> None:
    def gradient(alpha: float) -> torch.Tensor:
        model = tiny.model(arch)
        recipe = RECIPES["uegr_no_mask"].changed(alpha=alpha)
        trainee = prepare(model, recipe, torch.Generator().manual_seed(3))
        model.train()
        record = gradients(trainee, texts(arch))
        total = record["loss_clean"] + record["loss_adversarial"] + alpha * record["divergence"]
        torch.testing.assert_close(record["loss"], total)
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    none, once, twice = gradient(0.0), gradient(1.0), gradient(2.0)
    assert (once - none).abs().max() > 1e-8, "the divergence must reach the gradient"
    torch.testing.assert_close(twice - once, once - none, rtol=1e-6, atol=1e-12)


def test_sum_reduction_is_the_batch_size_times_the_mean() -> None:
    records = []
    for reduction, alpha in (("sum", 0.5), ("mean", 2.0)):
        model = tiny.model("textcnn")
        recipe = RECIPES["uegr_no_mask"].changed(divergence_reduction=reduction, alpha=alpha)
        trainee = prepare(model, recipe, torch.Generator().manual_seed(3))
        model.train()
        records.append(gradients(trainee, texts("textcnn"))["loss"])
    torch.testing.assert_close(records[0], records[1])


SIGN = {"attack": "fgsm", "epsilon_unit": "rms"}
OPTIONS = [
    SIGN, {"attack_scope": "table"}, SIGN | {"attack": "token_linf"},
    {"attack_steps": 3}, SIGN | {"attack_steps": 3}, {"epsilon_unit": "absolute"}, {"epsilon_unit": "rms"},
    {"dropout": "rank"}, {"dropout": "logistic"}, {"dropout": "layer"}, {"dropout": "inverse"},
    {"statistic": "attribution"}, {"statistic_scope": "example"}, {"statistics": "ema"},
    {"statistics": "previous_step"}, {"clean_dropout": "uniform"}, {"clean_dropout": "off"},
    {"sites": ("embedding",)}, {"base_rates": (0.1, 0.3, 0.6)}, {"divergence": "sym_kl"},
    {"saliency": "ema"}, {"saliency": "epoch"}, {"saliency": "per_sample"}, {"normalise": "minmax"},
    {"normalise": "log_minmax"}, {"normalise_scope": "tensor"}, {"resample": "epoch"},
    {"update_scope": "encoder"}, {"rescale": False}, {"p_floor": 0.3}, {"mask_on": "gradient"},
    {"mask_on": "first_moment"}, {"adversarial_reduction": "sum"}, {"keep": "constant"}, {"adversarial": 1},
    {"adversarial": 5},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: ", ".join(f"{k}={v}" for k, v in o.items()))
def test_every_option_trains_and_changes_the_result(options: dict[str, object]) -> None:
    base = RECIPES["uegr"].changed(sites=("pooled", "embedding"), epsilon=1.0)
    recipe = base.changed(**options)
    weights = [p.detach() for p in trained("textcnn", recipe).parameters()]
    assert all(torch.isfinite(w).all() for w in weights)
    assert not same_weights(trained("textcnn", recipe), trained("textcnn", base)), "the option does nothing"


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_learns_on_every_model(arch: str, name: str) -> None:
    model = tiny.model(arch, double=False)
    optimizer = make_optimizer(model, TrainSettings(learning_rate=0.02))
    # RecAdam's steps fade in at step 250, which is after the last one here.
    recipe = RECIPES[name].changed(anneal_middle=10.0)
    trainee = prepare(model, recipe, torch.Generator().manual_seed(0))
    model.train()
    # Several texts a class, told apart by their first word.
    problem = texts(arch, lengths=(4, 3, 5, 4, 3, 5, 4, 3))
    losses = []
    for _ in range(60):
        record = train_step(trainee, problem, optimizer)
        losses.append(float(record.get("loss_clean", record["loss"])))
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5]), losses[::10]


@pytest.mark.parametrize("preset", ["rat_code", "roast_code"])
def test_presets_run(preset: str) -> None:
    for name in ("at", "r_at_su", "uegr"):
        weights = trained("textcnn", resolve_recipe(name, preset)).parameters()
        assert all(torch.isfinite(w).all() for w in weights)


def test_per_sample_saliency_is_the_mean_of_squared_example_gradients() -> None:
    model = tiny.model("textcnn")
    recipe = RECIPES["uegr"].changed(saliency="per_sample", dropout="none", adversarial=0, divergence="none")
    trainee = prepare(model, recipe)
    model.train()
    batch = texts("textcnn")
    squares = gradients(trainee, batch)["squares"]
    wanted = [torch.zeros_like(p) for p in model.parameters()]
    for i in range(len(batch.labels)):
        model.zero_grad()
        logits = model(batch.tokens[i : i + 1], batch.mask[i : i + 1])
        F.cross_entropy(logits, batch.labels[i : i + 1]).backward()
        for total, parameter in zip(wanted, model.parameters(), strict=True):
            total += parameter.grad.square() / len(batch.labels)
    for got, want in zip(squares, wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-14)


def test_single_texts_of_two_clean_passes_have_one_statistic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over both passes, each with a mask of its own; written out from the gradients that the site saw."""
    recipe = RECIPES["uegr"].changed(clean=2, statistic_scope="example", update="all")
    trainee = prepare(tiny.model("textcnn").train(), recipe, torch.Generator().manual_seed(0))
    (watch,) = trainee.sites.watches.values()
    seen = list[Tensor]()

    def noted(gradient: Tensor, mask: Tensor | None, by_example: bool = False) -> Tensor:
        seen.append(gradient)
        return gradient_norm(gradient, mask, by_example)

    monkeypatch.setattr(watch, "norm", noted)
    gradients(trainee, texts("textcnn"))
    first, second = seen[0].chunk(2)
    assert not torch.equal(first, second)
    (site,) = trainee.sites.active.values()
    wanted = drop_rates(((first.square() + second.square()) / 2).sqrt(), torch.tensor([0.2, 0.2]))
    torch.testing.assert_close(site.coming.rates, wanted)


def test_frozen_word_vectors_leave_squares_of_the_others() -> None:
    """saliency = per_sample: what learns has the squares that it has beside a table that learns too."""
    recipe = RECIPES["uegr"].changed(saliency="per_sample", attack_steps=2)
    found = []
    for frozen in (True, False):
        model = tiny.model("textcnn").train()
        model.embedding.requires_grad_(not frozen)
        squares = gradients(prepare(model, recipe, torch.Generator().manual_seed(0)), texts("textcnn"))[
            "squares"
        ]
        found.append(squares if frozen else squares[1:])
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=0)


def test_only_touched_rows_draw_a_mask_and_it_is_the_same_as_dense() -> None:
    """Rows of absent words have zero gradient: leaving them out changes the cost and nothing else."""
    model = tiny.model("textcnn")
    trainee = prepare(model, RECIPES["r_at_su"], torch.Generator().manual_seed(0))
    model.train()
    batch = texts("textcnn")
    gradients(trainee, batch)
    found = trainee.touched()
    rows = found[model.embedding.weight].numbers
    assert rows.tolist() == sorted(set(batch.tokens.flatten().tolist()))
    gradient = model.embedding.weight.grad
    absent = torch.ones(len(gradient), dtype=torch.bool)
    absent[rows] = False
    assert (gradient[absent] == 0).all()
    assert trainee.backward is not None
    asked: list[int] = []
    original = trainee.backward.uniform
    trainee.backward.uniform = lambda like: (asked.append(len(like)), original(like))[1]
    trainee.backward.apply(found)
    others = sum(p.numel() for p in model.parameters()) - gradient.numel()
    assert asked == [others + len(rows) * gradient.shape[1]]


class Tied(torch.nn.Module):
    """Its word table is its output layer too, as a function and not as a module."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(tiny.WORDS, 6)
        self.drop = AdaptiveDropout(6)

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.words(tokens)

    def classify(self, vectors: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        pooled = self.drop((vectors * mask[:, :, None]).sum(1))
        return F.linear(pooled, self.words.weight)[:, -tiny.CLASSES :]


def test_rows_of_a_table_that_is_used_by_its_weight_are_masked_too() -> None:
    torch.manual_seed(0)
    model = Tied()
    recipe = RECIPES["uegr"].changed(keep="constant", keep_constant=0.01)
    trainee = prepare(model, recipe, torch.Generator().manual_seed(0))
    model.train()
    batch = tiny.batch()
    batch.tokens.clamp_(max=tiny.WORDS - tiny.CLASSES - 1)
    gradients(trainee, batch)
    label_words = slice(tiny.WORDS - tiny.CLASSES, None)
    assert (model.words.weight.grad[label_words] != 0).all()
    trainee.backward.apply(trainee.touched())
    assert (model.words.weight.grad[label_words] != 0).double().mean() < 0.2


class Foreign(torch.nn.Module):
    """A user's own module: the two calls and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(tiny.WORDS, 6)
        self.drop = AdaptiveDropout(6)
        self.out = torch.nn.Linear(6, tiny.CLASSES)

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.words(tokens)

    def classify(self, vectors: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.out(self.drop((vectors * mask[:, :, None]).sum(1)))


@pytest.mark.parametrize("name", ["l2_sp", "rec_adam", "ctune_d"])
def test_what_leaves_the_classifier_out_asks_which_it_is(name: str) -> None:
    model = Foreign()
    with pytest.raises(UserError, match=r"leaves the classifier out .* expected Foreign to have"):
        train_step(prepare(model, RECIPES[name]), tiny.batch(), torch.optim.SGD(model.parameters(), 0.1))


@pytest.mark.parametrize("name", RECIPES)
def test_a_foreign_module_trains_with_any_recipe(name: str) -> None:
    torch.manual_seed(0)
    model = Foreign()
    model.classifier = model.out
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainee = prepare(model, RECIPES[name], torch.Generator().manual_seed(0))
    model.train()
    record = train_step(trainee, tiny.batch(), optimizer)
    assert torch.isfinite(record["loss"])
    assert not torch.equal(before["out.weight"], model.out.weight)


def test_a_module_without_the_calls_is_refused() -> None:
    with pytest.raises(UserError, match="add a method"):
        prepare(torch.nn.Linear(2, 2), RECIPES["uegr"])


def test_masks_of_another_kind_of_device_begin_with_a_warning() -> None:
    """A state made on a GPU, whose generator has 16 bytes, is gone on with here."""
    trainee = prepare(tiny.model("textcnn"), RECIPES["uegr"], torch.Generator().manual_seed(0))
    state = trainee.state_dict()
    with pytest.warns(UserWarning, match="random numbers of another kind of device than cpu"):
        trainee.load_state_dict(state | {"generator": state["generator"][:16]})
    assert torch.equal(trainee.generator.get_state(), state["generator"])
