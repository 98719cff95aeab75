"""Which rows of the embedding tables a batch reads: only those can have a gradient.

Found by module type and a hook, never by a parameter's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Touched = dict[Tensor, Tensor]  # table -> sorted row numbers


@contextmanager
def watch_embeddings(model: nn.Module, enabled: bool = True) -> Iterator[Callable[[], Touched]]:
    """Yields a function: table weight -> sorted row numbers read since the block began."""
    seen: dict[Tensor, list[Tensor]] = {}

    def note(table: nn.Embedding) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, inputs: seen.setdefault(table.weight, []).append(inputs[0].detach().flatten())

    tables = embedding_tables(model) if enabled else []
    handles = [table.register_forward_pre_hook(note(table)) for table in tables]
    try:
        yield lambda: {weight: torch.cat(ids).unique() for weight, ids in seen.items()}
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
