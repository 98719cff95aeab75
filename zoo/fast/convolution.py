"""Convolution over the words, ReLU, maximum over time: the pooled features of a TextCNN.

The maximum lets one window of a text through for each filter, so the gradient needs these windows only and
not a transposed convolution over all of them (docs/performance.md says what that gains). The convolution
itself reads the vectors as they lie in memory (words one after the other, "channels last").

Index letters: B examples, T tokens, D vector size, F filters, W filter width, N = T - W + 1 windows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from zoo.fast.shapes import fixed_shapes


def max_over_time(x: Tensor, weight: Tensor, bias: Tensor, windows: Tensor) -> Tensor:
    """(B, T, D) vectors, (F, D, W) weight, (F,) bias -> (B, F), max(0, largest response).

    Args:
        windows: (B,) how many windows of each text count, from the first on; at least 1.
    """
    if not fixed_shapes(x):
        return _MaxOverTime.apply(x, weight, bias, windows)
    return plain_max_over_time(x, weight, bias, windows)


def plain_max_over_time(x: Tensor, weight: Tensor, bias: Tensor, windows: Tensor) -> Tensor:
    """The same through autograd alone: the form for other devices."""
    return _pool(responses(x, weight, bias), windows)[0]


def conv1d_max_over_time(x: Tensor, weight: Tensor, bias: Tensor, windows: Tensor) -> Tensor:
    """The same as a textbook writes it: the slow twin."""
    answers = F.relu(conv1d_responses(x, weight, bias))
    outside = torch.arange(answers.shape[1], device=x.device) >= windows[:, None]
    return answers.masked_fill(outside[:, :, None], 0.0).max(1).values


def responses(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(B, T, D), (F, D, W), (F,) -> (B, N, F), response of each filter to each window."""
    return _responses(x, _channels_last(weight), bias)


def conv1d_responses(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same by torch's one-dimensional convolution: the slow twin."""
    return F.conv1d(x.transpose(1, 2), weight, bias).transpose(1, 2)


def _channels_last(weight: Tensor) -> Tensor:
    """(F, D, W) -> (F, D, 1, W) that lies in memory as (F, W, D)."""
    return weight.transpose(1, 2).contiguous().transpose(1, 2).unsqueeze(2)


def _responses(x: Tensor, filters: Tensor, bias: Tensor) -> Tensor:
    image = x.transpose(1, 2).unsqueeze(2)  # (B, D, 1, T), channels last
    return F.conv2d(image, filters, bias).squeeze(2).transpose(1, 2)


def _pool(responses: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
    """Maximum over the windows that count and 0, (B, F), and the window where it lies (the first one)."""
    outside = torch.arange(responses.shape[1], device=windows.device) >= windows[:, None]
    if responses.requires_grad or fixed_shapes(responses) or outside.any():
        # Below ReLU's floor all are equal, so a 0 never wins over a window inside the text.
        responses = responses.masked_fill(outside[:, :, None], 0.0)
    largest, where = responses.max(1)
    return F.relu(largest), where


class _MaxOverTime(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, windows: Tensor) -> Tensor:
        filters = _channels_last(weight)
        pooled, where = _pool(_responses(x, filters, bias), windows)
        ctx.save_for_backward(x, filters, pooled, where)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight, pooled, where = ctx.saved_tensors
        (rows, length, _), (filters, dimensions, _, width) = x.shape, weight.shape
        gradient = gradient * (pooled > 0)
        # Number of the first word of each filter's window, among all B * T words; then of all its words.
        first = torch.arange(rows, device=x.device)[:, None] * length + where
        words = first[:, :, None] + torch.arange(width, device=x.device)  # (B, F, W)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[1]:
            # Entry (f, w): sum over b of gradient[b, f] * x[word]. A bag is a row of B words.
            bags = words.permute(1, 2, 0).reshape(-1, rows)
            by_bag = gradient.t()[:, None, :].expand(-1, width, -1).reshape(-1, rows)
            grad_weight = F.embedding_bag(
                bags, x.reshape(-1, dimensions), per_sample_weights=by_bag, mode="sum"
            )
            grad_weight = grad_weight.view(filters, width, dimensions).transpose(1, 2)
        if ctx.needs_input_grad[0]:
            # A word's bag holds the columns (f, w) of the windows that chose it.
            sorted_words, order = words.flatten().sort()
            offsets = torch.searchsorted(sorted_words, torch.arange(rows * length, device=x.device))
            column = torch.arange(filters * width, device=x.device).repeat(rows)
            by_column = gradient[:, :, None].expand(-1, -1, width).flatten()
            table = weight.permute(0, 2, 3, 1).reshape(-1, dimensions)  # a view
            grad_x = F.embedding_bag(
                column[order], table, offsets, per_sample_weights=by_column[order], mode="sum"
            ).view_as(x)
        return grad_x, grad_weight, gradient.sum(0), None
