"""A batch of texts as word ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass
class Batch:
    """tokens: (B, T) int64, padded with 0. mask: (B, T) bool, True = a real token. labels, index: (B,) int64.

    index holds the row numbers in the split.
    """

    tokens: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor
    index: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)
