"""What a worker runs, what it tells of a cell, and what it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from zoo.core.result import FAILED, Result
from zoo.grid import trainings, worker
from zoo.grid.engines import local
from zoo.grid.jobs import Job, Places
from zoo.grid.store import Store
from zoo.grid.worker import outcome, run_job, work
from zoo.training.settings import CellFailed


def test_progress_shows_the_score_on_validation(made) -> None:
    """Whoever watches a run, and stops it or changes it by what is seen, has not seen the test part."""
    result = made(validation_accuracy=0.8, measures={"accuracy": 0.75})
    assert outcome(3, result) == ("done", 3, {"accuracy": 0.8, "seconds": 3.0})
    failed = made(status="failed", reason="the loss is nan", measures={}, validation_accuracy=None)
    assert outcome(3, failed) == ("failed", 3, {"reason": "the loss is nan"})


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CellFailed("the loss is nan"), "the loss is nan"),
        (MemoryError(), "MemoryError"),
        (ValueError("a bug"), "ValueError: a bug"),
    ],
)
def test_a_failure_is_written_as_one(made, tmp_path, monkeypatch, error: Exception, reason: str) -> None:
    def fails(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("zoo.grid.worker.result_of", fails)
    events = []
    job = Job(made(status="failed", measures={}, predictions="", truth=""), None, "imdb", 1.0)  # type: ignore[arg-type]
    run_job(job, Places(tmp_path), events.append, 0)
    (written,) = Store(tmp_path).cells()
    assert (written.id, written.done, written.reason) == (job.id, False, reason)
    assert bool(written.traceback) == isinstance(error, ValueError)
    assert [event[0] for event in events] == ["start", "failed"]


def test_a_cell_that_another_runner_finishes_just_before_the_claim_is_not_run_again(
    made, tmp_path, monkeypatch
) -> None:
    """Between the look at the folder and the claim there is time for another runner."""
    store, result = Store(tmp_path), made()
    claim = Store.claim

    @contextmanager
    def late(self: Store, cell_id: str) -> Iterator[bool]:
        store.write(result)
        with claim(self, cell_id) as mine:
            yield mine

    monkeypatch.setattr(Store, "claim", late)
    monkeypatch.setattr("zoo.grid.worker.run_job", lambda *a: pytest.fail("it ran a second time"))
    job = Job(result, None, "imdb", 1.0)  # type: ignore[arg-type]
    work([job], Places(tmp_path), lambda event: None, {job.id: None})
    assert store.done(job.id)


def test_a_runner_that_waits_for_cells_of_others_says_so(
    made: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For hours no line came. Half a second is no news: a worker beside it may just have begun."""
    store, result = Store(tmp_path), made()
    asleep: list[float] = []

    def sleep(seconds: float) -> None:
        asleep.append(seconds)
        if len(asleep) == 4:
            store.write(result)

    monkeypatch.setattr(worker.time, "sleep", sleep)
    jobs = [Job(made(seed=1), None, "imdb", 1.0), Job(result, None, "imdb", 1.0)]  # type: ignore[arg-type]
    events: list[worker.Event] = []
    with store.claim(result.id):
        work(jobs, Places(tmp_path), events.append, {result.id: None})
    assert events == [("waiting", 1, {"cells": [1]})] * 3


# --- a GPU that is lost -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "answers", "lost"),
    [("cuda:0", False, True), ("cuda:0", True, False), ("cpu", False, False)],
)
def test_a_cell_that_takes_the_gpu_with_it_ends_the_worker(
    device: str,
    answers: bool,
    lost: bool,
    made: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its failure is written, and no other cell is tried in this process."""

    def synchronize(where: str) -> None:
        if not answers:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    failed = replace(made("uegr"), status=FAILED, reason="AcceleratorError: CUDA error")
    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    monkeypatch.setattr(worker, "settle", lambda *_: failed)
    events: list[worker.Event] = []
    job = Job(failed, None, "imdb", 1.0)  # type: ignore[arg-type]
    if lost:
        with pytest.raises(worker.DeviceLost, match=r"the GPU failed \(AcceleratorError: CUDA error\)"):
            worker.run_job(job, Places(tmp_path, device=device), events.append, 0)
    else:
        worker.run_job(job, Places(tmp_path, device=device), events.append, 0)
    assert [event[0] for event in events] == ["start"] + ["failed"] * (not lost)
    assert Store(tmp_path).read(failed.id).reason == failed.reason


def test_a_worker_without_a_gpu_ends_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent sees it end within a cell, tells of the cell and starts another."""

    def work(*_: object) -> None:
        raise worker.DeviceLost("the GPU failed")

    class Pipe:
        def send(self, event: object) -> None:
            raise AssertionError(f"told {event}")

    monkeypatch.setattr(worker, "work", work)
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        worker.worker_main([], Places(Path("x")), None, Pipe())  # type: ignore[arg-type]
    assert ended.value.code == 1


def test_replayed_steps_are_gone_on_with_by_replayed_ones(
    made: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their states have other parts; on a CPU nothing is replayed, whatever was asked."""
    monkeypatch.setattr(trainings, "who", lambda device: {"machine": str(device)})
    job = Job(made(), None, "imdb", 1.0)  # type: ignore[arg-type]

    def who(device: str, graphs: bool) -> object:
        return trainings.turns_of(job, Places(tmp_path, device=device, graphs=graphs)).who

    assert who("cuda:0", True) != who("cuda:0", False)
    assert who("cpu", True) == who("cpu", False)


def test_a_worker_that_pauses_loses_no_cell(made: Callable[..., Result], tmp_path: Path) -> None:
    """Its process ends with a cell that goes on in another run: no failure, and no other worker for it."""

    class Pipe:
        said: ClassVar[list[worker.Event]] = [
            ("start", 0, {}),
            ("resumed", 0, {"share": 0.5}),
            ("waiting", 0, {"cells": [0]}),  # so says another lane of it
            ("paused", 0, {}),
        ]

        def recv(self) -> worker.Event:
            if not self.said:
                raise EOFError
            return self.said.pop(0)

        def close(self) -> None:
            """Nothing to close."""

    class Process:
        exitcode = 0

        def join(self) -> None:
            """It has ended."""

    job, told = Job(made(), None, "imdb", 1.0), list[worker.Event]()  # type: ignore[arg-type]
    pool = local._Pool([job], Places(tmp_path), told.append, {job.id: None})
    one = local._Worker(Process(), Pipe(), Places(tmp_path))  # type: ignore[arg-type]
    pool.workers.append(one)
    for cells in ({0}, {0}, {0}, set()):
        pool._take(one)
        assert one.cells == cells
    pool._take(one)
    assert pool.workers == []
    assert [event[0] for event in told] == ["start", "resumed", "waiting", "paused"]
    assert Store(tmp_path).names() == []
