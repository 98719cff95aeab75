"""Lanes: trainings of one process in turn, step by step, each in a thread and on a stream of its own.

A step that a GPU replays costs the host microseconds and the card much more, so one thread at a time keeps
many streams busy, with no service that lets processes share a card. Only who holds the baton runs: between
two of its steps nothing of a training is changed by another, and nobody records while another one launches.

What is the process's and not a thread's goes with the baton: each lane finds the arithmetic that it chose
and torch's own random numbers as it left them. Never run on a GPU yet; that a training in a lane is the
training alone is tested on a CPU.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo.core.errors import OutOfTime
from zoo.training.device import choose, chosen

_own = threading.local()  # .baton, in a lane


class Stopped(OutOfTime):
    """Another lane has failed in a way that ends them all: the turn of this one is over."""


@dataclass(frozen=True)
class Shared:
    """What all threads of a process share, as one of them has it."""

    tf32: tuple[bool, bool]
    numbers: Tensor  # the states of torch's own random numbers
    gpu_numbers: Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> Shared:
        """As it is."""
        gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(chosen(), torch.get_rng_state(), gpu)

    def put(self, device: torch.device) -> None:
        """Have it so again."""
        choose(self.tf32)
        torch.set_rng_state(self.numbers)
        if self.gpu_numbers is not None:
            torch.cuda.set_rng_state(self.gpu_numbers, device)


class Baton:
    """Handed round: who asks for it waits behind all who asked before."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._guard = threading.Lock()
        self._waiting = deque[threading.Lock]()
        self._free = True
        self.failure: BaseException | None = None

    def take(self) -> None:
        """Wait for it.

        Raises:
            Stopped: another lane has failed; this one has the baton and gives it back as ever.
        """
        mine = threading.Lock()
        with self._guard:
            if waits := not self._free:
                mine.acquire()
                self._waiting.append(mine)
            self._free = False
        if waits:
            mine.acquire()
        if self.failure is not None:
            raise Stopped("another lane has failed")

    def give(self) -> None:
        """To the first who waits."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free = True

    @property
    def wanted(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)


def switch() -> None:
    """Between two steps: the other lanes, if this is one, make one step each.

    Raises:
        Stopped: one of them has failed in a way that ends all.
    """
    baton: Baton | None = getattr(_own, "baton", None)
    if baton is not None and baton.wanted:
        with _without(baton):
            pass


def in_lane() -> bool:
    """Whether others run between two steps of this thread, so that a clock counts theirs too."""
    return getattr(_own, "baton", None) is not None


@contextmanager
def aside() -> Iterator[None]:
    """Work that is no training on the device, beside the steps of the other lanes.

    Raises:
        Stopped: as `switch`, at the end.
    """
    baton: Baton | None = getattr(_own, "baton", None)
    with nullcontext() if baton is None else _without(baton):
        yield


@contextmanager
def _without(baton: Baton) -> Iterator[None]:
    own = Shared.now(baton.device)
    baton.give()
    try:
        yield
    finally:
        try:
            baton.take()
        finally:
            own.put(baton.device)


def run_lanes(count: int, work: Callable[[], None], device: torch.device) -> None:
    """Do `work` in so many lanes, until the last one is done.

    Raises:
        Exception: the first that a lane ends with; the others end at their next step.
    """
    baton, first = Baton(device), Shared.now(device)

    def lane() -> None:
        _own.baton = baton
        torch.set_num_threads(1)  # torch asks it of each thread
        try:
            baton.take()
            first.put(device)
            with _stream(device):
                work()
        except Stopped:
            pass
        except BaseException as error:
            baton.failure = baton.failure or error
        finally:
            baton.give()

    threads = [threading.Thread(target=lane, name=f"lane {number}") for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if baton.failure is not None:
        raise baton.failure


def _stream(device: torch.device) -> AbstractContextManager[Any]:
    """The stream of a lane: as long as the process lives, since torch keeps workspaces for each."""
    return torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else nullcontext()
