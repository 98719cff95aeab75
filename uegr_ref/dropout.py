"""Adaptive dropout: units whose activations carry large gradients are dropped more often.

    n_u     = sqrt( mean over real positions of G[b, t, u]^2 ),   G = dL_clean/dh'
    a_u     = n_u^gamma / mean_u n_u^gamma
    q_u     = clip(c a_u, q_min, q_max),   c >= 0 such that mean_u q_u = r
    m[.,u]  ~ Bernoulli(1 - q_u) independently;   h' = h m / (1 - q_u)

Inferred: the paper states the direction (units with large gradient norms are suppressed); no formula survives
in its available text.

    h, h'   h                (B, T, U) or (B, U)   input and output of a dropout site; u unit
    G       gradient         as h                  taken at the site's *output*: no factor 1/(1-q) in it
    n       norms            (U,)
    q       rates            (U,)                  drop probabilities, constants to the gradient
    r       base_rate        in [q_min, q_max]     the prescribed mean of q over the units, met exactly
    m       mask             as h, bool            True = kept

E_m[h'] = h. At evaluation a site is the identity. `kind` gives the alternatives ("uniform" is ordinary
dropout); an attribution statistic is `gradient_norm(h * G)`; one rate a site is `layer_rates`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .support.checks import Bools, Floats
from .support.contract import contract, one_of
from .support.numeric import mean, mid_ranks, sigmoid

KINDS = ("mean", "rank", "logistic", "inverse", "uniform")
RATES = {
    "q_max": "number in [0, 1)",
    "q_min": "number in [0, q_max]",
    "base_rate": "number in [q_min, q_max]",
    "gamma": "number in [0, inf)",
    "kind": one_of(KINDS),
}


@contract(gradient="any floats (B, ..., U)", mask="bools (B, ...)")
def gradient_norm(gradient: Floats, mask: Bools | None = None) -> Floats:
    """n: root mean square of each unit's gradient over the real tokens. (B, T, U) or (B, U) -> (U,).

    mask: (B, T) or (B,), True = real. With nothing real n is zero.
    """
    real = gradient if mask is None else gradient[mask]
    units = gradient.shape[-1]
    rows = real.reshape(-1, units) if real.size else np.zeros((1, units), gradient.dtype)
    with np.errstate(over="ignore"):
        return np.sqrt(mean(rows * rows, axis=0))


@contract(norms="any floats (U) in [0, inf]", **RATES)
def drop_rates(
    norms: Floats,
    base_rate: float,
    gamma: float = 1.0,
    kind: str = "mean",
    q_min: float = 0.0,
    q_max: float = 0.95,
) -> Floats:
    """q: drop probabilities with mean exactly `base_rate`, larger where the norm is larger. (U,) -> (U,).

    kind        a_u, before division by its mean         q_u
    mean        n_u^gamma                                clip(c a_u, q_min, q_max)
    rank        2 rank(n_u) / (U - 1), ties share        the same; gamma is not used (0: uniform)
    inverse     max n^gamma + min n^gamma - n_u^gamma    the same; a control, smaller where the norm is larger
    logistic    -                                        clip(sigmoid(c + gamma zscore(n_u)), q_min, q_max)
    uniform     1                                        base_rate

    Norms that are all zero or not all finite give `base_rate` everywhere. Units with a_u = 0 rise above q_min
    only where the others, all at q_max, cannot make up the mean.

    >>> drop_rates([1.0, 3.0], 0.1)
    array([0.05, 0.15])
    """
    if kind == "uniform" or gamma == 0 or not np.isfinite(norms).all() or not norms.any():
        return np.full_like(norms, base_rate)
    x = norms.astype(np.float64) / float(norms.max())
    if kind == "logistic":
        return _solve_logistic(gamma * _zscore(x), base_rate, q_min, q_max).astype(norms.dtype)
    power = x**gamma
    shares = {"mean": power, "rank": mid_ranks(norms), "inverse": 1 + power.min() - power}[kind]
    return _solve_clipped(shares, base_rate, q_min, q_max).astype(norms.dtype)


def _zscore(x: Floats) -> Floats:
    spread = float(x.std())
    return (x - float(x.mean())) / spread if spread > 1e-12 else np.zeros_like(x)


def _solve_clipped(a: Floats, base_rate: float, low: float, high: float) -> Floats:
    """clip(c a, low, high) with the prescribed mean, solved exactly.

    The sum over u is piecewise linear in c and bends where some c a_u meets low or high. Halving the list of
    bends finds the piece; there c is one division.
    """
    asked = base_rate * float(a.size)
    a = a / a.max() if a.any() else np.ones_like(a)
    a[a < 1e-200] = 0
    positive = a[a > 0]
    if positive.size * high + (a.size - positive.size) * low <= asked:
        rest = (asked - positive.size * high) / max(a.size - positive.size, 1)
        return np.where(a > 0, high, min(rest, high))
    bends: Floats = np.sort(np.concatenate([[0.0], low / positive, high / positive]))
    left, right = 0, len(bends) - 1
    while right - left > 1:
        middle = (left + right) // 2
        below = np.clip(bends[middle] * a, low, high).sum() <= asked
        left, right = (middle, right) if below else (left, middle)
    inside = 0.5 * (bends[left] + bends[right]) * a
    free = (inside > low) & (inside < high)
    c = float(bends[left])
    if free.any():
        c = float((asked - low * np.sum(inside <= low) - high * np.sum(inside >= high)) / a[free].sum())
    return np.clip(c * a, low, high)


def _solve_logistic(x: Floats, base_rate: float, low: float, high: float) -> Floats:
    """clip(sigmoid(c + x), low, high) with the prescribed mean, which rises with c: c is found by halving."""
    left, right = -800.0 - np.abs(x).max(), 800.0 + np.abs(x).max()
    for _ in range(80):  # halves of 1600 down to rounding
        middle = 0.5 * (left + right)
        below = np.clip(sigmoid(middle + x), low, high).mean() < base_rate
        left, right = (middle, right) if below else (left, middle)
    return np.clip(sigmoid(left + x), low, high)


@contract(norms_of_sites="each any floats (U) in [0, inf]", **RATES)
def layer_rates(
    norms_of_sites: Sequence[Floats],
    base_rate: float,
    gamma: float = 1.0,
    kind: str = "mean",
    q_min: float = 0.0,
    q_max: float = 0.95,
) -> Floats:
    """One drop probability a site, by the site's mean norm; their mean is `base_rate`. S x (U_s,) -> (S,)."""
    means = np.array([n.mean() if n.size else 0.0 for n in norms_of_sites])
    return drop_rates(means, base_rate, gamma, kind, q_min, q_max)


@contract(shape="shape (..., U)", rates="floats (U) in [0, 1)", rng="generator")
def dropout_mask(rates: Floats, shape: tuple[int, ...], rng: np.random.Generator) -> Bools:
    """m ~ Bernoulli(1 - q_u), independent over all entries of `shape` (.., U). True = kept."""
    return rng.random(shape) >= rates


@contract(h="floats (..., U)", mask="bools (..., U)", rates="floats (U) in [0, 1)")
def apply_dropout(h: Floats, mask: Bools, rates: Floats) -> Floats:
    """h' = h m / (1 - q): inverted scaling, so E_m[h'] = h. h and mask (.., U), rates (U,) -> as h."""
    return np.where(mask, h / (1 - rates).astype(h.dtype), 0)


@contract(gradient="floats (..., U)", mask="bools (..., U)", rates="floats (U) in [0, 1)")
def apply_dropout_grad(gradient: Floats, mask: Bools, rates: Floats) -> Floats:
    """dL/dh from dL/dh': the same factor m / (1 - q). The rates are constants."""
    return apply_dropout(gradient, mask, rates)
