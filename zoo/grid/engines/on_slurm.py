"""Cells as array jobs of SLURM, through submitit: `--engine slurm`. All machines see the results folder.

The list is divided up front. A task is one process that works off its share with the worker's own loop, so it
may be preempted, requeued or started twice: what is finished stays. The command may die and be started again:
what it submitted stands in the folder, and is followed and not submitted once more.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from zoo.core.command import say
from zoo.core.errors import UserError, write_whole
from zoo.core.processes import environment
from zoo.core.records import setting
from zoo.grid.engines.engine import Engine, missing
from zoo.grid.engines.follow import alone
from zoo.grid.engines.local import worker_variables
from zoo.grid.jobs import Event, Job, Places, Send
from zoo.grid.store import Pending, Store
from zoo.grid.worker import outcome, work

FOLDER = ".slurm"  # in the results folder: job scripts, logs, and what has been submitted
SUBMITTED = "submitted.json"


@dataclass(frozen=True)
class Slurm(Engine):
    """Array jobs of SLURM; each task has one core and runs one cell after the other.

    Args:
        cluster: `slurm`, or `local`: submitit's stand-in on this machine, to try it.
        partition: empty: SLURM's own. account: likewise.
        minutes: time limit of a task; then it is requeued.
        requeues: at most so often.
        memory_gb: of a task.
        poll: seconds between two looks at the folder and the queue.
    """

    name: ClassVar[str] = "slurm"
    elsewhere: ClassVar[bool] = True

    cluster: str = setting("slurm", choices=("slurm", "local"))
    partition: str = setting("")
    account: str = setting("")
    minutes: int = setting(240, low=1)
    requeues: int = setting(20, low=0)
    memory_gb: int = setting(4, low=1)
    poll: float = setting(5.0, low=0.1)

    def check(self, places: Places) -> None:
        """See `Engine.check`."""
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise missing("slurm", "submitit", "slurm") from None
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise UserError(
                "--engine slurm: there is no sbatch here; expected a machine that submits to SLURM (to try "
                "it without one: --engine-set cluster=local)"
            )

    def device(self, asked: str) -> str:
        """A GPU where one is asked for by name: this machine cannot see those of the cluster."""
        return "cpu" if asked == "auto" else asked

    def slots(self, device: str, of_gpu: int) -> int:
        """Tasks of the array."""
        return 8

    def run(self, jobs: Sequence[Job], places: Places, workers: int, send: Send, pending: Pending) -> None:
        """See `Engine.run`."""
        store = Store(places.out)
        with alone(store, self.name):
            grid = _Submitted(self, places)
            todo = [job for job in jobs if job.id in pending and job.id not in grid.in_hand()]
            shards = [Shard(share, places, {job.id: pending[job.id] for job in share})
                      for share in divide(todo, workers)]  # fmt: skip
            try:
                grid.submit(shards)
                self._follow(jobs, store, grid, send, pending)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    grid.cancel()
                raise

    def _follow(
        self, jobs: Sequence[Job], store: Store, grid: _Submitted, send: Send, pending: Pending
    ) -> None:
        left = {job.id: number for number, job in enumerate(jobs) if job.id in pending}
        while True:
            in_hand = grid.in_hand()  # before the look at the files: what has ended since has written them
            for cell_id in [cell_id for cell_id in left if store.settled(cell_id, pending)]:
                send(outcome(left.pop(cell_id), store.read(cell_id)))
            if not left:
                grid.drop(store)
                return
            if not in_hand & set(left):
                raise UserError(
                    f"{len(left)} cells have no result and no task of SLURM works on them: {grid.why()}; "
                    "finished cells are kept, the same command submits the rest again"
                )
            time.sleep(self.poll)


@dataclass(frozen=True)
class Shard:
    """The share of one task: the worker's own loop, on the folder that all machines see."""

    jobs: Sequence[Job]
    places: Places
    pending: Pending

    def __call__(self) -> None:
        """Work it off; what is finished already is not done again."""
        try:
            work(self.jobs, self.places, _silent, self.pending)
        except UserError as error:
            print(error, file=sys.stderr)
            raise

    def checkpoint(self) -> Any:
        """What submitit queues again after a preemption or a time limit: the same, as files are the state."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def divide(jobs: Sequence[Job], shares: int) -> list[list[Job]]:
    """At most so many shares of about the same cost, the dearest trainings first; none is empty."""
    trainings: dict[str, list[Job]] = {}
    for job in jobs:
        trainings.setdefault(job.claim, []).append(job)
    found: list[list[Job]] = [[] for _ in range(min(shares, len(trainings)))]
    loads = [(0.0, 0, i) for i in range(len(found))]  # cost, cells, share
    for own in sorted(trainings.values(), key=_cost, reverse=True):
        cost, cells, i = heapq.heappop(loads)
        found[i] += own
        heapq.heappush(loads, (cost + _cost(own), cells + len(own), i))
    return found


def _cost(jobs: Sequence[Job]) -> float:
    return sum(job.units for job in jobs)


class _Submitted:
    """What this folder's commands have submitted, kept in a file: task -> cells."""

    def __init__(self, engine: Slurm, places: Places) -> None:
        self.engine, self.places = engine, places
        self.folder = (places.out / FOLDER).resolve()
        self.tasks: dict[str, list[str]] = {}
        self.started: dict[str, Any] = {}  # those of this process
        with contextlib.suppress(OSError, ValueError):
            self.tasks = json.loads((self.folder / SUBMITTED).read_text(encoding="utf-8"))
        alive = self._alive()
        self.tasks = {task: cells for task, cells in self.tasks.items() if task in alive}

    def submit(self, shards: Sequence[Shard]) -> None:
        """Queue an array of these shards, and note it."""
        if not shards:
            return
        import submitit

        kind = submitit.SlurmExecutor if self.engine.cluster == "slurm" else submitit.LocalExecutor
        executor = kind(self.folder, max_num_timeout=self.engine.requeues)
        executor.update_parameters(**self._parameters())
        try:
            with environment(worker_variables(self.places)):  # a job gets the variables of who submits it
                queued = executor.submit_array(shards)
        except (
            OSError,
            submitit.core.utils.FailedJobError,
            submitit.core.utils.FailedSubmissionError,
        ) as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise UserError(
                f"--engine slurm: sbatch refuses the job ({said[-1]}); expected one that it takes"
            ) from None
        for job, shard in zip(queued, shards, strict=True):
            self.tasks[job.job_id] = [cell.id for cell in shard.jobs]
            self.started[job.job_id] = job
        write_whole(self.folder / SUBMITTED, json.dumps(self.tasks).encode())
        say(f"{len(shards)} tasks submitted, logs in {self.places.out / FOLDER}/")

    def _parameters(self) -> Mapping[str, Any]:
        gpus = {"gpus_per_node": 1} if self.places.device == "cuda" else {}
        if self.engine.cluster == "local":
            return {"timeout_min": self.engine.minutes, "signal_delay_s": 10, **gpus}
        named = {"partition": self.engine.partition, "account": self.engine.account}
        return {
            "job_name": "uegr", "time": self.engine.minutes, "cpus_per_task": 1,
            "mem": f"{self.engine.memory_gb}GB", "additional_parameters": {"requeue": True}, **gpus,
        } | {key: value for key, value in named.items() if value}  # fmt: skip

    def in_hand(self) -> set[str]:
        """The cells of tasks that wait or run."""
        alive = self._alive()
        return {cell for task, cells in self.tasks.items() if task in alive for cell in cells}

    def cancel(self) -> None:
        """End every task."""
        if not self.tasks:
            return
        if self.engine.cluster == "slurm":
            subprocess.run(["scancel", *self.tasks], check=False, capture_output=True)
            return
        for job in self.started.values():
            job.cancel()
        for job in self.started.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                job._process.wait(20)

    def drop(self, store: Store) -> None:
        """Take tasks out of SLURM's queue that would find nothing to do, as one that was requeued late."""
        idle = [task for task, cells in self.tasks.items() if all(map(store.stamp, cells))]
        if idle and self.engine.cluster == "slurm":
            subprocess.run(["scancel", *idle], check=False, capture_output=True)

    def why(self) -> str:
        """The last line that one of the ended tasks has written to its log."""
        for task in self.tasks:
            for log in sorted(self.folder.glob(f"{task}_*_log.err")):
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                if lines:
                    return f"{log.name} ends with {lines[-1][:200]!r}"
        return f"the logs in {self.folder} may say why"

    def _alive(self) -> set[str]:
        if self.engine.cluster == "slurm":
            return _queued({task.split("_")[0] for task in self.tasks}) & set(self.tasks)
        own = {task for task, job in self.started.items() if not job.done()}
        return own | {task for task in self.tasks if task not in self.started and _is_task(task, self.folder)}


def _queued(jobs: set[str]) -> set[str]:
    """Tasks of these jobs that wait, run or are about to run again; what squeue no longer knows has ended."""
    if not jobs:
        return set()
    command = ["squeue", "--noheader", "--array", "--format=%F_%K %F", "--jobs", ",".join(sorted(jobs))]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0 and "Invalid job id" not in answer.stderr:
        said = answer.stderr.strip().splitlines() or ["it says nothing"]
        raise UserError(
            f"--engine slurm: squeue does not answer ({said[-1]}); the same command goes on later"
        )
    return {name for line in answer.stdout.splitlines() for name in line.split()}


def _is_task(process: str, folder: Path) -> bool:
    """Whether this is still the process that submitit's stand-in started for this folder."""
    with contextlib.suppress(OSError, ValueError):
        words = Path(f"/proc/{int(process)}/cmdline").read_bytes().decode(errors="replace")
        return "submitit" in words and str(folder) in words
    return False


def _silent(event: Event) -> None:
    pass
