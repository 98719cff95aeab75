"""A device without float64, as Apple's is: none is here, so a mode refuses what such a device refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import uegr
from toys import Toy, adamw, batch
from zoo.fast import ranks, widest


class NoDouble(TorchDispatchMode):
    """TypeError at the first tensor of float64, but where numbers have been taken to the CPU."""

    on_cpu = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for t in tree_leaves(out):
            if isinstance(t, torch.Tensor) and t.dtype == torch.float64 and not self.on_cpu:
                raise TypeError(f"{func}: this device has no float64")
        return out


@pytest.fixture
def single_alone(monkeypatch: pytest.MonkeyPatch) -> NoDouble:
    mode = NoDouble()

    def cpu(self: torch.Tensor) -> torch.Tensor:
        mode.on_cpu = True
        return self

    def back(self: torch.Tensor) -> torch.Tensor:
        found = self.to(torch.float32)
        mode.on_cpu = False
        return found

    monkeypatch.setattr(widest, "SINGLE_ALONE", {"cpu"})
    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    monkeypatch.setattr(torch.Tensor, "float", back)
    return mode


SETTINGS: dict[str, dict[str, Any]] = {
    "our default": {},
    "rare entries": {"threshold": 1.0, "sharpness": 40.0},
    "ranks": {"dropout": "rank"},
    "logistic": {"dropout": "logistic"},
    "rates of a text": {"statistic_scope": "example"},
    "mask on the first moment": {"mask_on": "first_moment"},
    "batch after batch": {"saliency": "ema"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_uegr_trains_without_float64(settings: dict[str, Any], single_alone: NoDouble) -> None:
    trains(uegr.recipe("uegr", **settings), single_alone)


@pytest.mark.parametrize("name", sorted(set(uegr.RECIPES) - {"ctune_d"}))
def test_every_recipe_trains_without_float64(name: str, single_alone: NoDouble) -> None:
    trains(uegr.recipe(name), single_alone)


def trains(recipe: uegr.Recipe, mode: NoDouble) -> None:
    torch.manual_seed(0)
    model = Toy()
    model.classifier = model.last  # what some recipes leave out
    optimizer = adamw(model)
    method = uegr.attach(model, optimizer, recipe)
    before = model.last.weight.detach().clone()
    with mode:
        for seed in range(2):
            method.backward(batch(seed))
            optimizer.step()
            optimizer.zero_grad()
    assert model.last.weight.isfinite().all()
    assert not torch.equal(model.last.weight, before)


def test_the_mode_refuses_what_it_should() -> None:
    """With the device's own word for its types the same training fails, so the tests above can fail."""
    with pytest.raises(TypeError, match="no float64"):
        trains(uegr.recipe("uegr"), NoDouble())


def test_many_entries_are_counted_without_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Single precision stops at 2^24: beyond, one more is no more."""
    monkeypatch.setattr(widest, "SINGLE_ALONE", {"cpu"})
    saliency = torch.ones((1 << 24) + 1)
    assert ranks.count_nonzero(saliency) == (1 << 24) + 1
