"""Eq. 8: normalised saliencies (n,) in [0, 1], in one of three ways."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zoo.fast.ranks import rank_normalise


def minmax_normalise(saliency: Tensor) -> Tensor:
    """(s - min) / (max - min), zeros included; 0.5 where all are equal. Degenerate: docs/decisions.md."""
    if len(saliency) == 0:
        return saliency
    low, width = saliency.min(), saliency.max() - saliency.min()
    return torch.where(width > 0, (saliency - low) / width, 0.5)


def log_minmax_normalise(saliency: Tensor) -> Tensor:
    """Min-max of log s over the non-zero entries; zeros get 0."""
    if len(saliency) == 0:
        return saliency
    active, logs = saliency > 0, saliency.log()
    low = torch.where(active, logs, torch.inf).min()
    width = torch.where(active, logs, -torch.inf).max() - low
    return torch.where(active, torch.where(width > 0, (logs - low) / width, 0.5), 0.0)


NORMALISERS: dict[str, Callable[[Tensor], Tensor]] = {
    "rank": rank_normalise,
    "minmax": minmax_normalise,
    "log_minmax": log_minmax_normalise,
}
