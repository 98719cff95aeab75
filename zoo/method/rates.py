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
    """What the rates are proportional to, largest 1: n^gamma, the rank, or (control) their opposite."""
    power = (norms / norms.amax(-1, keepdim=True)) ** gamma
    if kind == "rank":
        power = mid_ranks(norms)
    elif kind == "inverse":
        power = 1 + power.amin(-1, keepdim=True) - power
    largest = power.amax(-1, keepdim=True)
    return torch.where(largest > 0, power / largest, 1.0)


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
    with a_u = 0 rise above q_min only where the others, all at q_max, cannot make up the mean.
    """
    units = activity.shape[-1]
    safe = activity.clamp_min(1e-200)
    points, order = torch.cat([q_min / safe, q_max / safe], -1).sort(-1)
    slope = torch.cat([activity, -activity], -1).gather(-1, order).cumsum(-1) / units
    gains = slope[..., :-1].clamp_min(0) * points.diff(dim=-1)
    means = q_min + torch.cat([torch.zeros_like(gains[..., :1]), gains.cumsum(-1)], -1)
    shape = torch.broadcast_shapes(means.shape, target.shape[:-1] + means.shape[-1:])
    means, points = means.expand(shape).contiguous(), points.expand(shape)
    wanted = target.expand(*shape[:-1], 1).contiguous()
    segment = (torch.searchsorted(means, wanted) - 1).clamp(0, shape[-1] - 2)
    # In the middle of the segment it is plain which units lie between the limits; the rest is one division.
    middle = (points.gather(-1, segment) + points.gather(-1, segment + 1)) / 2 * activity
    free = (middle > q_min) & (middle < q_max)
    low, high = (x.sum(-1, keepdim=True).to(activity) for x in (middle <= q_min, middle >= q_max))
    limits = q_min * low + q_max * high
    c = (wanted * units - limits) / (free * activity).sum(-1, keepdim=True).clamp_min(1e-200)
    rates = torch.where(free, c * activity, middle).clamp(q_min, q_max)
    positive = activity > 0
    many = positive.sum(-1, keepdim=True).to(activity)
    rest = (target * units - many * q_max) / (units - many).clamp_min(1)
    out_of_reach = many * q_max + (units - many) * q_min <= target * units
    # torch.where takes a Python number as float32, so give it a tensor.
    at_the_limit = torch.where(positive, rest.new_tensor(q_max), rest.clamp(q_min, q_max))
    return torch.where(out_of_reach, at_the_limit, rates)


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
