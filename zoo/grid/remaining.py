"""How long the rest of a grid will take, from the pace of the cells so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zoo.grid.plan import Job

ENOUGH = 3  # epochs, or one finished network: below that nothing is said


@dataclass
class _Running:
    began: float
    told: float  # when its last epoch ended
    share: float = 0.0


class Remaining:
    """Seconds a unit (pass x token x epoch) are measured by (arch, recipe) from each cell's own start.

    A kind of cell that has not been seen yet has the pace of its arch, or of all. What stands beside the
    training (start, evaluation) is in the pace, since a cell's seconds are those from its start to its end.
    """

    def __init__(self, jobs: Mapping[int, Job], clock: Callable[[], float]) -> None:
        self.jobs, self.clock = jobs, clock
        self.running: dict[int, _Running] = {}
        self.ended: set[int] = set()
        self.epochs = 0
        self.networks = 0
        self.most = 1  # cells at a time
        self.pace: dict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])  # seconds, units

    def take(self, kind: str, number: int, share: float) -> None:
        """An event of a cell: `start`, `epoch` with the share of it that is done, `done` or `failed`."""
        now = self.clock()
        if kind == "start" or number not in self.running:
            self.running[number] = _Running(now, now)
            self.most = max(self.most, len(self.running))
        if kind == "start":
            return
        cell = self.running[number]
        if kind == "failed":
            share = cell.share
        elif kind == "done":
            share = 1.0
        self._learn(number, now - cell.told, share - cell.share)
        cell.told, cell.share = now, share
        if kind == "epoch":
            self.epochs += 1
        else:
            self.ended.add(number)
            self.networks += kind == "done" and not self.jobs[number].is_reference
            del self.running[number]

    def share(self) -> float:
        """The part of the work that is done, 0 to 1."""
        total = sum(job.units for job in self.jobs.values())
        left = sum(self._units_left(number) for number in self.jobs)
        return 1.0 - left / total if total else 1.0

    def seconds(self) -> float | None:
        """Seconds to the end; None while too little is known."""
        if self.networks == 0 and self.epochs < ENOUGH:
            return None
        now = self.clock()
        left = []
        for number in self.jobs:
            if number in self.ended:
                continue
            seconds = self._units_left(number) * self._pace_of(self.jobs[number])
            if number in self.running:  # it has gone on since its last epoch
                seconds = max(0.0, seconds - (now - self.running[number].told))
            left.append(seconds)
        together = min(self.most, len(left)) or 1
        return max(sum(left) / together, max(left, default=0.0))

    def _units_left(self, number: int) -> float:
        if number in self.ended:
            return 0.0
        done = self.running[number].share if number in self.running else 0.0
        return self.jobs[number].units * (1.0 - done)

    def _learn(self, number: int, seconds: float, share: float) -> None:
        job = self.jobs[number]
        if not job.units:
            return
        for key in _keys(job):
            self.pace[key][0] += seconds
            self.pace[key][1] += share * job.units

    def _pace_of(self, job: Job) -> float:
        for key in _keys(job):
            seconds, units = self.pace.get(key, (0.0, 0.0))
            if units:
                return seconds / units
        return 0.0


def _keys(job: Job) -> tuple[tuple[str, ...], ...]:
    """From the nearest kind of cells to all of them."""
    return (job.cell.arch, job.cell.recipe), (job.cell.arch,), ()
