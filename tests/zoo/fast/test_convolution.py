"""The gradient through the winning windows alone against autograd's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zoo.fast.convolution import max_over_time, plain_max_over_time


def problem(rows: int, length: int, width: int, dtype: torch.dtype, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, length, 6, generator=generator, dtype=dtype)
    weight = torch.randn(5, 6, width, generator=generator, dtype=dtype)
    bias = torch.randn(5, generator=generator, dtype=dtype)
    return [tensor.requires_grad_() for tensor in (x, weight, bias)]


def compare(inputs: list[Tensor], windows: Tensor, tolerance: float) -> None:
    fast, slow = max_over_time(*inputs, windows), plain_max_over_time(*inputs, windows)
    torch.testing.assert_close(fast, slow, rtol=0, atol=tolerance)
    weights = torch.randn_like(fast)
    for one, other in zip(
        torch.autograd.grad(fast, inputs, weights), torch.autograd.grad(slow, inputs, weights), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@given(
    rows=st.integers(1, 4), length=st.integers(1, 9), width=st.integers(1, 5), seed=st.integers(0, 999),
    data=st.data(),
)  # fmt: skip
def test_values_and_gradients(
    dtype: torch.dtype, tolerance: float, rows: int, length: int, width: int, seed: int, data: st.DataObject
) -> None:
    length = max(length, width)
    windows = data.draw(st.lists(st.integers(1, length - width + 1), min_size=rows, max_size=rows))
    compare(problem(rows, length, width, dtype, seed), torch.tensor(windows), tolerance)


def test_at_the_size_of_a_text_in_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    x = 0.1 * torch.randn(4, 64, 50, generator=generator)
    weight, bias = 0.1 * torch.randn(30, 50, 3, generator=generator), torch.zeros(30)
    compare([t.requires_grad_() for t in (x, weight, bias)], torch.tensor([62, 10, 1, 40]), 1e-6)


def test_equal_windows_share_no_gradient_and_lose_none() -> None:
    """A repeated word: one of its places gets the whole gradient, as with torch's max."""
    x = torch.ones(1, 6, 2, dtype=torch.float64, requires_grad=True)
    weight, bias = torch.ones(1, 2, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    max_over_time(x, weight, bias, torch.tensor([6])).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad.sum((0, 1)), torch.ones(2, dtype=torch.float64))
    assert (x.grad != 0).any(2).sum() == 1


def test_a_filter_that_never_answers_gets_no_gradient() -> None:
    x, weight, bias = problem(2, 5, 2, torch.float64, 0)
    shifted = bias.detach() - 1e3
    value = max_over_time(x, weight, shifted.requires_grad_(), torch.tensor([4, 4]))
    assert (value == 0).all()
    for gradient in torch.autograd.grad(value.sum(), (x, weight, shifted)):
        assert (gradient == 0).all()


def test_frozen_filters_and_frozen_words() -> None:
    x, weight, bias = problem(2, 5, 2, torch.float64, 0)
    windows = torch.tensor([4, 2])
    for frozen in (x, weight, bias):
        frozen.requires_grad_(False)
        inputs = [tensor for tensor in (x, weight, bias) if tensor.requires_grad]
        fast = torch.autograd.grad(max_over_time(x, weight, bias, windows).sum(), inputs)
        slow = torch.autograd.grad(plain_max_over_time(x, weight, bias, windows).sum(), inputs)
        torch.testing.assert_close(fast, slow, rtol=0, atol=1e-12)
        frozen.requires_grad_()
