"""A split that lies on the device as a whole: a batch is an index, and no text crosses the bus twice.

Widths are rounded up to a few values, so that the same shapes come again and again and each can have its
CUDA graph (`zoo.training.graphs`). The batches are those of `zoo.text.batches`, only with more padding,
which changes no model's result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from zoo.core.batch import Batch
from zoo.text import Split
from zoo.text.batching import batch_rows, layout

# Multiples to round up to, by the width above which they hold. Fine ones cost a graph more each, coarse ones
# padding: with these at most 7 words up to 64, and less than a quarter beyond.
STEPS = ((0, 8), (64, 16), (128, 32), (256, 64))


def bucket(length: int) -> int:
    """The width that a batch with a longest text of `length` tokens is padded to."""
    step = next(step for low, step in reversed(STEPS) if length > low or low == 0)
    return -(-length // step) * step


@dataclass(frozen=True)
class Resident:
    """tokens: (n, W) int64, padded with 0, which no word has. labels: (n,). lengths: (n,), on the host."""

    tokens: Tensor
    labels: Tensor
    lengths: np.ndarray
    line: int  # words a line of the layout of `han`, which widths are multiples of; 0 = running text

    @classmethod
    def of(cls, split: Split, device: torch.device, words_per_sentence: int = 0) -> Resident:
        """Lay out a split and send it to the device."""
        place, lengths = layout(split, words_per_sentence)
        widest = int(lengths.max(initial=1))
        width = widest if words_per_sentence else bucket(widest)
        tokens = np.zeros((len(split), width), np.int64)
        tokens[np.repeat(np.arange(len(split)), split.lengths), place] = split.ids
        labels = torch.from_numpy(split.labels).to(device)
        return cls(torch.from_numpy(tokens).to(device), labels, lengths, words_per_sentence)

    def with_empty(self) -> Resident:
        """The same and one row more, a text without words, to fill up batches with."""
        tokens, labels = (torch.cat([x, torch.zeros_like(x[:1])]) for x in (self.tokens, self.labels))
        return replace(self, tokens=tokens, labels=labels)

    def plan(
        self, size: int, *, seed: int = 0, epoch: int = 0, shuffle: bool = True, bucketed: bool = True
    ) -> Iterator[tuple[Tensor, int]]:
        """Row numbers (B,) on the device and width of each batch of an epoch, in the order of `batches`."""
        rows = batch_rows(self.lengths, size, seed=seed, epoch=epoch, shuffle=shuffle, bucketed=bucketed)
        order = torch.from_numpy(np.concatenate(rows)).to(self.tokens.device)  # one transfer an epoch
        for index, row in zip(order.split([len(r) for r in rows]), rows, strict=True):
            longest = int(self.lengths[row].max())
            yield index, longest if self.line else min(bucket(longest), self.tokens.shape[1])

    def batch(self, index: Tensor, width: int) -> Batch:
        """The batch of these rows, (B, width)."""
        tokens = self.tokens.index_select(0, index)[:, :width]
        return Batch(tokens, tokens != 0, self.labels.index_select(0, index), index)
