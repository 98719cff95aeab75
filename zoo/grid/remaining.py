"""How long the rest of a grid will take, from the pace of the cells so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zoo.grid.jobs import Job

Kind = tuple[str, str]  # arch, recipe

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

    def __init__(self, jobs: Mapping[int, Job], clock: Callable[[], float], together: int = 1) -> None:
        self.jobs, self.clock = jobs, clock
        self.running: dict[int, _Running] = {}
        self.known: set[int] = set()  # cells that have started
        self.total = sum(job.units for job in jobs.values())
        # Kind -> units of a cell -> cells that have not started: few entries, however many cells there are.
        self.waiting: dict[Kind, Counter[float]] = defaultdict(Counter)
        for job in jobs.values():
            self.waiting[_kind(job)][job.units] += 1
        self.epochs = 0
        self.networks = 0
        self.most = together  # cells at a time, as far as is known
        self.pace: dict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])  # seconds, units

    def take(self, kind: str, number: int, share: float, seconds: float = 0.0) -> None:
        """An event of a cell: `start`, `resumed` or `epoch` with the share of it that is done, `done`,
        `failed` or `paused`.

        Args:
            seconds: what a done cell says that it took; read where nobody saw it start.
        """
        now = self.clock()
        self._leaves(number)
        if kind == "start" or number not in self.running:
            self.running[number] = _Running(now - seconds, now - seconds)
            self.most = max(self.most, len(self.running))
        if kind == "start":
            return
        cell = self.running[number]
        if kind == "paused":
            del self.running[number]
            return
        if kind == "resumed":  # done in another turn, which says nothing of the pace of this one
            cell.told, cell.share = now, share
            return
        if kind == "failed":
            share = cell.share
        elif kind == "done":
            share = 1.0
        self._learn(number, now - cell.told, share - cell.share)
        cell.told, cell.share = now, share
        if kind == "epoch":
            self.epochs += 1
        else:
            self.networks += kind == "done" and not self.jobs[number].is_reference
            del self.running[number]

    def share(self) -> float:
        """The part of the work that is done, 0 to 1."""
        if not self.total:
            return 1.0
        waiting = sum(units * count for left in self.waiting.values() for units, count in left.items())
        return 1.0 - (waiting + sum(map(self._units_left, self.running))) / self.total

    def seconds(self) -> float | None:
        """Seconds to the end; None while too little is known. Costs the same in any grid."""
        if self.networks == 0 and self.epochs < ENOUGH:
            return None
        now = self.clock()
        whole, longest, cells = 0.0, 0.0, len(self.running)
        for kind, left in self.waiting.items():
            for units, count in left.items():
                seconds = units * self._pace_of(kind)
                whole, longest, cells = whole + count * seconds, max(longest, seconds), cells + count
        for number, cell in self.running.items():
            seconds = self._units_left(number) * self._pace_of(_kind(self.jobs[number]))
            seconds = max(0.0, seconds - (now - cell.told))  # it has gone on since its last epoch
            whole, longest = whole + seconds, max(longest, seconds)
        return max(whole / (min(self.most, cells) or 1), longest)

    def _units_left(self, number: int) -> float:
        return self.jobs[number].units * (1.0 - self.running[number].share)

    def _leaves(self, number: int) -> None:
        """A cell waits no longer; one that another process ends is never seen to start."""
        if number in self.known:
            return
        self.known.add(number)
        job = self.jobs[number]
        left = self.waiting[_kind(job)]
        left[job.units] -= 1
        if not left[job.units]:
            del left[job.units]

    def _learn(self, number: int, seconds: float, share: float) -> None:
        job = self.jobs[number]
        if not job.units:
            return
        for key in _keys(_kind(job)):
            self.pace[key][0] += seconds
            self.pace[key][1] += share * job.units

    def _pace_of(self, kind: Kind) -> float:
        for key in _keys(kind):
            seconds, units = self.pace.get(key, (0.0, 0.0))
            if units:
                return seconds / units
        return 0.0


def _kind(job: Job) -> Kind:
    return job.cell.arch, job.cell.recipe


def _keys(kind: Kind) -> tuple[tuple[str, ...], ...]:
    """From the nearest kind of cells to all of them."""
    arch, recipe = kind
    return (arch, recipe), (arch,), ()
