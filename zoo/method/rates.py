"""Drop rates with a prescribed mean from gradient norms.

    n_u = sqrt( mean over valid positions of G[b, t, u]^2 ),  G = dL_clean / d(output of the site)
    a_u = n_u^gamma / mean n^gamma,   q_u = clip(c * a_u, q_min, q_max),   c such that mean_u q_u = r

Index letters: K passes (each with its base rate r_k), B examples, T positions, U units.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.core.errors import UserError
from zoo.core.options import one_of
from zoo.fast.shapes import fixed_shapes
from zoo.fast.widest import widened, widest

KINDS = ("uniform", "mean", "rank", "logistic", "inverse")


def uniform(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Uniform numbers in [0, 1) on the device of `like`, in its type but never in less than float32.

    In 8 bits of mantissa P(u < 0.01) is off by a fifth.
    """
    kind = like.dtype if like.dtype.itemsize >= 4 else torch.float32
    return torch.rand(tuple(shape), generator=generator, device=like.device, dtype=kind)


def root(x: Tensor) -> Tensor:
    """Square root by way of the widest type; in float32 it may be MKL's, whose last bits are the processor's.

    Of whole numbers it is in that type: their own would cut it off.
    """
    exact = widened(x).sqrt()
    return exact.to(x.dtype) if x.is_floating_point() else exact


def embedding_rms(vectors: Tensor, mask: Tensor) -> Tensor:
    """Root mean square of the entries of the valid word vectors: the unit of a relative epsilon.

    (..., B, T, D), (..., B, T) -> (...): of each batch.
    """
    valid = mask.to(vectors.dtype)
    count = (valid.sum((-2, -1)) * vectors.shape[-1]).clamp_min(1)
    squares = torch.linalg.vector_norm(vectors, dim=-1).square()  # by word: one pass, no copy
    return root(squares.mul(valid).sum((-2, -1)) / count)


def gradient_norm(gradient: Tensor, mask: Tensor | None = None, by_example: bool = False) -> Tensor:
    """Root mean square of (B, [T,] U) over the valid positions -> (U,), or (B, U) `by_example`."""
    squared = (gradient if gradient.dtype.itemsize >= 4 else gradient.float()).square()
    if gradient.dim() == 2:
        return root(squared if by_example else squared.mean(0))
    valid = torch.ones_like(squared[:, :, 0]) if mask is None else mask.to(squared.dtype)
    if by_example:
        return root((valid[:, None] @ squared).squeeze(1) / valid.sum(1, keepdim=True).clamp_min(1))
    return root(valid.flatten() @ squared.flatten(0, 1) / valid.sum().clamp_min(1))


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

    Raises:
        UserError: another kind.
    """
    if kind not in KINDS:
        raise UserError(f"kind={kind!r}: expected {one_of(kind, KINDS)}")
    if widest(norms.device) == torch.float64:
        return _solved(norms.double(), base_rates, kind, gamma, q_min, q_max)
    there = _solved(norms.cpu().double(), base_rates.cpu(), kind, gamma, q_min, q_max)
    return there.float().to(norms.device)


def _solved(norms: Tensor, base_rates: Tensor, kind: str, gamma: float, q_min: float, q_max: float) -> Tensor:
    """`drop_rates` in float64: in less, sums over rates that differ by many powers of ten miss the mean."""
    target = base_rates.to(norms).view(-1, *[1] * norms.dim())
    flat = target.expand(-1, *norms.shape)
    if kind == "uniform" or gamma == 0 or norms.shape[-1] == 1:
        return flat
    largest = norms.amax(-1, keepdim=True)  # not a number, where one is none
    usable = (largest > 0) & (largest < torch.inf)
    norms = torch.where(usable, norms, 1.0)
    if kind == "logistic":
        rates = _solve_logistic(norms, target, gamma, q_min, q_max)
    else:
        rates = _solve_clipped(_activity(norms, kind, gamma), target, q_min, q_max)
    return torch.where(usable, rates, flat)


def _activity(norms: Tensor, kind: str, gamma: float) -> Tensor:
    """What the rates are proportional to, largest 1: n^gamma, the rank, or (control) their opposite."""
    power = (norms / norms.amax(-1, keepdim=True)) ** gamma
    if kind == "mean":
        return power  # the largest is 1 already
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
    """clip(c * a, q_min, q_max) with mean `target`, exactly. Units with a_u = 0 rise above q_min only where
    the others, all at q_max, cannot make up the mean.
    """
    if not fixed_shapes(activity):  # then values may be looked at
        rates = activity * (target / activity.mean(-1, keepdim=True))
        if bool((rates >= q_min).all() & (rates <= q_max).all()):
            return rates  # nothing to clip: the usual case
    elif q_min == 0:
        return _solve_without_floor(activity, target, q_max)
    c = _scale_at_mean(activity, target, q_min, q_max)
    rates = (c * activity).clamp(q_min, q_max)
    units, positive = activity.shape[-1], activity > 0
    many = positive.sum(-1, keepdim=True).to(activity)
    rest = (target * units - many * q_max) / (units - many).clamp_min(1)
    out_of_reach = many * q_max + (units - many) * q_min <= target * units
    # torch.where takes a Python number as float32, so give it a tensor.
    at_the_limit = torch.where(positive, torch.full_like(rest, q_max), rest.clamp(q_min, q_max))
    return torch.where(out_of_reach, at_the_limit, rates)


def _solve_without_floor(activity: Tensor, target: Tensor, q_max: float) -> Tensor:
    """`_solve_clipped` for q_min = 0 in a fifth of the launches, without a search.

    With the k largest at q_max, the mean is met by c_k = (U r - k q_max) / sum of the other activities. At a
    given c, clipping the right units gives the smallest sum that clipping any k largest can give, so the c
    wanted is the largest of the c_k.
    """
    units = activity.shape[-1]
    total = target * units
    others = activity.sort(-1).values.cumsum_(-1).clamp_min_(1e-300)  # of the units but the k largest
    clipped = torch.arange(units - 1, -1, -1, device=activity.device, dtype=activity.dtype) * q_max
    c = ((total - clipped) / others).amax(-1, keepdim=True)
    # Units with a_u = 0 share what the others, all at q_max, leave of the mean.
    positive = activity > 0
    many = positive.sum(-1, keepdim=True, dtype=activity.dtype)
    rest = ((total - many * q_max) / (units - many).clamp_min_(1)).clamp_min_(0)
    return torch.where(positive, (c * activity).clamp_(0, q_max), rest)


def _scale_at_mean(activity: Tensor, target: Tensor, q_min: float, q_max: float) -> Tensor:
    """The c (K, ..., 1) of `_solve_clipped`: the sum over u is piecewise linear in c and bends where some
    c * a_u meets q_min or q_max, so find the piece between two bends, where c is one division.

    Sums over the units between the limits are differences of prefix sums in ascending order, which keeps
    them exact to rounding even where activities differ by many powers of ten.
    """
    ordered = activity.sort(-1).values
    sums = torch.cat([torch.zeros_like(ordered[..., :1]), ordered.cumsum(-1)], -1)
    units, total = activity.shape[-1], target * activity.shape[-1]

    def split(c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Units at q_min, units at q_max, and the sum of the activities of the others, at each c."""
        low = torch.searchsorted(ordered.expand(*c.shape[:-1], -1).contiguous(), q_min / c, right=True)
        high = torch.searchsorted(ordered.expand(*c.shape[:-1], -1).contiguous(), q_max / c)
        wide = sums.expand(*c.shape[:-1], -1)
        low = torch.minimum(low, high)
        inside = wide.gather(-1, high) - wide.gather(-1, low)
        return low.to(c.dtype), (units - high).to(c.dtype), inside  # counts times a float would be float32

    safe = ordered.clamp_min(1e-200)
    bends = torch.cat([q_min / safe, q_max / safe], -1).sort(-1).values.clamp_min(1e-300)
    low, high, free = split(bends)
    shape = torch.broadcast_shapes(bends.shape, (*total.shape[:-1], 1))
    at_bends = (q_min * low + q_max * high + bends * free).expand(shape).contiguous()
    wanted = total.expand(*shape[:-1], 1).contiguous()
    piece = (torch.searchsorted(at_bends, wanted) - 1).clamp(0, shape[-1] - 2)
    bends = bends.expand(shape)
    middle = (bends.gather(-1, piece) + bends.gather(-1, piece + 1)) / 2
    low, high, free = split(middle)
    solved = (wanted - q_min * low - q_max * high) / free.clamp_min(1e-300)
    return torch.where(free > 0, solved, middle)


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
