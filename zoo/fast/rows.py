"""Which rows of an embedding table have a gradient: a batch leaves 95 % and more of them without one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.fast.shapes import first_places, fixed_shapes


@dataclass(frozen=True)
class Rows:
    """Row numbers of a table; in fixed shapes (`zoo.fast.shapes`) some stand there more than once."""

    numbers: Tensor  # (N,)
    first: Tensor | None = None  # (N,) first place of each one's number; None: no number comes twice

    @classmethod
    def of(cls, ids: Tensor) -> Rows:
        """The rows that a lookup of `ids` (any shape) reads."""
        ids = ids.flatten()
        return cls(ids, first_places(ids)) if fixed_shapes(ids) else cls(ids.unique())

    @classmethod
    def with_gradient(cls, gradient: Tensor) -> Rows:
        """The rows of (V, D) that are not all zero, whatever made them so; it looks at every entry."""
        return cls(((gradient.amax(1) != 0) | (gradient.amin(1) != 0)).nonzero().squeeze(1))

    def take(self, table: Tensor) -> Tensor:
        """(V, D) -> (N, D), the rows; zeros in place of one that stood there before."""
        rows = table.index_select(0, self.numbers)
        if self.first is None:
            return rows
        again = self.first != torch.arange(len(self.first), device=rows.device)
        return rows.masked_fill_(again[:, None], 0.0)

    def put(self, table: Tensor, rows: Tensor) -> None:
        """Write (N, D) to the rows, the first place of each number deciding."""
        table.index_copy_(0, self.numbers, rows if self.first is None else rows.index_select(0, self.first))
