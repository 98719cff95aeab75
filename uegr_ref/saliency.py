"""Eq. 7-8: how much each parameter matters to this batch, and that on a scale of 0 to 1.

    (7)  s  = diag( sum g g' ) = sum g * g,   g = dL/dtheta               stated; approximated by the batch
    (8)  s~ = rank(s) / (d - 1),  rank 0 .. d-1 ascending, all jointly    RoAST; stated is only "normalized"

    g     gradient      (d,)    all parameters, flat: the caller concatenates, so the ranking is joint
    s     saliency      (d,)    >= 0
    s~    normalised    (d,)    in [0, 1]

With L a mean over B examples the batch form is (mean_b g_b)^2, not mean_b g_b^2: E s is mu^2 + sigma^2 / B
against mu^2 + sigma^2, so it favours gradients that agree.

Zeros take no part in a normalisation by rank or logarithm and get 0.0: a batch leaves the embedding rows of
absent words at exactly zero, which would otherwise fill the lower ranks and switch the selection off. Where
all entries are equal, or there is only one, they get 0.5: the mean rank of the non-zero is always 1/2.
Min-max is degenerate on squared gradients, whose heavy tails push all but a few entries to 0.
"""

from __future__ import annotations

import numpy as np

from .support.checks import Floats
from .support.contract import contract
from .support.numeric import mean, mid_ranks


@contract(gradient="floats (...)")
def batch_saliency(gradient: Floats) -> Floats:
    """Eq. 7 from one mini-batch: gbar * gbar (default). (d,) -> (d,)."""
    return gradient * gradient


@contract(gradient="floats (...)", previous="floats (...) in [0, inf]", rho="number in [0, 1]")
def ema_saliency(previous: Floats, gradient: Floats, rho: float) -> Floats:
    """Eq. 7 averaged over steps: rho * previous + (1 - rho) * gbar * gbar. (d,), (d,) -> (d,)."""
    return rho * previous + (1 - rho) * batch_saliency(gradient)


@contract(batch_gradients="floats (M > 0, d)")
def epoch_saliency(batch_gradients: Floats) -> Floats:
    """Eq. 7 from an epoch: mean over its M batches of gbar * gbar, used in the next epoch. (M, d) -> (d,)."""
    return mean(batch_gradients * batch_gradients, axis=0)


@contract(sample_gradients="floats (B > 0, d)")
def per_sample_saliency(sample_gradients: Floats) -> Floats:
    """Eq. 7 read literally, over B: mean of the examples' g_b * g_b, the empirical Fisher. (B, d) -> (d,)."""
    return mean(sample_gradients * sample_gradients, axis=0)


@contract(saliency="floats (d) in [0, inf]")
def rank_normalise(saliency: Floats) -> Floats:
    """Eq. 8: rank / (n - 1) of the n non-zero entries; ties share the middle rank; zeros get 0. (d,) -> (d,).

    >>> rank_normalise([0.0, 4.0, 0.1, 4.0, 9.0])
    array([0. , 0.5, 0. , 0.5, 1. ])
    """
    normalised = np.zeros_like(saliency)
    matters = saliency > 0
    n = int(matters.sum())
    normalised[matters] = mid_ranks(saliency[matters]) / (n - 1) if n > 1 else 0.5
    return normalised


@contract(saliency="floats (d) in [0, inf]")
def minmax_normalise(saliency: Floats) -> Floats:
    """Eq. 8, other reading: (s - min s) / (max s - min s), zeros included. (d,) -> (d,)."""
    return _minmax(saliency)


@contract(saliency="floats (d) in [0, inf]")
def log_minmax_normalise(saliency: Floats) -> Floats:
    """Eq. 8, other reading: min-max of ln s over the non-zero entries; zeros get 0. (d,) -> (d,)."""
    normalised = np.zeros_like(saliency)
    matters = saliency > 0
    normalised[matters] = _minmax(np.log(saliency[matters]))
    return normalised


def _minmax(x: Floats) -> Floats:
    if x.size == 0 or x.max() == x.min():
        return np.full_like(x, 0.5)
    low, high = float(x.min()), float(x.max())
    return (x - low) / (high - low)


NORMALISERS = {"rank": rank_normalise, "minmax": minmax_normalise, "log_minmax": log_minmax_normalise}
