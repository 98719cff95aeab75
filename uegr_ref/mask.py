"""Eq. 9 and the selective update: keep a gradient entry with a probability that rises with its saliency.

    (9)  p_i = 1 / (1 + exp(2 b (a - s~_i)))               two coefficients stated, the form is RoAST's
         m_i ~ Bernoulli(p_i)                              stated
         theta <- theta - eta * (1/p) m grad L             stated, entry by entry (Theorem 1)

    s~   normalised    any shape    in [0, 1]
    a    threshold     in [0, 1]    p = 1/2 at s~ = a                         (paper: masking ratio)
    b    sharpness     > 0          b -> infinity is the step 1[s~ > a]       (paper: smoothness)
    p    p             as s~        keep probability, in (0, 1]
    m    mask          as s~, bool  True = updated

With s~ uniform on [0, 1], as ranks are, the means of p and of 1/p have closed forms, given below. Clip
gradients before the mask: clipping after it breaks the unbiasedness.
"""

from __future__ import annotations

import math

import numpy as np

from .support.checks import Bools, Floats
from .support.contract import contract
from .support.numeric import sigmoid, softplus


@contract(
    normalised="floats (...) in [0, 1]",
    threshold="number in [0, 1]",
    sharpness="number in (0, inf)",
    p_floor="number in [0, 1]",
)
def keep_probability(normalised: Floats, threshold: float, sharpness: float, p_floor: float = 0.0) -> Floats:
    """Eq. 9: max(sigmoid(2 b (s~ - a)), p_floor), increasing in s~. Sample *and* rescale with this same p.

    >>> keep_probability([0.6], threshold=0.6, sharpness=5)
    array([0.5])
    """
    return np.maximum(sigmoid(2 * sharpness * (normalised - threshold)), p_floor)


@contract(normalised="floats (...) in [0, 1]", threshold="number in [0, 1]")
def hard_keep_probability(normalised: Floats, threshold: float) -> Floats:
    """The limit b -> infinity of Eq. 9: 1 where s~ > a, else 0. A 0 has no 1/p: use `masked_gradient`."""
    return (normalised > threshold).astype(normalised.dtype)


@contract(p="floats (...) in [0, 1]", rng="generator")
def bernoulli_mask(p: Floats, rng: np.random.Generator) -> Bools:
    """m ~ Bernoulli(p), independent for every entry. p in [0, 1] -> bool of its shape, True = updated."""
    return rng.random(p.shape) < p


@contract(gradient="floats (...)", mask="bools (...)", p="floats (...) in (0, 1]")
def unbiased_gradient(gradient: Floats, mask: Bools, p: Floats) -> Floats:
    """g / p where kept, 0 elsewhere: its mean over masks is g (Theorem 1). All of one shape; p in (0, 1]."""
    return np.where(mask, gradient / p.astype(gradient.dtype), 0)


@contract(gradient="floats (...)", mask="bools (...)")
def masked_gradient(gradient: Floats, mask: Bools) -> Floats:
    """The same without 1/p, an ablation: its mean over masks is p g, which is biased."""
    return np.where(mask, gradient, 0)


@contract(threshold="number in [0, 1]", sharpness="number in (0, inf)")
def mean_keep(threshold: float, sharpness: float) -> float:
    """Mean of p for s~ uniform on [0, 1]: the share of entries updated.

    >>> round(mean_keep(0.6, 1), 3)
    0.454
    """
    a, b = threshold, sharpness
    return (softplus(2 * b * (1 - a)) - softplus(-2 * b * a)) / (2 * b)


@contract(threshold="number in [0, 1]", sharpness="number in (0, inf)")
def mean_inverse_keep(threshold: float, sharpness: float) -> float:
    """Mean of 1/p for s~ uniform on [0, 1]: how a zero-mean gradient's variance grows; inf if too large."""
    a, b = threshold, sharpness
    if 2 * b * a > 700:
        return math.inf
    return 1 + (math.exp(2 * b * a) - math.exp(-2 * b * (1 - a))) / (2 * b)
