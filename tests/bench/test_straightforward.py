"""The straightforward implementation is the same method: same losses and weights as the zoo's step.

Whole steps are compared where neither side draws random numbers (no dropout, no mask) and both attack the
rows of the table; drop rates and keep probabilities on their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import tiny
from bench.cases import SIZES, Case, make_straightforward, recipe_of
from zoo.method.backward.selective import Selective
from zoo.method.forward.divergence import DIVERGENCES
from zoo.method.rates import drop_rates
from zoo.method.step import prepare, train_step
from zoo.models import MODELS
from zoo.training.optim import make_optimizer
from zoo.training.settings import TrainSettings

TABLE: dict[str, Any] = {
    "dropout": "none", "update": "all", "attack": "fgm", "attack_scope": "table", "epsilon": 0.5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def tiny_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "tiny", tiny.SIZES)


def case(arch: str, recipe: str, **changes: Any) -> Case:
    return Case(arch, recipe, 8, 4, tiny.WORDS, tiny.CLASSES, "tiny", tuple(changes.items()))


def pairs(twin: nn.Module, model: nn.Module) -> Iterator[tuple[str, nn.Parameter, nn.Parameter]]:
    """Parameters that mean the same: the zoo's one-way layers are the directions of a bidirectional one."""
    parameters = dict(model.named_parameters())
    for name, parameter in twin.named_parameters():
        way = "back" if name.endswith("_reverse") else "ahead"
        for layer in ("layers.0", "layers.1", "word_layer", "sentence_layer"):
            name = name.replace(f"{layer}.", f"{layer}.{way}.").removesuffix("_reverse")
        yield name, parameter, parameters.pop(name)
    assert not parameters, "every parameter has a counterpart"


@pytest.mark.filterwarnings("ignore:divergence=.*passes of .* are the same")
@pytest.mark.parametrize("arch", MODELS)
@pytest.mark.parametrize("recipe", ["standard", "at", "r_drop", "r_at", "uegr"])
def test_losses_and_weights_are_the_zoos(arch: str, recipe: str) -> None:
    chosen = case(arch, recipe, **TABLE)
    model, twin = tiny.model(arch), make_straightforward(chosen)
    twin.model.double()
    for _, theirs, ours in pairs(twin.model, model):
        theirs.data.copy_(ours.data)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    trainee, settings = prepare(model, recipe_of(chosen)), TrainSettings(learning_rate=0.01)
    model.train()
    optimizer, twin.optimizer = make_optimizer(model, settings), make_optimizer(twin.model, settings)
    for step in range(3):
        batch = tiny.batch((8, 8, 8, 8), seed=step)  # no padding; two full sentences each for `han`
        loss = twin.step(batch.tokens, batch.mask, batch.labels)
        assert loss == pytest.approx(float(train_step(trainee, batch, optimizer)["loss"]), abs=1e-10)
    for name, theirs, ours in pairs(twin.model, model):
        torch.testing.assert_close(theirs.data, ours.data, rtol=0, atol=1e-8, msg=name)
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize(("kind", "passes"), [("js", 2), ("js", 3), ("sym_kl", 2), ("sym_kl", 3)])
def test_divergences_are_the_zoos(kind: str, passes: int) -> None:
    twin = make_straightforward(case("textcnn", "uegr", divergence=kind))
    logits = torch.randn(passes, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(twin._divergence(list(logits)), DIVERGENCES[kind](logits).mean())


def test_keep_probabilities_are_the_zoos() -> None:
    twin = make_straightforward(case("textcnn", "uegr"))
    gradient = torch.randn(500, dtype=torch.float64) * (torch.arange(500) % 3 > 0)
    p = Selective().probabilities(gradient.abs(), [500])
    torch.testing.assert_close(twin.keep_probability(gradient), p, rtol=0, atol=1e-12)


def test_drop_rates_are_the_zoos() -> None:
    twin = make_straightforward(case("textcnn", "uegr"))
    norms = torch.rand(40, dtype=torch.float64) ** 4
    twin.norms["pooled"] = norms
    wanted = drop_rates(norms, torch.tensor([0.3], dtype=torch.float64))[0]
    torch.testing.assert_close(
        twin._rates("pooled", 0.3, torch.zeros(2, 40).double()), wanted, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("mask", ["sort", "zscore"])
@pytest.mark.parametrize("recipe", ["dropout", "r_at_su", "uegr", "uegr_blind_mask", "freelb"])
def test_every_part_runs(recipe: str, mask: str) -> None:
    twin = make_straightforward(case("bilstm", recipe), mask)
    before = twin.table.detach().clone()
    for step in range(2):
        batch = tiny.batch((8, 8, 8, 8), seed=step)
        assert twin.step(batch.tokens, batch.mask, batch.labels) > 0
    assert (twin.table - before).abs().max() < 0.1, (
        "the attack's shift of the table must have been taken back"
    )
    assert not torch.equal(twin.table, before)
