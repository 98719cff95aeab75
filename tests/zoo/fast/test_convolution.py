"""What the gradient through the winning windows does where two windows are alike."""

from __future__ import annotations

import torch

from zoo.fast.convolution import max_over_time


def test_equal_windows_share_no_gradient_and_lose_none() -> None:
    """A repeated word: one of its places gets the whole gradient, as with torch's max."""
    x = torch.ones(1, 6, 2, dtype=torch.float64, requires_grad=True)
    weight, bias = torch.ones(1, 2, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    max_over_time(x, weight, bias, torch.tensor([6])).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad.sum((0, 1)), torch.ones(2, dtype=torch.float64))
    assert (x.grad != 0).any(2).sum() == 1


def test_windows_that_do_not_count_get_nothing() -> None:
    """The largest response lies outside the text."""
    x = torch.tensor([[[1.0], [2.0], [9.0]]], requires_grad=True)
    value = max_over_time(x, torch.ones(1, 1, 1), torch.zeros(1), torch.tensor([2]))
    value.sum().backward()
    assert value.item() == 2
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0, 1, 0]
