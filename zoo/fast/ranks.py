"""Rank normalisation of saliencies (Eq. 8): mid-rank / (n - 1) over the n non-zero entries.

Non-negative floats order as their bits do, read as integers. So the exact ranks come from a radix sort,
several times as fast as a sort of floats; and those of long float32 vectors from a histogram of the leading
bits, four times as fast again: entries that agree to 1 part in 2048 share the mid-rank of their bin. That
moves a normalised rank by less than half the fullest bin's share (1e-4 on real gradients); where this could
exceed HISTOGRAM_ERROR the sort decides. float64 is always sorted.

In fixed shapes nobody can look how full a bin is, so there the histogram decides for every long float32
vector: the same ranks, bit for bit, wherever a CPU takes them from it. Whatever the ranks, the mask is
unbiased.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.fast.shapes import fixed_shapes
from zoo.fast.widest import widened, widest

HISTOGRAM_ERROR = 1e-3  # bound on |histogram - sort| of a normalised rank
HISTOGRAM_ENTRIES = 50_000  # below this the sort takes under half a millisecond
_LOW_BITS = 12  # of the 23 bits inside an octave: 2048 bins an octave
_OCTAVES = 112  # below the largest entry (an LSTM's span 90); what is smaller still shares the first bin
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes of the float


def rank_normalise(saliency: Tensor) -> Tensor:
    """Mid-rank / (n - 1) over the n non-zero entries of (d,), ascending; zeros get 0, n = 1 gets 0.5.

    Exact, or for long float32 vectors in the same order and within HISTOGRAM_ERROR of it; in fixed shapes
    within half the fullest bin's share.
    """
    long = saliency.dtype == torch.float32 and len(saliency) >= HISTOGRAM_ENTRIES
    if fixed_shapes(saliency):
        return fixed_histogram_ranks(saliency) if long else searched_ranks(saliency)
    if long:
        approximate = histogram_ranks(saliency)
        if approximate is not None:
            return approximate
    return sorted_ranks(saliency)


def plain_ranks(saliency: Tensor) -> Tensor:
    """The exact normalised ranks (d,) by a sort of floats and the groups of equal values: the slow twin."""
    active = saliency > 0
    values, order = saliency[active].sort()
    n = len(values)
    _, group, counts = torch.unique_consecutive(values, return_inverse=True, return_counts=True)
    shared = (counts.cumsum(0) - (counts + 1) / 2).to(saliency.dtype)[group]
    normalised = torch.zeros_like(saliency)
    normalised[active.nonzero().squeeze(1)[order]] = shared / (n - 1) if n > 1 else 0.5
    return normalised


def sorted_ranks(saliency: Tensor) -> Tensor:
    """The exact normalised ranks (d,), by a radix sort."""
    values, order = saliency.view(_BITS[saliency.element_size()]).sort()
    zeros = int(torch.searchsorted(values, 1))
    normalised = torch.zeros_like(saliency)
    normalised[zeros:] = _mid_ranks(values[zeros:], saliency.dtype)
    return torch.empty_like(saliency).scatter_(0, order, normalised)


def _mid_ranks(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Ranks / (n - 1) of sorted values (n,), equal ones sharing their mean rank."""
    n = len(values)
    if n <= 1:
        return torch.full((n,), 0.5, dtype=dtype, device=values.device)
    ranks = torch.arange(n, dtype=dtype, device=values.device)
    same = values[1:] == values[:-1]
    tied = torch.zeros(n, dtype=torch.bool, device=values.device)
    tied[1:] = same
    tied[:-1] |= same
    where = tied.nonzero().squeeze(1)
    if len(where) > 0:
        starts = values[where] != values[where - 1]  # entry 0 is compared with the last: equal if all are
        starts[0] = True
        group = starts.cumsum(0) - 1
        counts = torch.bincount(group)
        ranks[where] = (where[starts] + (counts - 1) / 2).to(dtype)[group]
    return ranks / (n - 1)


def searched_ranks(saliency: Tensor) -> Tensor:
    """The exact normalised ranks (d,) in fixed shapes: how many entries are below, how many not above."""
    if len(saliency) == 0:
        return saliency
    bits = saliency.view(_BITS[saliency.element_size()])
    ordered = bits.sort().values
    zeros = torch.searchsorted(ordered, torch.ones_like(ordered[:1]))
    below, up_to = torch.searchsorted(ordered, bits), torch.searchsorted(ordered, bits, right=True)
    ranks = widened(below + up_to - 1) / 2 - zeros
    n = len(bits) - zeros
    normalised = torch.where(n > 1, ranks / (n - 1).clamp_min(1), 0.5)
    return torch.where(bits > 0, normalised, 0.0).to(saliency.dtype)


def count_nonzero(saliency: Tensor) -> int:
    """Entries of (d,) above 0."""
    exact = torch.float32 if len(saliency) < 1 << 24 else torch.float64  # how far whole numbers are known
    if exact not in (torch.float32, widest(saliency.device)):
        return int(saliency.count_nonzero())
    return int(saliency.sign().sum(dtype=exact))  # `> 0` is not vectorised, the sign is


def histogram_ranks(saliency: Tensor) -> Tensor | None:
    """Normalised ranks of float32 (d,), or None where they could be off by more than HISTOGRAM_ERROR."""
    bits = saliency.view(torch.int32)
    smallest = bits.max() - (_OCTAVES << 23)
    bins = (bits - smallest).clamp_min_(0).bitwise_right_shift_(_LOW_BITS)
    counts = torch.bincount(bins)
    n = count_nonzero(saliency)
    counts[0] -= len(saliency) - n
    if n < 2 or int(counts.max()) - 1 > HISTOGRAM_ERROR * (n - 1):
        return None
    # Where all are small the zeros have a bin of their own, from which they were taken away in the first one.
    ranks = (counts.cumsum(0) - (counts + 1) / 2).clamp_min_(0.0)
    ranks[0] = 0.0  # zeros, and what is nearly zero
    return (ranks / (n - 1)).to(saliency.dtype).index_select(0, bins)


def fixed_histogram_ranks(saliency: Tensor) -> Tensor:
    """`histogram_ranks` in fixed shapes: no look at a number, and no sort. It never declines.

    Bit for bit the same below 2^23 entries, up to which single precision knows half ranks.
    """
    bits = saliency.view(torch.int32)
    smallest = bits.max() - (_OCTAVES << 23)
    bins = (bits - smallest).clamp_min_(0).bitwise_right_shift_(_LOW_BITS).long()
    size = (_OCTAVES << (23 - _LOW_BITS)) + 1
    counts = saliency.new_zeros(size).scatter_add_(0, bins, saliency.sign())  # a zero counts for nothing
    ends = counts.cumsum(0, dtype=widest(counts.device))
    n = ends[-1]
    ranks = (ends - counts / 2).sub_(0.5).div_((n - 1).clamp_min(1)).to(saliency.dtype)
    ranks[:1].zero_()  # what is nearly zero
    return torch.where(saliency > 0, torch.where(n > 1, ranks, 0.5).index_select(0, bins), 0.0)
