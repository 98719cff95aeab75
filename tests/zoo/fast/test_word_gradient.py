"""The kept gradient buffer of the word table against autograd's fresh one."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from zoo.fast.rows import Rows
from zoo.fast.shapes import demand_fixed_shapes
from zoo.fast.word_gradient import WordGradient, fresh_gradient, keeps_zero_rows

V, D = 12, 3


def case(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, V, (2, 4), generator=generator)
    return tokens, torch.randn(2, 4, D, generator=generator)


@pytest.mark.parametrize("padding", [None, 0])
@pytest.mark.parametrize("between", ["nothing", "to none", "to zero", "backward by autograd", "noise"])
def test_every_step_has_autograds_gradient(between: str, padding: int | None) -> None:
    """Whatever happens to `.grad` between two steps, the next one starts from zero."""
    table, keeper = nn.Embedding(V, D, padding_idx=padding), WordGradient()
    optimizer = torch.optim.SGD([table.weight], lr=0.0)
    for step in range(4):
        tokens, gradient = case(step)
        optimizer.zero_grad(set_to_none=between != "to zero")
        keeper.add(table, tokens, gradient)
        torch.testing.assert_close(
            table.weight.grad, fresh_gradient(table, tokens, gradient), rtol=0, atol=1e-6
        )
        if between == "backward by autograd":
            table(case(99)[0]).sum().backward()
        elif between == "noise":
            table.weight.grad.add_(1.0)


def test_gradients_add_up_until_they_are_cleared() -> None:
    table, keeper = nn.Embedding(V, D), WordGradient()
    for _ in range(2):
        keeper.add(table, *case(0))
        keeper.add(table, *case(1))
        wanted = fresh_gradient(table, *case(0)) + fresh_gradient(table, *case(1))
        torch.testing.assert_close(table.weight.grad, wanted)
        table.weight.grad = None


def test_the_buffer_is_kept_and_only_its_rows_are_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    table, keeper = nn.Embedding(V, D), WordGradient()
    keeper.add(table, *case(0))
    first = table.weight.grad
    rows = Rows.of(case(0)[0])
    with keeps_zero_rows(first):
        rows.put(first, 2 * rows.take(first))
    table.weight.grad = None
    monkeypatch.setattr(torch.Tensor, "zero_", lambda _: pytest.fail("the whole buffer was cleared"))
    keeper.add(table, *case(1))
    assert table.weight.grad is first


def test_a_table_of_another_type_gets_another_buffer() -> None:
    table, keeper = nn.Embedding(V, D), WordGradient()
    keeper.add(table, *case(0))
    table.weight.grad = None
    table.double()
    keeper.add(table, case(1)[0], case(1)[1].double())
    assert table.weight.grad.dtype == torch.float64
    torch.testing.assert_close(table.weight.grad, fresh_gradient(table, case(1)[0], case(1)[1].double()))


def test_it_knows_the_rows_that_it_has_filled_until_others_write() -> None:
    table, keeper = nn.Embedding(V, D), WordGradient()
    assert keeper.touched(table.weight) is None
    keeper.add(table, *case(0))
    keeper.add(table, *case(1))
    rows = keeper.touched(table.weight)
    assert rows is not None
    assert rows.numbers.tolist() == Rows.with_gradient(table.weight.grad).numbers.tolist()
    table.weight.grad.add_(1.0)
    assert keeper.touched(table.weight) is None


def test_the_rows_of_a_step_are_not_those_of_the_steps_before() -> None:
    table, keeper = nn.Embedding(V, D), WordGradient()
    for step in range(4):
        table.weight.grad = None
        keeper.add(table, *case(step))
        rows = keeper.touched(table.weight)
        assert rows is not None
        assert rows.numbers.tolist() == sorted(set(case(step)[0].flatten().tolist()))


def test_in_fixed_shapes_every_step_has_autograds_gradient_too() -> None:
    table, keeper = nn.Embedding(V, D), WordGradient()
    for step in range(3):
        table.weight.grad = None
        with demand_fixed_shapes():
            keeper.add(table, *case(step))
        torch.testing.assert_close(table.weight.grad, fresh_gradient(table, *case(step)), rtol=0, atol=1e-6)


def test_a_copy_does_not_carry_the_buffer() -> None:
    table, keeper = nn.Embedding(V, D), WordGradient()
    keeper.add(table, *case(0))
    assert copy.deepcopy(keeper).buffer is None


def test_the_buffer_goes_with_its_model() -> None:
    """No circle keeps it: of V x D numbers a cell, a GPU would soon be full."""
    table, keeper = nn.Embedding(V, D), WordGradient()
    keeper.add(table, *case(0))
    buffer = weakref.ref(keeper.buffer)
    gc.disable()
    try:
        del table, keeper
        assert buffer() is None
    finally:
        gc.enable()
