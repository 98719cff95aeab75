"""Fixed shapes: steps of which every operator's sizes are known before it runs.

A GPU can record such a step once and replay it as one CUDA graph (`zoo.training.graphs`), if it also never
waits for a number. On a CPU it costs nothing to look at the values, and leaving out what is zero saves work,
so there the forms that do so are the default, and the ones here the slow twins of the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_demanded: ContextVar[bool] = ContextVar("fixed_shapes_demanded", default=False)


def fixed_shapes(like: Tensor) -> bool:
    """Whether an operation on this tensor must keep to fixed shapes: off the CPU, or on demand."""
    return like.device.type != "cpu" or _demanded.get()


@contextmanager
def demand_fixed_shapes() -> Iterator[None]:
    """Fixed shapes on the CPU too."""
    token = _demanded.set(True)
    try:
        yield
    finally:
        _demanded.reset(token)


def first_places(ids: Tensor) -> Tensor:
    """(N,) ids -> (N,), for each place the first one that holds the same id: `unique` of a fixed size."""
    ordered, places = ids.sort(stable=True)
    return places[torch.searchsorted(ordered, ids)]


def first_places_by_pairs(ids: Tensor) -> Tensor:
    """The same by comparing every two places: the slow twin."""
    return (ids[:, None] == ids).int().argmax(1) if len(ids) > 0 else ids
