"""Layers that begin to learn after `attach`: unfrozen ones, and groups that the optimizer is given later."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_state import SETTINGS

import uegr
from toys import Toy, adamw, batch, same, toy, train


def begun(seed: int = 0, frozen: bool = False) -> Toy:
    model = toy(seed)
    model.classifier = model.last
    model.inner.requires_grad_(not frozen)
    return model


@pytest.mark.parametrize("way", ["unfrozen", "added"])
@pytest.mark.parametrize("settings", SETTINGS)
def test_before_the_first_batch_it_is_as_if_it_had_been_there(settings: str, way: str) -> None:
    """Bit for bit, and so is what is said of it."""
    ours, theirs = begun(frozen=way == "unfrozen"), begun()
    optimizer, other = adamw(ours), adamw(theirs)
    late: dict[str, Any] = optimizer.param_groups[0] | {"params": [*ours.inner.parameters()]}
    if way == "added":
        optimizer.param_groups[0]["params"] = [*ours.words.parameters(), *ours.last.parameters()]
    methods = [
        uegr.attach(model, own, SETTINGS[settings], seed=1)
        for model, own in ((ours, optimizer), (theirs, other))
    ]
    says = [method.describe() for method in methods]
    assert (says[0] != says[1]) == (methods[0].stage is not None)
    if way == "added":
        optimizer.add_param_group(late)
    ours.inner.requires_grad_(True)
    assert methods[0].describe() == says[1]
    for method in methods:
        torch.manual_seed(5)
        method.first_pass([batch(20)])
        method.new_epoch()
        train(method, range(3))
        method.new_epoch()
        train(method, range(3, 6))
    assert same(ours, theirs)
    assert not same(ours, begun())


@pytest.mark.parametrize("layer", ["words", "inner"])
@pytest.mark.parametrize("settings", [name for name in SETTINGS if name != "a mask for good"])
def test_in_the_middle_it_takes_part(settings: str, layer: str) -> None:
    """It trains, its first weights are those at which it was frozen, and the state goes on."""
    model, again = begun(), begun(1)
    late, other_late = model.get_submodule(layer), again.get_submodule(layer)
    late.requires_grad_(False)
    other_late.requires_grad_(False)
    first = late.weight.detach().clone()
    method = uegr.attach(model, adamw(model), SETTINGS[settings], seed=1)
    torch.manual_seed(5)
    method.new_epoch()
    train(method, range(2))
    late.requires_grad_(True)
    train(method, range(2, 4))
    state = {
        "model": {name: value.clone() for name, value in model.state_dict().items()},
        "method": method.state_dict(), "random": torch.get_rng_state(),
    }  # fmt: skip
    other = uegr.attach(again, adamw(again), SETTINGS[settings], seed=2)
    again.load_state_dict(state["model"])
    other.load_state_dict(state["method"])
    other_late.requires_grad_(True)
    for one in (method, other):
        one.optimizer.state.clear()
        torch.set_rng_state(state["random"])
        train(one, range(4, 6))
    assert same(model, again)
    kept = state["method"].get("forward", {}).get("anchors") or state["method"].get("update", {}).get("first")
    if kept is not None:
        assert torch.equal(kept[["words", "inner"].index(layer)], first)
        assert not torch.equal(late.weight, first)


def test_the_mask_acts_on_what_was_unfrozen() -> None:
    """Coins of 0.5 for 48 entries: all alike in 1 of 1e14 runs."""
    model = begun(frozen=True)
    recipe = uegr.recipe("dropout").changed(update="selective", keep="constant", mask_on="gradient")
    method = uegr.attach(model, adamw(model), recipe)
    train(method, range(2))
    model.inner.requires_grad_(True)
    method.backward(batch(2))
    assert bool((model.inner.weight.grad != 0).all())
    method.optimizer.step()
    assert 0 < float((model.inner.weight.grad != 0).double().mean()) < 1


def test_the_pass_that_chooses_sees_what_was_unfrozen() -> None:
    model = begun(frozen=True)
    method = uegr.attach(model, adamw(model), "ctune_d")
    model.inner.requires_grad_(True)
    method.first_pass([batch(20)])
    masks = method.state_dict()["update"]["masks"]
    assert [mask.shape for mask in masks] == [p.shape for p in model.inner.parameters()]


def test_a_scope_that_is_filled_after_attach_is_not_missed() -> None:
    """A warning at the first batch would be an error here."""
    model = begun()
    optimizer = torch.optim.SGD([model.words.weight], 0.5)
    recipe = uegr.recipe("uegr", update_scope="encoder")
    method = uegr.attach(model, optimizer, recipe)
    assert "it holds none of the parameters in scope" in " ".join(method.describe().split())
    optimizer.add_param_group({"params": [*model.inner.parameters()]})
    method.backward(batch())


def test_a_mask_for_good_says_what_came_too_late_for_it() -> None:
    model = begun(frozen=True)
    method = uegr.attach(model, adamw(model), uegr.recipe("ctune_d", child_scope="body"))
    method.first_pass([batch(20)])
    model.inner.requires_grad_(True)
    method.backward(batch())
    gradient = model.inner.weight.grad.clone()
    with pytest.warns(UserWarning, match="^2 tensors learn whole: they did not take part in the pass"):
        method.optimizer.step()
    assert torch.equal(model.inner.weight.grad, gradient)
    train(method, range(2))  # says it once
    state = method.state_dict()
    assert [mask is not None for mask in state["update"]["masks"]] == [True, False, False]
    method.load_state_dict(state)
    assert not method.stage.wants_pass
