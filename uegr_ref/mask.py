"""Eq. 9 and the selective update: keep a gradient entry with a probability that rises with its saliency.

    (9)  p_i = 1 / (1 + exp(2 b (a - s~_i)))               two coefficients stated, the form is RoAST's
         m_i ~ Bernoulli(p_i)                              stated
         theta <- theta - eta * (1/p) m grad L             stated, entry by entry (Theorem 1)

    s~   normalised    any shape    in [0, 1]
    a    a             in [0, 1]    threshold: p = 1/2 at s~ = a           (paper: masking ratio)
    b    b             > 0          sharpness: b -> infinity is the step 1[s~ > a]
    p    p             as s~        keep probability, in (0, 1]
    m    mask          as s~, bool  True = updated

With s~ uniform on [0, 1], as ranks are, the means of p and of 1/p have closed forms, given below. Clip
gradients before the mask: clipping after it breaks the unbiasedness.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .checks import Bools, Floats
from .numeric import sigmoid, softplus


def keep_probability(normalised: ArrayLike, a: float, b: float, p_floor: float = 0.0) -> Floats:
    """Eq. 9: max(sigmoid(2 b (s~ - a)), p_floor), increasing in s~. Sample *and* rescale with this same p.

    >>> keep_probability([0.6], a=0.6, b=5)
    array([0.5])
    """
    s = checks.within("normalised", normalised, 0, 1)
    a, b = _coefficients(a, b)
    return np.maximum(sigmoid(2 * b * (s - a)), checks.number("p_floor", p_floor, 0, 1))


def _coefficients(a: float, b: float) -> tuple[float, float]:
    return checks.number("a", a, 0, 1), checks.number("b", b, 0, open_low=True)


def hard_keep_probability(normalised: ArrayLike, a: float) -> Floats:
    """The limit b -> infinity of Eq. 9: 1 where s~ > a, else 0. A 0 has no 1/p: use `masked_gradient`."""
    s = checks.within("normalised", normalised, 0, 1)
    return (s > checks.number("a", a, 0, 1)).astype(s.dtype)


def bernoulli_mask(p: ArrayLike, rng: np.random.Generator) -> Bools:
    """m ~ Bernoulli(p), independent for every entry. p in [0, 1] -> bool of its shape, True = updated."""
    p = checks.within("p", p, 0, 1)
    return checks.generator(rng).random(p.shape) < p


def unbiased_gradient(gradient: ArrayLike, mask: ArrayLike, p: ArrayLike) -> Floats:
    """g / p where kept, 0 elsewhere: its mean over masks is g (Theorem 1). All of one shape; p in (0, 1]."""
    g = checks.floats("gradient", gradient)
    m = checks.bools("mask", mask, g.shape)
    p = checks.within("p", p, 0, 1, g.shape, open_low=True)
    return np.where(m, g / p.astype(g.dtype), 0)


def masked_gradient(gradient: ArrayLike, mask: ArrayLike) -> Floats:
    """The same without 1/p, an ablation: its mean over masks is p g, which is biased."""
    g = checks.floats("gradient", gradient)
    return np.where(checks.bools("mask", mask, g.shape), g, 0)


def mean_keep(a: float, b: float) -> float:
    """Mean of p for s~ uniform on [0, 1]: the share of entries updated.

    >>> round(mean_keep(0.6, 1), 3)
    0.454
    """
    a, b = _coefficients(a, b)
    return (softplus(2 * b * (1 - a)) - softplus(-2 * b * a)) / (2 * b)


def mean_inverse_keep(a: float, b: float) -> float:
    """Mean of 1/p for s~ uniform on [0, 1]: how a zero-mean gradient's variance grows; inf if too large."""
    a, b = _coefficients(a, b)
    if 2 * b * a > 700:
        return math.inf
    return 1 + (math.exp(2 * b * a) - math.exp(-2 * b * (1 - a))) / (2 * b)
