"""Every fast path equals its slow twin, in value and gradient, on everything it is tried on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.fast import linear
from zoo.fast.linear import onednn_product
from zoo.fast.twins import TWINS, TYPES, Form, Twins, leaves

SEEDS = 8  # of the inputs whose shapes are drawn
CASES = [
    pytest.param(row, form, inputs, id=f"{name}-{form}-{inputs}")
    for name, row in TWINS.items()
    for form in list(row.forms)[1:]
    for inputs in row.inputs
]


def answers(form: Form, inputs: tuple[Any, ...], wanted: list[Tensor]) -> Iterator[Tensor]:
    """The value, and the gradients by `wanted` of a sum in which every entry has its own weight."""
    value = form(*inputs)
    yield value.detach().clone()  # a kept buffer is overwritten by the next call
    if wanted:
        weights = torch.randn(value.shape, generator=torch.Generator().manual_seed(1)).to(value.dtype)
        once = torch.autograd.grad(value, wanted, weights, retain_graph=True)
        again = torch.autograd.grad(value, wanted, weights)
        torch.testing.assert_close(again, once, rtol=0, atol=0, msg="a backward pass changed what it saved")
        yield from once


def compare(row: Twins, name: str, inputs: tuple[Any, ...], dtype: torch.dtype, frozen: str) -> None:
    found = []
    for form in (row.forms[name], row.forms[row.slow]):
        own = copy.deepcopy(inputs)
        wanted = leaves(own) if row.with_gradient else []
        for i, tensor in enumerate(wanted):
            tensor.requires_grad_((i == 0) != (frozen == "first") or frozen == "none")
        wanted = [tensor for tensor in wanted if tensor.requires_grad]
        first, second = (list(answers(form, own, wanted)) for _ in range(2))
        torch.testing.assert_close(second, first, rtol=0, atol=0, msg="the second call gave something else")
        found.append(first)
    (ours, *gradients), (theirs, *expected) = found
    tolerance = row.tolerance[TYPES.index(dtype)]
    # Numbers far from 1 have the last place of their own; which of two it is differs between processors.
    torch.testing.assert_close(ours, theirs, rtol=2 * torch.finfo(dtype).eps, atol=tolerance)
    torch.testing.assert_close(gradients, expected, rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize(("row", "form", "inputs"), CASES)
def test_the_forms_are_the_same(row: Twins, form: str, inputs: str) -> None:
    for dtype in TYPES[: len(row.tolerance)]:
        for seed in range(SEEDS if inputs == "any" else 1):
            made = row.inputs[inputs](torch.Generator().manual_seed(seed), dtype)
            for frozen in ("none", "first", "all but the first") if row.with_gradient else ("none",):
                compare(row, form, made, dtype, frozen)


@pytest.mark.parametrize("name", ["linear layer", "product", "cross product", "GRU"])
def test_a_torch_without_the_onednn_product(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert onednn_product() is not None, "this torch has no oneDNN product, so nothing above has tried it"
    monkeypatch.setattr(linear, "onednn_product", lambda: None)
    for made in TWINS[name].inputs.values():
        inputs = made(torch.Generator().manual_seed(0), torch.float32)
        compare(TWINS[name], TWINS[name].kept, inputs, torch.float32, "none")
