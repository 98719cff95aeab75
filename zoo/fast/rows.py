"""Which rows of the embedding tables a batch reads: only those can have a gradient.

Found by module type and a hook, never by a parameter's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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


Touched = dict[Tensor, Rows]


@contextmanager
def watch_embeddings(model: nn.Module, enabled: bool = True) -> Iterator[Callable[[], Touched]]:
    """Yields a function: table weight -> rows read since the block began."""
    seen: dict[Tensor, list[Tensor]] = {}

    def note(table: nn.Embedding) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, inputs: seen.setdefault(table.weight, []).append(inputs[0].detach().flatten())

    tables = embedding_tables(model) if enabled else []
    handles = [table.register_forward_pre_hook(note(table)) for table in tables]
    try:
        yield lambda: {weight: Rows.of(torch.cat(ids)) for weight, ids in seen.items()}
    finally:
        for handle in handles:
            handle.remove()


def embedding_tables(model: nn.Module) -> list[nn.Embedding]:
    """Embedding modules whose weight nothing else uses (a tied output layer makes every row count)."""
    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    return [m for m in model.modules() if isinstance(m, nn.Embedding) and owners[id(m.weight)] == 1]
