"""Numbers below the least normal one (1.2e-38 in float32) are taken for zero while a network trains.

Some processors compute with such denormal numbers far more slowly. The gradient of a recurrent layer that
only its last state hears of fades towards the start of a text, and so meets them in every long one: on an
Intel processor a plain step of BiLSTM at 256 words takes eighteen times as long with them as without
(`python -m zoo.bench levers`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def are_flushed() -> bool:
    """Whether this thread takes them for zero."""
    return float(torch.tensor(1e-39, dtype=torch.float32) * 2) == 0.0


@contextmanager
def flushed(flush: bool = True) -> Iterator[None]:
    """Take them for zero in this thread, or compute with them, where the processor has the choice.

    Threads that torch has started before go on as they were; a cell has one thread.
    """
    before = are_flushed()
    torch.set_flush_denormal(flush)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
