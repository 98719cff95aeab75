"""Methods of another kind: SAM against its direct form; a made-up forward and a made-up backward stage."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tiny
from zoo import recipes
from zoo.core.batch import Batch
from zoo.core.records import setting
from zoo.fast.rows import Rows
from zoo.method.forward.bi_stage import BiStage
from zoo.method.forward.sam import SAM
from zoo.method.recipe import Recipe
from zoo.method.step import prepare, train_step
from zoo.method.trainee import Backward, BackwardStage, Finish, Forward, Trainee


def texts(arch: str, step: int) -> Batch:
    return tiny.by_sentence(tiny.batch(seed=step)) if arch == "han" else tiny.batch(seed=step)


def test_sam_is_its_direct_form(arch: str) -> None:
    """Two models, autograd alone, five AdamW steps in float64."""
    model = tiny.model(arch).train()
    slow, away = copy.deepcopy(model), copy.deepcopy(model)
    trainee = prepare(model, Recipe(SAM(rho=0.3)), torch.Generator().manual_seed(0))
    slow_trainee = prepare(slow, Recipe(), torch.Generator())  # its sites do nothing
    prepare(away, Recipe(), torch.Generator())
    optimizers = [torch.optim.AdamW(m.parameters(), lr=0.01) for m in (model, slow)]
    for step in range(5):
        batch = texts(arch, step)
        train_step(trainee, batch, optimizers[0])
        loss = F.cross_entropy(slow_trainee.model(batch.tokens, batch.mask), batch.labels)
        gradients = torch.autograd.grad(loss, list(slow.parameters()))
        length = torch.cat([g.flatten() for g in gradients]).norm()
        with torch.no_grad():
            for there, here, g in zip(away.parameters(), slow.parameters(), gradients, strict=True):
                there.copy_(here + 0.3 * g / length)
        away.zero_grad()
        F.cross_entropy(away(batch.tokens, batch.mask), batch.labels).backward()
        for there, here in zip(away.parameters(), slow.parameters(), strict=True):
            here.grad = there.grad
        optimizers[1].step()
        for ours, theirs in zip(model.parameters(), slow.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_sam_puts_the_weights_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop may leave out a batch that does not fit into memory, and go on."""
    model = tiny.model("textcnn")
    before = [p.clone() for p in model.parameters()]
    trainee = prepare(model, recipes.RECIPES["sam"], torch.Generator().manual_seed(0))
    calls = []

    def failing(self: BiStage, trainee: Trainee, batch: Batch) -> dict[str, Any]:
        if calls:
            raise RuntimeError("out of memory")
        calls.append(1)
        return plain(self, trainee, batch)

    plain = BiStage.gradients
    monkeypatch.setattr(BiStage, "gradients", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        SAM().gradients(trainee, tiny.batch())
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


def test_sam_puts_the_weights_back() -> None:
    model = tiny.model("texthan", double=False).train()
    before = copy.deepcopy(model.state_dict())
    trainee = prepare(model, recipes.RECIPES["sam"], torch.Generator().manual_seed(0))
    trainee.forward.gradients(trainee, texts("texthan", 0))
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name]), name


@dataclass(frozen=True)
class Anchored(Forward):
    """A made-up forward stage with a state: the clean loss and a pull to the first weights."""

    kind: ClassVar[str] = "anchored"
    pull: float = setting(0.1, low=0)

    @property
    def passes(self) -> int:
        return 1

    def gradients(self, trainee: Trainee, batch: Batch) -> dict[str, Any]:
        first = trainee.state.setdefault("first", [p.detach().clone() for p in trainee.model.parameters()])
        record = recipes.BiStage().gradients(trainee, batch)
        for parameter, anchor in zip(trainee.model.parameters(), first, strict=True):
            parameter.grad.add_(parameter.detach() - anchor, alpha=self.pull)
        return record


@dataclass(frozen=True)
class Signs(Backward):
    """A made-up backward stage: the optimizer gets the signs of the gradient."""

    kind: ClassVar[str] = "signs"
    size: float = setting(1.0, above=0)

    def start(self, model: nn.Module, generator: torch.Generator) -> BackwardStage:
        return Signing(list(model.parameters()), self.size)


class Signing(BackwardStage):
    def __init__(self, parameters: list[nn.Parameter], size: float) -> None:
        self.parameters, self.size = parameters, size

    def before_step(
        self,
        optimizer: torch.optim.Optimizer,
        touched: Mapping[Tensor, Rows] | None = None,
        squares: list[Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], Finish]:
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.sign_().mul_(self.size)
        return {"signs": torch.tensor(self.size)}, lambda: None


def test_one_line_in_the_table_is_all_that_a_new_kind_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings by name, JSON, a name of its own and training follow from the line."""
    monkeypatch.setitem(recipes.RECIPES, "made_up", Recipe(Anchored(), recipes.Dropout(), Signs()))
    recipe = recipes.resolve_recipe("made_up").changed(pull=0.5, size=2.0)
    assert recipe.flat()["pull"] == 0.5
    assert recipe.flat()["update"] == "signs"
    assert recipes.recipe_from_json(recipe.as_json()) == recipe
    assert recipe.named() == {
        "forward": {"kind": "anchored", "pull": 0.5},
        "dropout": {"kind": "uniform"},
        "backward": {"kind": "signs", "size": 2.0},
    }
    model = tiny.model("textcnn").train()
    trainee = prepare(model, recipe, torch.Generator().manual_seed(0))
    before = copy.deepcopy(list(model.parameters()))
    record = train_step(trainee, texts("textcnn", 0), torch.optim.SGD(model.parameters(), lr=0.1))
    assert float(record["signs"]) == 2.0
    moves = torch.cat(
        [(a - b).detach().abs().flatten() for a, b in zip(before, model.parameters(), strict=True)]
    )
    assert torch.isclose(moves, torch.tensor(0.2, dtype=torch.float64)).double().mean() > 0.3
    assert ((moves < 1e-12) | torch.isclose(moves, torch.tensor(0.2, dtype=torch.float64))).all()
