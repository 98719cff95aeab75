"""Drop rates with a prescribed mean from gradient norms (uegr.md section 2).

    n_u = sqrt( mean over valid positions of G[b, t, u]^2 ),  G = dL_clean / d(output of the site)
    a_u = n_u^gamma / mean n^gamma,   q_u = clip(c * a_u, q_min, q_max),   c such that mean_u q_u = r

Index letters: K passes (each with its base rate r_k), B examples, T positions, U units.
"""

from __future__ import annotations

import torch
from torch import Tensor


def gradient_norm(gradient: Tensor, mask: Tensor | None = None, by_example: bool = False) -> Tensor:
    """Root mean square of (B, [T,] U) over the valid positions -> (U,), or (B, U) `by_example`."""
    squared = gradient.square()
    if gradient.dim() == 2:
        return squared.sqrt() if by_example else squared.mean(0).sqrt()
    valid = torch.ones_like(squared[:, :, :1]) if mask is None else mask[:, :, None].to(squared.dtype)
    over = (1,) if by_example else (0, 1)
    return ((squared * valid).sum(over) / valid.sum(over).clamp_min(1)).sqrt()


def drop_rates(
    norms: Tensor,
    base_rates: Tensor,
    kind: str = "mean",
    gamma: float = 1.0,
    q_min: float = 0.0,
    q_max: float = 0.95,
) -> Tensor:
    """Drop probabilities (K, ..., U) whose mean over U is base_rates[k], from norms (..., U).

    Args:
        norms: gradient norms, >= 0. All zero or not finite gives the base rate for every unit.
        base_rates: (K,) in [0, q_max].
        kind: uniform | mean | rank | logistic | inverse.
        gamma: exponent of the norm; 0 gives uniform rates.
    """
    norms = norms.double()
    target = base_rates.to(norms).view(-1, *[1] * norms.dim())
    flat = target.expand(-1, *norms.shape)
    if kind == "uniform" or gamma == 0 or norms.shape[-1] == 1:
        return flat
    usable = torch.isfinite(norms).all(-1, keepdim=True) & (norms > 0).any(-1, keepdim=True)
    norms = torch.where(usable, norms, 1.0)
    if kind == "logistic":
        rates = _solve_logistic(norms, target, gamma, q_min, q_max)
    else:
        rates = _solve_clipped(_activity(norms, kind, gamma), target, q_min, q_max)
    return torch.where(usable, rates, flat)


def _activity(norms: Tensor, kind: str, gamma: float) -> Tensor:
    """The a_u that the rates are proportional to, with mean 1."""
    if kind == "rank":
        norms = mid_ranks(norms)
    elif kind == "inverse":
        norms = norms.amax(-1, keepdim=True) + norms.amin(-1, keepdim=True) - norms
    activity = (norms / norms.amax(-1, keepdim=True).clamp_min(1e-300)) ** gamma
    return activity / activity.mean(-1, keepdim=True)


def mid_ranks(x: Tensor) -> Tensor:
    """Ranks 0 .. U-1 over the last axis, ties sharing their mean rank."""
    ordered = x.sort(-1).values
    below = torch.searchsorted(ordered, x.contiguous(), right=False)
    up_to = torch.searchsorted(ordered, x.contiguous(), right=True)
    return (below + up_to - 1).to(x.dtype) / 2


def _solve_clipped(activity: Tensor, target: Tensor, q_min: float, q_max: float) -> Tensor:
    """clip(c * a, q_min, q_max) with mean `target`, exactly: the mean is piecewise linear in c.

    Its slope gains a_u / U where unit u leaves q_min (at q_min / a_u) and loses it again where the unit
    reaches q_max; so sort these points, sum up the slopes, and interpolate in the right segment. Units
    with a_u = 0 stay at q_min; where they keep the mean out of reach, all others are at q_max.
    """
    units = activity.shape[-1]
    safe = activity.clamp_min(1e-30)
    points, order = torch.cat([q_min / safe, q_max / safe], -1).sort(-1)
    slope = torch.cat([activity, -activity], -1).gather(-1, order).cumsum(-1) / units
    gains = slope[..., :-1] * points.diff(dim=-1)
    means = q_min + torch.cat([torch.zeros_like(gains[..., :1]), gains.cumsum(-1)], -1)
    means = means.expand(*target.shape[:-1], -1).contiguous()
    segment = (torch.searchsorted(means, target.expand(*means.shape[:-1], 1).contiguous()) - 1).clamp(
        0, means.shape[-1] - 2
    )
    expand = means.shape
    left, height = points.expand(expand).gather(-1, segment), means.gather(-1, segment)
    rise = slope.expand(expand).gather(-1, segment).clamp_min(1e-30)
    c = left + (target - height).clamp_min(0) / rise
    return (c * activity).clamp(q_min, q_max)


def _solve_logistic(norms: Tensor, target: Tensor, gamma: float, q_min: float, q_max: float) -> Tensor:
    """clip(sigmoid(b + gamma * z-score(n)), q_min, q_max) with mean `target`; b by bisection."""
    spread = norms.std(-1, correction=0, keepdim=True)
    z = gamma * (norms - norms.mean(-1, keepdim=True)) / spread.clamp_min(1e-300)
    z = torch.where(spread > 0, z, 0.0)
    low = torch.full_like(target.expand(*target.shape[:1], *z.shape[:-1], 1), -800.0)
    high = -low
    for _ in range(80):
        middle = (low + high) / 2
        too_low = torch.sigmoid(middle + z).clamp(q_min, q_max).mean(-1, keepdim=True) < target
        low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
    return torch.sigmoid(high + z).clamp(q_min, q_max)
