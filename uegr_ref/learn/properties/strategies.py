"""What the properties draw: shapes, arrays and generators; and how a refusal must read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ...support.checks import Bools, Floats
from .law import holds

seeds = st.integers(0, 2**32 - 1)
rngs = seeds.map(np.random.default_rng)
dtypes = st.sampled_from([np.float32, np.float64])


def sizes(least: int = 1, most: int = 4) -> st.SearchStrategy[int]:
    """A small size of an axis."""
    return st.integers(least, most)


def reals(limit: float = 10.0) -> st.SearchStrategy[float]:
    """Moderate numbers, exact zeros and ties among them."""
    smooth = st.floats(-limit, limit, allow_subnormal=False)
    return st.one_of(smooth, st.sampled_from([0.0, 1.0, -1.0, limit, -limit]))


def tensors(*shape: int, limit: float = 10.0) -> st.SearchStrategy[Floats]:
    """Arrays of such numbers."""
    return arrays(np.float64, shape, elements=reals(limit), fill=st.nothing())


@st.composite
def gradients(draw: Callable[..., Any], least: int = 1) -> tuple[Floats, Bools]:
    """A gradient (B, T, D) and a mask (B, T) of real tokens at the front of each text."""
    b, t, d = draw(sizes(least)), draw(sizes()), draw(sizes())
    lengths = draw(arrays(np.int64, b, elements=st.integers(0, t)))
    return draw(tensors(b, t, d)), np.arange(t) < lengths[:, None]


@st.composite
def logits_of(draw: Callable[..., Any], *leading: st.SearchStrategy[int], limit: float = 20.0) -> Floats:
    """Logits of a drawn shape (.., C)."""
    shape = [draw(size) for size in leading]
    logits: Floats = draw(tensors(*shape, draw(sizes(1, 4)), limit=limit))
    return logits


def refused(name: str, call: Callable[[], object]) -> None:
    """The call raises a ValueError of one line that names the argument, what it got and what it wants."""
    try:
        call()
    except ValueError as error:
        message = str(error)
    else:
        message = "no ValueError"
    holds(
        message.startswith(name) and ": got " in message and ", wanted " in message and "\n" not in message,
        f"what is wrong with {name} should be refused in one line, got: {message}",
    )


def binomial_alarm(kept: Floats, draws: int, p: Floats, chance: float) -> bool:
    """Whether any count is further from draws * p than an honest sampler gets with that chance.

    Chernoff's bound on the binomial tail: P(count / draws beyond x) <= exp(-draws * KL(x || p)) on each side.
    """
    x, p = np.asarray(kept) / draws, np.asarray(p)
    with np.errstate(divide="ignore", invalid="ignore"):
        nats = np.where(x > 0, x * np.log(x / p), 0) + np.where(x < 1, (1 - x) * np.log((1 - x) / (1 - p)), 0)
    return bool(draws * np.max(nats) > math.log(2 * p.size / chance))
