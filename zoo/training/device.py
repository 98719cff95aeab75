"""What a device is told before a cell, and what it says after: memory, and one arithmetic for all of it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from zoo.fast.denormals import flushed
from zoo.fast.memory import keep_freed_memory
from zoo.training.settings import CellFailed, TrainSettings


def begin_cell(device: torch.device) -> None:
    """Before a cell: a GPU counts its peak of memory anew, a CPU keeps what is freed for the next step."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "cpu":
        keep_freed_memory()


@contextmanager
def arithmetic(tf32: bool) -> Iterator[None]:
    """One choice for a GPU's products and layers alike (a CPU knows no TF32); no denormal numbers.

    torch's own is TF32 (10 bits of mantissa) in convolutions and recurrent layers, and float32 in products.
    """
    before = chosen()
    choose((tf32, tf32))
    try:
        with flushed():
            yield
    finally:
        choose(before)


def chosen() -> tuple[bool, bool]:
    """Whether products and layers of a GPU are in TF32."""
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def choose(tf32: tuple[bool, bool]) -> None:
    """Have them as `chosen` says."""
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = tf32


@contextmanager
def work_of(settings: TrainSettings) -> Iterator[None]:
    """Training, evaluation and attack of a cell: the same arithmetic in all, and memory that may end.

    Raises:
        CellFailed: the GPU's memory ends, which is no bug.
    """
    try:
        with arithmetic(settings.tf32):
            yield
    except torch.cuda.OutOfMemoryError as error:
        raise CellFailed(f"out of memory: {str(error).splitlines()[0]}") from error


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory of a cell on a GPU (`begin_cell`), or of the whole process so far on a CPU, in MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
