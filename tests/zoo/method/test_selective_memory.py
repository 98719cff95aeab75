"""What the selective update keeps from step to step, where parameters have no gradient in some steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from zoo.core.errors import UserError
from zoo.method.backward.selective import Selective, SelectiveUpdate

MEMORIES: dict[str, dict[str, Any]] = {
    "ema": {"saliency": "ema", "saliency_decay": 0.5},
    "epoch": {"saliency": "epoch"},
    "one mask an epoch": {"resample": "epoch"},
    "a running one and one mask": {"saliency": "ema", "resample": "epoch", "normalise_scope": "tensor"},
}
SHAPES = [(3, 4), (5,), (2, 3), (7,)]
STEPS = 8


def update_of(memory: str, mask_on: str = "update", seed: int = 0) -> tuple[SelectiveUpdate, Any]:
    parameters = [nn.Parameter(torch.ones(shape, dtype=torch.float64)) for shape in SHAPES]
    settings = Selective(mask_on=mask_on, **MEMORIES[memory])
    update = SelectiveUpdate(parameters, settings, torch.Generator().manual_seed(seed))
    return update, torch.optim.SGD(parameters, 0.1)


def step(number: int, update: SelectiveUpdate, optimizer: Any, present: set[int], zeros: bool) -> None:
    """Step `number` with gradients of its own; those that are not present are zeros, or none."""
    random = torch.Generator().manual_seed(100 + number)
    if number % 3 == 0:
        update.new_epoch()
    for i, p in enumerate(update.parameters):
        gradient = torch.randn(p.shape, generator=random, dtype=torch.float64)
        p.grad = gradient if i in present else torch.zeros_like(p) if zeros else None
    update.step(optimizer)


def present(number: int) -> set[int]:
    """All at first; then each is missing now and then, and the last one for good."""
    return {i for i in range(3) if (number + i) % 3 or number == 0} | ({3} if number == 0 else set())


@pytest.mark.parametrize("mask_on", ["update", "gradient", "first_moment"])
@pytest.mark.parametrize("memory", MEMORIES)
def test_no_gradient_is_one_of_zeros(memory: str, mask_on: str) -> None:
    """Bit for bit, in weights and in what is kept."""
    (ours, first), (theirs, second) = (update_of(memory, mask_on) for _ in range(2))
    for number in range(STEPS):
        step(number, ours, first, present(number), zeros=False)
        step(number, theirs, second, present(number), zeros=True)
    for one, other in zip(ours.parameters, theirs.parameters, strict=True):
        assert torch.equal(one, other)
        assert not torch.equal(one, torch.ones_like(one))
    for name in ("running", "last_epoch"):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert (one is None and other is None) or torch.equal(one, other)


def test_what_is_kept_is_each_parameters_own() -> None:
    """Heads in turns, of unlike sizes and in another order than the parameters'."""
    update, optimizer = update_of("ema")
    wanted: dict[int, torch.Tensor] = {}
    for number, own in enumerate([{1, 2}, {1, 0}, {1, 2}, {1, 0}]):
        step(number, update, optimizer, own, zeros=False)
        for i, p in enumerate(update.parameters):
            if i in own or i in wanted:
                s = torch.zeros_like(p) if p.grad is None else p.grad.square()
                wanted[i] = (s + wanted.get(i, s)) / 2
    numbers = [number for number, _ in update.state()["known"]]
    assert numbers == [1, 2, 0]
    assert update.running is not None
    torch.testing.assert_close(update.running, torch.cat([wanted[i].flatten() for i in numbers]))


def test_what_joins_in_the_middle_of_an_epoch_has_a_mask() -> None:
    """All draw anew then, and keep that mask to the end of the epoch."""
    update, optimizer = update_of("one mask an epoch")
    masks = []
    for number, own in ((1, {0}), (2, {0, 1}), (4, {1}), (5, {0, 1})):
        step(number, update, optimizer, own, zeros=False)
        assert update.fixed is not None
        masks.append(update.fixed[0])
    assert [len(mask) for mask in masks] == [12, 17, 17, 17]
    assert torch.equal(masks[1], masks[2])
    assert torch.equal(masks[1], masks[3])
    assert all(bool(p.isfinite().all()) for p in update.parameters)


def test_a_mean_of_the_epoch_before_begins_with_the_first_gradient() -> None:
    update, optimizer = update_of("epoch")
    for number, own in ((1, {0}), (3, {0, 2})):  # an epoch begins with step 3
        step(number, update, optimizer, own, zeros=False)
    assert update.last_epoch is not None
    assert update.running is not None
    joined = update.parameters[2].grad.square().flatten()
    assert torch.equal(update.last_epoch[12:], joined)
    assert torch.equal(update.running[12:], joined)


@pytest.mark.parametrize("memory", MEMORIES)
def test_it_goes_on_from_its_state(memory: str) -> None:
    """Also where a parameter has never had a gradient, and others had theirs in another order."""
    sets = [{2, 1}, {1, 0}, {2}, {0, 2}, {1, 2}, {0, 1}]
    whole, optimizer = update_of(memory)
    for number, own in enumerate(sets[:4]):
        step(number, whole, optimizer, own, zeros=False)
    other, after = update_of(memory, seed=1)
    other.load(whole.state())
    other.generator.set_state(whole.generator.get_state())
    for one, copy in zip(whole.parameters, other.parameters, strict=True):
        copy.data.copy_(one)
    for number, own in enumerate(sets[4:], 4):
        step(number, whole, optimizer, own, zeros=False)
        step(number, other, after, own, zeros=False)
    for one, copy in zip(whole.parameters, other.parameters, strict=True):
        assert torch.equal(one, copy)


def test_a_state_of_other_shapes_is_refused() -> None:
    update, optimizer = update_of("ema")
    step(0, update, optimizer, {0, 1}, zeros=False)
    turned = [nn.Parameter(torch.ones(shape)) for shape in [(4, 3), (5,)]]
    with pytest.raises(UserError, match=r"^state: of tensor 0 in shape \[3, 4\]; expected \[4, 3\]$"):
        SelectiveUpdate(turned, update.settings).load(update.state())
    with pytest.raises(UserError, match=r"^state: of tensor 1 in shape \[5\]; expected none$"):
        SelectiveUpdate(update.parameters[:1], update.settings).load(update.state())


def test_the_mask_kept_for_an_entry_is_the_one_it_gets() -> None:
    """Parameters in another order than they came in, one of them without a gradient."""
    update, optimizer = update_of("one mask an epoch", mask_on="gradient")
    for number, own in ((1, {2, 3}), (2, {0, 1, 2, 3}), (4, {0, 1, 3})):
        step(number, update, optimizer, own, zeros=False)
    assert update.fixed is not None
    pieces = update.fixed[0].split([p.numel() for p in update.known])
    assert 0 < float(update.fixed[0].mean()) < 1
    for p, kept in zip(update.known, pieces, strict=True):
        assert p.grad is None or torch.equal((p.grad != 0).flatten(), kept.bool())
