"""A training that stops and goes on is one that never stopped, bit for bit."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch

import uegr
from toys import adamw, batch, same, toy, train
from zoo.core.errors import UserError

SETTINGS: dict[str, uegr.Recipe] = {
    "as it is": uegr.recipe("uegr"),
    "running saliency, running norms": uegr.recipe("uegr", saliency="ema", statistics="ema"),
    "saliency of the epoch before": uegr.recipe("uegr", saliency="epoch"),
    "one mask an epoch": uegr.recipe("uegr", resample="epoch", statistics="previous_step"),
    "a pull in the loss": uegr.recipe("l2_sp", anchor_pull=0.5),
    "a pull that fades": uegr.recipe("rec_adam", anneal_middle=6.0),
    "a mask for good": uegr.recipe("ctune_d"),
}


def flat(state: Any) -> Any:
    """The same in Python's own types, which compare with ==."""
    if isinstance(state, torch.Tensor):
        return state.tolist()
    if isinstance(state, dict):
        return {key: flat(value) for key, value in state.items()}
    return [flat(value) for value in state] if isinstance(state, tuple | list) else state


@pytest.mark.parametrize("settings", SETTINGS)
def test_going_on_is_never_having_stopped(settings: str) -> None:
    def begun(seed: int) -> tuple[torch.nn.Module, uegr.Method]:
        model = toy(seed)
        model.classifier = model.last
        method = uegr.attach(model, adamw(model), SETTINGS[settings], seed=seed)
        method.new_epoch()
        return model, method

    whole, method = begun(0)
    torch.manual_seed(5)
    method.first_pass([batch(20), batch(21)])
    train(method, range(3))
    method.new_epoch()
    train(method, range(3, 5))
    method.backward(batch(5))  # between two batches of a step, where nothing but gradients is new
    method.optimizer.zero_grad()
    kept = io.BytesIO()
    torch.save(
        {
            "model": whole.state_dict(), "optimizer": method.optimizer.state_dict(),
            "method": method.state_dict(), "random": torch.get_rng_state(),
        },
        kept,
    )  # fmt: skip
    train(method, range(6, 9))

    kept.seek(0)
    state = torch.load(kept, weights_only=True)
    again, other = begun(1)
    again.load_state_dict(state["model"])
    other.optimizer.load_state_dict(state["optimizer"])
    other.load_state_dict(state["method"])
    torch.set_rng_state(state["random"])
    train(other, range(6, 9))
    assert same(whole, again)
    assert flat(method.state_dict()) == flat(other.state_dict())

    torch.manual_seed(5)
    third, forgetful = begun(3)
    third.load_state_dict(state["model"])
    forgetful.first_pass([batch(22)])
    forgetful.optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    train(forgetful, range(6, 9))
    assert not same(whole, third)  # so the state matters


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_state_goes_to_the_device_of_the_model(settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a checkpoint lies on the CPU; `meta` stands for a GPU, but for generators, which it has not."""
    model = toy()
    model.classifier = model.last
    method = uegr.attach(model, adamw(model), SETTINGS[settings])
    method.first_pass([batch(20)])
    for _ in range(2):
        method.new_epoch()
        train(method, range(2))
    state = method.state_dict()

    generator = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device: generator("cpu"))
    other = toy().to("meta")
    other.classifier = other.last
    method = uegr.attach(other, adamw(other), SETTINGS[settings])
    method.load_state_dict(state)
    found = method.state_dict()
    if method.stage is not None:
        assert found["update"].pop("generator").device.type == "cpu"
        state["update"].pop("generator")
    assert shapes(found) == shapes(state)
    assert {tensor.device.type for tensor in tensors(found)} == {"meta"}
    assert all(site.average.device.type == "meta" for site in method.sites.active.values())


def tensors(state: Any) -> list[torch.Tensor]:
    """All tensors in a state."""
    if isinstance(state, torch.Tensor):
        return [state]
    values = state.values() if isinstance(state, dict) else state if isinstance(state, tuple | list) else []
    return [tensor for value in values for tensor in tensors(value)]


def shapes(state: Any) -> list[torch.Size]:
    return [tensor.shape for tensor in tensors(state)]


def test_random_numbers_of_another_kind_of_device_are_left_with_a_warning() -> None:
    """A GPU's generator has a state of 16 bytes."""
    model = toy()
    method = uegr.attach(model, adamw(model), "uegr")
    train(method, range(2))
    state = method.state_dict()
    own = state["update"]["generator"]
    state["update"]["generator"] = own[:16]
    with pytest.warns(UserWarning, match="^state: random numbers of another kind of device than cpu"):
        method.load_state_dict(state)
    assert torch.equal(method.state_dict()["update"]["generator"], own)


def test_a_state_is_a_copy() -> None:
    model = toy()
    method = uegr.attach(model, adamw(model), "uegr")
    train(method, range(2))
    state = method.state_dict()
    average = state["sites"]["late"]["average"].clone()
    train(method, range(2, 4))
    assert torch.equal(state["sites"]["late"]["average"], average)
    method.load_state_dict(state)
    train(method, range(2, 4))
    assert torch.equal(state["sites"]["late"]["average"], average)


def test_the_state_of_another_recipe_or_model_is_refused() -> None:
    model = toy()
    method = uegr.attach(model, adamw(model), uegr.recipe("uegr", saliency="ema"))
    train(method, range(2))
    state = method.state_dict()
    small = torch.nn.Sequential(torch.nn.Embedding(20, 4), torch.nn.Flatten(), torch.nn.Linear(28, 3))
    for recipe, what in (
        (uegr.recipe("uegr", saliency="ema"), "tensor 0 in shape"),
        (uegr.RECIPES["uegr"], "recipe"),
    ):
        other = uegr.attach(small, adamw(small), recipe)
        with pytest.raises(UserError, match=f"^state: .*{what}"):
            other.load_state_dict(state)
        other.remove()
    other = uegr.attach(small, adamw(small), uegr.recipe("uegr", saliency="ema"))
    state["update"] |= {"running": None, "known": []}
    with pytest.raises(UserError, match=r"^state: a dropout site early, which Sequential has not"):
        other.load_state_dict(state)


def test_the_state_of_an_earlier_version_goes_on_where_nothing_is_kept() -> None:
    """It does not say of which parameters its averages are, so with averages it is refused."""
    for saliency, kept in (("batch", False), ("ema", True)):
        model = toy()
        method = uegr.attach(model, adamw(model), uegr.recipe("uegr", saliency=saliency))
        train(method, range(2))
        state = method.state_dict()
        del state["update"]["known"]
        if kept:
            with pytest.raises(UserError, match="state: running of"):
                method.load_state_dict(state)
        else:
            method.load_state_dict(state)
