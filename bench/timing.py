"""Clocks for a machine that others use too: thread CPU time, variants interleaved, medians and spread."""

from __future__ import annotations

import ctypes
import gc
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

Milliseconds = tuple[float, float]  # CPU time of the thread, on which others' load does not count; wall time
Measured = Callable[[], Milliseconds]


@dataclass
class Times:
    """Times of one variant, one entry a round, in milliseconds."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def spread(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the CPU times."""
        return quartiles(self.cpu)


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high


def timed(step: Callable[[], object]) -> Measured:
    """`step` as a call that says how long it took."""

    def run() -> Milliseconds:
        cpu, wall = time.thread_time(), time.perf_counter()
        step()
        return 1e3 * (time.thread_time() - cpu), 1e3 * (time.perf_counter() - wall)

    return run


def interleaved(
    steps: Mapping[str, Measured],
    rounds: int,
    warm_up: int = 2,
    tick: Callable[[str], None] = lambda name: None,
) -> dict[str, Times]:
    """Run every variant once a round, in turn, so that a busy minute of the machine hits all of them.

    Args:
        warm_up: unmeasured runs of each before the first round.
        tick: called with the name of the variant that comes next.
    """
    times = {name: Times() for name in steps}
    for name, step in steps.items():
        for _ in range(warm_up):
            tick(name)
            step()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, step in steps.items():
                tick(name)
                cpu, wall = step()
                times[name].cpu.append(cpu)
                times[name].wall.append(wall)
    finally:
        gc.enable()
    return times


def ratio(one: Times, other: Times) -> tuple[float, float, float]:
    """Quartiles of one / other over the rounds that both ran."""
    return quartiles([a / b for a, b in zip(one.cpu, other.cpu, strict=False)])


def peak_memory_mb(build: Callable[[], Callable[[], object]]) -> float | None:
    """Memory that a step needs at its peak, weights and optimizer included, in MiB; None where unknown.

    Linux only: the kernel's high-water mark is reset before the step.
    """
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    release_freed_memory()
    before = _kilobytes(status, "VmRSS")
    step = build()
    step()
    release_freed_memory()
    try:
        reset.write_text("5")  # see proc(5)
    except OSError:
        return None
    step()
    return (_kilobytes(status, "VmHWM") - before) / 1024


def release_freed_memory() -> None:
    """Give memory that Python and torch freed back to the system (glibc only)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _kilobytes(status: Path, key: str) -> int:
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0
