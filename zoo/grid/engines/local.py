"""Workers in processes of their own, watched by the parent: one that dies costs its cell and no more."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from zoo.core.errors import UserError
from zoo.core.processes import cores, environment
from zoo.grid.engines.engine import Engine, lost
from zoo.grid.jobs import Job, Places, Send
from zoo.grid.mps import served
from zoo.grid.store import Pending, Store
from zoo.grid.worker import outcome, work, worker_main
from zoo.training.environment import PORTABLE, is_portable


@dataclass(frozen=True)
class Local(Engine):
    """Processes of this machine; the default."""

    name: ClassVar[str] = "local"

    def device(self, asked: str) -> str:
        """A GPU if there is one and none is refused."""
        import torch

        there = torch.cuda.is_available()
        if asked == "cuda" and not there:
            raise UserError("--device cuda: torch sees no GPU here; expected cpu or auto")
        return ("cuda" if there else "cpu") if asked == "auto" else asked

    def slots(self, device: str, of_gpu: int) -> int:
        """One a core, or `of_gpu` on each GPU."""
        import torch

        return of_gpu * torch.cuda.device_count() if device == "cuda" else cores()

    def run(self, jobs: Sequence[Job], places: Places, workers: int, send: Send, pending: Pending) -> None:
        """See `run_grid`."""
        run_grid(jobs, places, workers, send, pending)


def run_grid(jobs: Sequence[Job], places: Places, workers: int, send: Send, pending: Pending) -> None:
    """Run the cells of `pending` with so many workers; events go to `send`.

    One worker runs in this process, unless the vector width is to be bounded (that is decided when torch is
    imported) or it has lanes. Raises KeyboardInterrupt through; finished cells are on disk then.

    Raises:
        UserError: fewer than one worker, what stops all cells alike, such as a full disk, or an MPS that does
            not start.
    """
    if workers < 1:
        raise UserError(f"workers is {workers}: expected at least 1")
    workers = min(workers, len(pending))
    if workers == 0:
        return
    if workers == 1 and places.lanes == 1 and places.portable <= is_portable():
        work(jobs, places, send, pending)
        return
    with served() if places.mps else nullcontext():
        _Pool(jobs, places, send, pending).run(workers)


def worker_variables(places: Places) -> dict[str, str]:
    """Variables to set before a worker imports torch: one thread in every library, bounded if portable."""
    return {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} | (PORTABLE if places.portable else {})


def spread(places: Places) -> Iterator[Places]:
    """The places of one worker after the other: the GPUs in turn, where there are any."""
    count = 1
    if places.device == "cuda":
        import torch

        count = max(1, torch.cuda.device_count())
    i = 0
    while True:
        yield replace(places, device=f"cuda:{i % count}") if places.device == "cuda" else places
        i += 1


@dataclass
class _Worker:
    process: Any
    pipe: multiprocessing.connection.Connection
    place: Places
    cells: set[int] = field(default_factory=set)  # the numbers of the jobs that it is in


class _Pool:
    """Each worker has a pipe of its own: one that is killed while it writes holds up no other."""

    def __init__(self, jobs: Sequence[Job], places: Places, send: Send, pending: Pending) -> None:
        self.jobs, self.send, self.pending = jobs, send, pending
        self.store = Store(places.out)
        self.context = multiprocessing.get_context("spawn")
        self.variables = worker_variables(places)
        self.places = spread(places)
        self.workers: list[_Worker] = []
        self.spare = 3  # workers to start again that were killed before they had a cell

    def run(self, count: int) -> None:
        """Start the workers and take their events until the last one has ended."""
        try:
            for _ in range(count):
                self.workers.append(self._start(next(self.places)))
            while self.workers:
                pipes = {worker.pipe: worker for worker in self.workers}
                for pipe in multiprocessing.connection.wait(list(pipes)):
                    self._take(pipes[pipe])  # type: ignore[index]
        finally:
            for worker in self.workers:
                if worker.process.is_alive():
                    worker.process.terminate()
                worker.process.join()

    def _start(self, place: Places) -> _Worker:
        mine, theirs = self.context.Pipe(duplex=False)
        process = self.context.Process(
            target=worker_main, args=(self.jobs, place, self.pending, theirs), daemon=True
        )
        with environment(self.variables):
            process.start()
        theirs.close()  # the worker's end is then the only one, and its death ends the pipe
        return _Worker(process, mine, place)

    def _take(self, worker: _Worker) -> None:
        try:
            event = worker.pipe.recv()
        except (EOFError, OSError):
            self._ended(worker)
            return
        if event[0] == "error":
            raise UserError(event[2]["reason"])
        if event[0] in ("start", "resumed", "epoch"):
            worker.cells.add(event[1])
        elif event[0] != "waiting":  # for a cell that another lane of this worker may be in
            worker.cells.discard(event[1])
        self.send(event)

    def _ended(self, worker: _Worker) -> None:
        """A worker that was killed costs its cells, and another one goes on in its place."""
        worker.process.join()
        worker.pipe.close()
        self.workers.remove(worker)
        if worker.cells:
            self._record_lost(worker.cells)
        elif worker.process.exitcode == 0:
            return
        elif self.spare == 0 or worker.process.exitcode > 0:
            raise RuntimeError(
                f"a worker ended with exit code {worker.process.exitcode} before it had a cell"
            )
        else:
            self.spare -= 1
        self.workers.append(self._start(worker.place))

    def _record_lost(self, numbers: Iterable[int]) -> None:
        """Settle a dead worker's cells, unless they were finished, or another one has taken them over."""
        trainings = defaultdict[str, list[int]](list)
        for number in sorted(numbers):
            trainings[self.jobs[number].claim].append(number)
        for claim, together in trainings.items():
            with self.store.claim(claim) as mine:
                for number in together if mine else ():
                    job = self.jobs[number]
                    if self.store.settled(job.id, self.pending):
                        found = self.store.read(job.id)
                    else:
                        found = lost(job, "its worker process died (killed, or out of memory)")
                        self.store.write(found)
                    self.send(outcome(number, found))
