"""The seeds of a setting as one training of the grid: who trains them, what is written, what is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zoo.core.errors import OutOfTime
from zoo.core.result import Result
from zoo.grid import estimate, trainings, worker
from zoo.grid.jobs import Event, Job
from zoo.grid.store import Store
from zoo.studies import run
from zoo.studies.study import Study


@pytest.fixture
def stacked(small: Callable[..., Study]) -> Callable[..., run.Plan]:
    """A plan of three seeds of a small study, stacked."""

    def make(**axes: Any) -> run.Plan:
        return run.plan(small({"seeds": [0, 1, 2], **axes}, stack_seeds=True))

    return make


def work(planned: run.Plan) -> list[Event]:
    events: list[Event] = []
    worker.work(planned.jobs, planned.places, events.append, planned.pending)
    return events


def networks(planned: run.Plan) -> list[Job]:
    return [job for job in planned.jobs if not job.is_reference]


def watch(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The seeds of each training as one, as they come."""
    trained, train = list[list[int]](), trainings.train_seeds

    def watched(heads: list[Result], *arguments: Any) -> list[Result]:
        trained.append([head.cell.seed for head in heads])
        return train(heads, *arguments)

    monkeypatch.setattr(trainings, "train_seeds", watched)
    return trained


def test_seeds_are_trained_as_one_and_each_has_its_result(stacked, monkeypatch) -> None:
    planned, trained = stacked(), watch(monkeypatch)
    events = work(planned)
    assert trained == [[0, 1, 2]]
    written = {result.id: result for result in Store(planned.places.out).cells()}
    for job in networks(planned):
        assert written[job.id].done
        assert written[job.id].cell.seed == job.cell.seed
        own = [kind for kind, number, _ in events if planned.jobs[number].id == job.id]
        epochs = len(written[job.id].curve)
        assert own == ["start", *["epoch"] * epochs, "done"]


def test_a_seed_that_is_there_is_not_trained_again(stacked, monkeypatch) -> None:
    work(stacked(seeds=[1]))
    planned, trained = stacked(), watch(monkeypatch)
    before = Store(planned.places.out).path(networks(planned)[1].id).read_bytes()
    work(planned)
    assert trained == [[0, 2]]
    assert Store(planned.places.out).path(networks(planned)[1].id).read_bytes() == before


def test_a_seed_that_another_run_trains_is_left_to_it(stacked, monkeypatch) -> None:
    """One that takes the seeds one by one, and finishes its own while this one trains the others."""
    planned, trained = stacked(), watch(monkeypatch)
    store, held = Store(planned.places.out), networks(planned)[1]
    store.make()
    monkeypatch.setattr(worker.time, "sleep", lambda seconds: claim.__exit__(None, None, None))
    claim = store.claim(held.id)
    assert claim.__enter__()
    work(planned)
    assert trained == [[0, 2], [1]]


def test_what_has_no_form_for_several_is_trained_alone(stacked, monkeypatch) -> None:
    trained = watch(monkeypatch)
    for changes in ({"recipes": ["sam"]}, {"seeds": [3]}):
        planned = stacked(**changes)
        assert all(job.together == () for job in planned.jobs)
        work(planned)
    assert trained == []


def test_networks_are_kept_where_they_are_wanted(stacked) -> None:
    planned = stacked()
    planned = replace(planned, places=replace(planned.places, keep_weights=True, save_models=True))
    work(planned)
    for job in networks(planned):
        path, folder = planned.places.weights(job.id), planned.places.model(job.id)
        assert isinstance(path, Path)
        assert isinstance(folder, Path)
        assert path.is_file()
        assert folder.is_dir()


def test_it_ends_with_the_time_of_the_run(stacked, monkeypatch) -> None:
    planned, seen = stacked(), []
    planned = replace(planned, places=replace(planned.places, until=1e9))

    def train(*arguments: Any) -> list[Result]:
        seen.append(arguments[-1])
        raise OutOfTime("the time is over")

    monkeypatch.setattr(trainings, "train_seeds", train)
    events = work(planned)
    assert seen == [1e9] != [math.inf]
    assert [event[0] for event in events][-3:] == ["paused"] * 3


def test_where_it_only_costs_it_says_so(small: Callable[..., Study]) -> None:
    lines: list[str] = []
    planned = run.of_jobs(small(), run.jobs_of(small({"seeds": [0, 1]}, stack_seeds=True), lines.append))
    assert [line for line in lines if "--stack-seeds" in line] == [
        "--stack-seeds: on a CPU, where no launches are saved, the seeds take longer than one by one"
    ]
    found = estimate.Estimate({("films", "textcnn", "dropout"): 60.0}, 1)
    said = estimate.in_words(found, planned.jobs, 1, planned.places)
    assert "for seeds one by one, which are trained as one model" in said
    alone = estimate.in_words(found, [replace(job, together=()) for job in planned.jobs], 1, planned.places)
    assert "one model" not in alone
