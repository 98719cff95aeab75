"""Trainings of one process in turn: each is the training alone, whatever the others are."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from corpora import write_films
from same import contents
from stand_in import StandIn

from zoo.core.errors import OutOfTime, UserError
from zoo.grid import worker
from zoo.grid.engines.local import run_grid
from zoo.grid.jobs import Event, Job, Places
from zoo.grid.store import Store
from zoo.recipes import TABLE_IV
from zoo.studies import run
from zoo.studies.study import Study, Where
from zoo.training import cell
from zoo.training.device import arithmetic, chosen
from zoo.training.lanes import aside, in_lane, run_lanes, switch

CPU = torch.device("cpu")
SIZES = {"embedding": 8, "max_length": 12, "epochs": 2, "batch_size": 32}


def turns(count: int, work: Callable[[int], None]) -> None:
    """`work` in so many lanes, each told its number."""
    numbers = iter(range(count))
    run_lanes(count, lambda: work(next(numbers)), CPU)


def test_one_lane_at_a_time_makes_one_step_each() -> None:
    told: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            told.append(number)
            time.sleep(0.001)  # another thread could come between here
            told.append(number)
            switch()

    turns(3, work)
    assert told[::2] == told[1::2], "nobody comes between"
    steps = told[::2]
    began = max(steps.index(number) for number in range(3))  # they start one after the other, and so they end
    ended = min(len(steps) - steps[::-1].index(number) for number in range(3))
    assert ended - began > 30
    assert steps[began + 3 : ended] == steps[began : ended - 3]
    assert set(steps[began : began + 3]) == {0, 1, 2}


def test_outside_of_lanes_nothing_waits() -> None:
    assert not in_lane()
    switch()
    with aside():
        assert not in_lane()


def test_each_lane_has_the_arithmetic_that_it_chose() -> None:
    seen: list[tuple[int, tuple[bool, bool]]] = []
    began, ready, before = list[tuple[bool, bool]](), threading.Barrier(3), chosen()

    def work(number: int) -> None:
        assert in_lane()
        began.append(chosen())
        with arithmetic(number == 1):
            with aside():
                ready.wait(timeout=10)
            for _ in range(3):
                switch()
                seen.append((number, chosen()))
                with aside():
                    time.sleep(0.001)
                seen.append((number, chosen()))

    turns(3, work)
    assert began == [before] * 3
    assert {(number, tf32) for number, tf32 in seen} == {(n, (n == 1, n == 1)) for n in range(3)}
    assert chosen() == before


def test_one_that_fails_ends_all() -> None:
    ended, ready = list[int](), threading.Barrier(3)

    def work(number: int) -> None:
        try:
            with aside():
                ready.wait(timeout=10)
            if number == 0:
                raise UserError("the disk is full")
            while True:
                switch()
        except OutOfTime:
            ended.append(number)
            raise

    with pytest.raises(UserError, match="the disk is full"):
        turns(3, work)
    assert sorted(ended) == [1, 2]


def test_what_is_aside_goes_on_beside_the_steps() -> None:
    """A row that is no network, for one, takes minutes: no lane waits for it."""
    made, waits = threading.Event(), threading.Event()

    def work(number: int) -> None:
        if number == 0:
            with aside():
                waits.set()
                assert made.wait(timeout=10)
        else:
            while not waits.is_set():
                switch()
            made.set()

    turns(2, work)


# --- whole cells ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Study]:
    films = write_films(tmp_path_factory.mktemp("corpora"))

    def make(out: Path, **axes: object) -> Study:
        own = {"corpora": [str(films)], "archs": ["textcnn", "texthan"], "recipes": list(TABLE_IV), **axes}
        where = Where(out=str(out), cache=str(films.parent / "cache"), device="cpu", jobs=1)
        return Study.of("demo", own, changes=SIZES, places=where)

    return make


def run_with(study: Study, lanes: int, until: float = math.inf) -> list[Event]:
    planned, events = run.plan(study), list[Event]()
    places = Places(planned.places.out, None, planned.places.cache, lanes=lanes, until=until)
    worker.work(planned.jobs, places, events.append, planned.pending)
    return events


@pytest.mark.parametrize(("archs", "recorded"), [(["textcnn", "texthan"], False), (["bilstm"], True)])
def test_a_cell_in_a_lane_is_the_cell_alone(
    archs: list[str],
    recorded: bool,
    study: Callable[..., Study],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every recipe of Table IV, bit for bit, with ordinary and with recorded steps."""
    if recorded:
        own = cell.Run
        monkeypatch.setattr(cell, "Run", lambda *parts: own(*parts[:-1], StandIn))
    run_with(study(tmp_path / "alone", archs=archs), 1)
    events = run_with(study(tmp_path / "lanes", archs=archs), 4)
    assert contents(tmp_path / "lanes") == contents(tmp_path / "alone")
    inside = most = 0
    for kind, _, _ in events:
        inside += {"start": 1, "done": -1}.get(kind, 0)
        most = max(most, inside)
    assert most == 4
    assert len(contents(tmp_path / "lanes")) == len(archs) * len(TABLE_IV) + 1


def test_lanes_end_with_the_time_and_go_on(study: Callable[..., Study], tmp_path: Path) -> None:
    axes = {"archs": ["textcnn"], "recipes": ["standard", "dropout", "r_drop"]}
    run_with(study(tmp_path / "alone", **axes), 1)
    events = run_with(study(tmp_path / "lanes", **axes), 2, until=time.monotonic() + 0.3)
    started = {number for kind, number, _ in events if kind == "start"}
    settled = {number for kind, number, _ in events if kind in ("done", "paused")}
    assert started == settled
    run_with(study(tmp_path / "lanes", **axes), 2)
    assert contents(tmp_path / "lanes") == contents(tmp_path / "alone")


def test_a_process_of_lanes_that_dies_costs_their_cells(
    study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two cells were begun in it: both are settled as lost, and another process runs the third."""
    planned = run.plan(study(tmp_path / "out", archs=["textcnn"], recipes=["standard", "dropout"]))
    places = Places(planned.places.out, None, planned.places.cache, lanes=2)
    monkeypatch.setattr("zoo.grid.engines.local.worker_main", _dies_in_its_first_cells)
    events: list[Event] = []
    run_grid(planned.jobs, places, 1, events.append, planned.pending)
    results = {result.cell.recipe: result for result in Store(places.out).cells()}
    assert sorted(recipe for recipe, result in results.items() if result.done) == ["tfidf_svm"]
    assert sum(kind == "failed" for kind, _, _ in events) == 2
    assert "its worker process died" in results["dropout"].reason


def _dies_in_its_first_cells(jobs: list[Job], places: Places, pending: dict, pipe: object) -> None:
    import os

    nets = [number for number, job in enumerate(jobs) if not job.is_reference and job.id in pending]
    if all(not Store(places.out).settled(jobs[number].id, pending) for number in nets):
        for number in nets:
            pipe.send(("start", number, {}))
        os._exit(9)
    worker.worker_main(jobs, places, pending, pipe)
