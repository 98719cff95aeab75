"""Passes of which no two have a graph at a time: the gradients of one graph, in the memory of one pass."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import uegr
from toys import Toy, adamw, batch, same, toy, train

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "as it is": ("uegr", {"adversarial": 3}),
    "rates by pass": ("uegr", {"adversarial": 3, "base_rates": (0.1, 0.4, 0.2, 0.3)}),
    "clean passes, whose norms are those of all": ("r_drop", {"clean": 2, "dropout": "mean"}),
    "by example": ("r_drop", {"clean": 2, "dropout": "mean", "statistic_scope": "example"}),
    "PGD from two clean passes": ("uegr", {"clean": 2, "attack_steps": 2}),
    "attribution": ("uegr", {"clean": 2, "statistic": "attribution"}),
}


def by_row(passes_at_once: bool | int, recipe: uegr.Recipe, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Trained with uniform numbers that depend on the row of the plan, not on how many come at once."""
    model = toy()
    method = uegr.attach(model, adamw(model), recipe, passes_at_once=passes_at_once, seed=1)
    sites = method.sites

    def noise(shape: tuple[int, ...], like: Tensor, generator: Any) -> Tensor:
        first = sites._window.start or 0
        rows = shape[0] // (sites._rows // sites._batch)
        drawn = [
            torch.rand(
                (rows, *shape[1:]), dtype=like.dtype,
                generator=torch.Generator().manual_seed(100 * len(sites._passes) + first + k),
            )
            for k in range(shape[0] // rows)
        ]  # fmt: skip
        return torch.cat(drawn)

    monkeypatch.setattr("zoo.method.dropout.uniform", noise)
    train(method, range(3))
    return model


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("at_once", [False, 2])
def test_gradients_are_those_of_one_graph(
    settings: str, at_once: bool | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, changes = SETTINGS[settings]
    recipe = uegr.recipe(name, **changes)
    models = [by_row(how, recipe, monkeypatch) for how in (True, at_once)]
    assert same(*models, within=1e-12)
    assert not same(models[0], toy(), within=1e-3)


class Peak:
    """The most bytes that graphs keep at a time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def pack(self, tensor: Tensor) -> Any:
        size = tensor.numel() * tensor.element_size()
        self.now += size
        self.most = max(self.most, self.now)
        held = Kept(tensor)
        weakref.finalize(held, self.free, size)
        return held

    def free(self, size: int) -> None:
        self.now -= size

    def of(self, work: Callable[[], Any]) -> int:
        with torch.autograd.graph.saved_tensors_hooks(self.pack, lambda held: held.tensor):
            work()
        return self.most


class Kept:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def test_the_memory_is_that_of_one_pass() -> None:
    peaks = {}
    for passes, how in ((1, True), (6, True), (6, False), (6, 2)):
        model = toy()
        recipe = uegr.recipe("uegr", adversarial=passes)
        method = uegr.attach(model, adamw(model), recipe, passes_at_once=how)
        peaks[passes, how] = Peak().of(lambda method=method: method.backward(batch(rows=64)))
    one = peaks[1, True]
    assert peaks[6, True] > 4 * one
    assert peaks[6, False] < 1.5 * one
    assert peaks[6, 2] < 2.6 * one


def test_under_autocast_weights_keep_their_gradients() -> None:
    """Also in a pass that comes again in the backward pass."""
    found = []
    for how in (True, False):
        model = toy(rate=0.0).float()
        method = uegr.attach(model, adamw(model), "uegr_no_js", passes_at_once=how)
        kinds: list[torch.dtype] = []
        model.inner.register_forward_hook(lambda m, args, out, kinds=kinds: kinds.append(out.dtype))
        with torch.autocast("cpu", torch.bfloat16), pytest.warns(UserWarning, match="does nothing"):
            method.backward(batch())
        assert kinds == [torch.bfloat16] * (2 if how else 5)
        found.append([p.grad for p in model.parameters()])
    for one, other in zip(*found, strict=True):
        assert one is not None
        assert other is not None
        torch.testing.assert_close(one, other, rtol=0.05, atol=2e-3)
        assert bool(other.any())


def test_a_pass_that_fails_leaves_no_rate_behind() -> None:
    class Fails(Toy):
        calls = 0

        def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
            self.calls += 1
            if self.calls == 5:  # the clean one, two without graph, one with it, and then this one
                raise RuntimeError("a failure of the user's")
            return super().vectors_to_logits(x, mask)

    model = Fails()
    method = uegr.attach(model, adamw(model), "uegr", passes_at_once=False)
    with pytest.raises(RuntimeError, match="of the user's"):
        method.backward(batch())
    assert model.early.p == model.late.p == 0.3
