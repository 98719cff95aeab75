"""The widest floating-point type of a device."""

from __future__ import annotations

import torch
from torch import Tensor

SINGLE_ALONE = {"mps"}  # Apple's GPUs: a tensor of float64 is refused there


def widest(device: torch.device) -> torch.dtype:
    """float64, in which roots and means are the same on every processor; float32 where there is no other."""
    return torch.float32 if device.type in SINGLE_ALONE else torch.float64


def widened(x: Tensor) -> Tensor:
    """The same numbers in that type."""
    return x.to(widest(x.device))
