"""What several files share: log-softmax, sigmoid, softplus, unit vectors, ranks, sums over an axis."""

from __future__ import annotations

import numpy as np

from .checks import Bools, Floats
from .contract import contract


def sum_over(x: Floats, axis: int | tuple[int, ...]) -> Floats:
    """Sum over `axis`, which stays as 1."""
    return np.asarray(np.sum(x, axis=axis, keepdims=True))


def mean(x: Floats, axis: int) -> Floats:
    """Mean over `axis`, which goes."""
    return np.asarray(np.mean(x, axis=axis))


def largest(x: Floats, axis: int | tuple[int, ...]) -> Floats:
    """max |x| over `axis`, which stays as 1; 0 over nothing."""
    return np.asarray(np.max(np.abs(x), axis=axis, keepdims=True, initial=0))


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), with full relative precision in both tails (keep probabilities are divided by)."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def softplus(x: float) -> float:
    """ln(1 + exp(x)) of a number."""
    return float(np.logaddexp(0.0, x))


def unit(g: Floats, axis: int | tuple[int, ...]) -> Floats:
    """g / ||g||_2 along `axis`; zero where the vector is zero or not finite.

    Dividing by the largest entry first keeps the squares from overflowing and from vanishing.
    """
    size = largest(g, axis)
    usable = np.isfinite(size) & (size > 0)
    g = np.where(usable, g / np.where(usable, size, 1), 0)
    return g / np.where(usable, np.sqrt(sum_over(g * g, axis)), 1)


def mid_ranks(x: Floats) -> Floats:
    """Ranks 0 .. n-1, ascending; equal values share the middle of their ranks. (n,) -> (n,)."""
    _, group, size = np.unique(x, return_inverse=True, return_counts=True)
    first = np.cumsum(size) - size
    return (first + (size - 1) / 2)[group.reshape(x.shape)]


@contract(logits="floats (..., C > 0)")
def log_softmax(logits: Floats) -> Floats:
    """ln P over the last axis. (..., C) -> (..., C)."""
    top: Floats = logits.max(axis=-1, keepdims=True)
    return logits - top - np.log(sum_over(np.exp(logits - top), axis=-1))


def examples(x: Floats) -> int:
    """N of (.., N, C), and 1 for an empty batch, whose loss is then 0."""
    return max(int(x.shape[-2]), 1)


def real_tokens(mask: Bools | None, x: Floats) -> Bools:
    """The (B, T) mask of real tokens of x (B, T, D); without a mask every position is one."""
    return np.ones(x.shape[:2], dtype=bool) if mask is None else mask
