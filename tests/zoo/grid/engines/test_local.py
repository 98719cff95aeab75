"""Processes that train: what one that ends leaves behind, who takes its place, and where each runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch

from zoo.core.errors import UserError
from zoo.core.result import Result
from zoo.grid.engines import local
from zoo.grid.jobs import Job, Places
from zoo.grid.store import Store


class Process:
    """A worker that has ended, or one that cannot be started."""

    exitcode = -9

    def join(self) -> None:
        pass

    def is_alive(self) -> bool:
        return False


@pytest.fixture
def jobs(made: Callable[..., Result]) -> list[Job]:
    return [Job(made(recipe), None, "imdb", 1.0) for recipe in ("at", "uegr")]  # type: ignore[arg-type]


def told(
    monkeypatch: pytest.MonkeyPatch,
    jobs: list[Job],
    out: Path,
    scripts: list[list[tuple]],
    exitcode: int = -9,
) -> tuple[list[tuple], list[Places]]:
    """The events of workers that tell what stands in their script and then end; and the workers' places."""
    events: list[tuple] = []
    places: list[Places] = []

    def start(pool: local._Pool, place: Places) -> local._Worker:
        mine, theirs = pool.context.Pipe(duplex=False)
        for event in scripts[len(places)]:
            theirs.send(event)
        theirs.close()
        places.append(place)
        process = Process()
        process.exitcode = exitcode if len(places) < len(scripts) else 0
        return local._Worker(process, mine, place)

    monkeypatch.setattr(local._Pool, "_start", start)
    pending = Store(out).pending([job.id for job in jobs], lambda result: result.done)
    local._Pool(jobs, Places(out, device="cuda:1"), events.append, pending).run(1)
    return events, places


def test_the_cell_of_a_worker_that_died_is_recorded_and_another_goes_on(monkeypatch, jobs, tmp_path) -> None:
    events, places = told(monkeypatch, jobs, tmp_path, [[("start", 1, {}), ("epoch", 1, {})], []])
    assert [event[:2] for event in events] == [("start", 1), ("epoch", 1), ("failed", 1)]
    assert [place.device for place in places] == ["cuda:1", "cuda:1"], "in the same place"
    (lost,) = Store(tmp_path).cells()
    assert (lost.id, lost.done) == (jobs[1].id, False)


def test_a_worker_that_died_between_two_cells_costs_none(monkeypatch, jobs, tmp_path) -> None:
    done = ("done", 0, {"accuracy": 0.5, "seconds": 1.0})
    events, places = told(monkeypatch, jobs, tmp_path, [[("start", 0, {}), done], []])
    assert [event[0] for event in events] == ["start", "done"]
    assert len(places) == 2
    assert list(Store(tmp_path).cells()) == []


def test_workers_that_die_before_any_cell_are_not_started_for_ever(monkeypatch, jobs, tmp_path) -> None:
    with pytest.raises(RuntimeError, match="exit code -9 before it had a cell"):
        told(monkeypatch, jobs, tmp_path, [[] for _ in range(50)])
    with pytest.raises(RuntimeError, match="exit code 1 before it had a cell"):
        told(monkeypatch, jobs, tmp_path, [[], []], exitcode=1)


def test_what_stops_all_cells_alike_stops_the_grid(monkeypatch, jobs, tmp_path) -> None:
    with pytest.raises(UserError, match="no room"):
        told(monkeypatch, jobs, tmp_path, [[("start", 0, {}), ("error", -1, {"reason": "no room"})], []])


def test_gpus_are_taken_in_turn(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    def devices(device: str) -> list[str]:
        return [place.device for place in islice(local.spread(Places(tmp_path, device=device)), 4)]

    assert devices("cuda") == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert devices("cpu") == ["cpu"] * 4


@pytest.mark.parametrize("portable", [False, True])
def test_a_worker_finds_one_thread_when_it_loads_its_libraries(
    monkeypatch, jobs, tmp_path, portable: bool
) -> None:
    """As many threads as cores in each of as many workers as cores would be slower, and other results."""
    found: dict[str, str] = {}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "7")

    class Started(Process):
        def __init__(self, **arguments: object) -> None:
            pass

        def start(self) -> None:
            found.update(os.environ)

    before = dict(os.environ)
    pool = local._Pool(jobs, Places(tmp_path, portable=portable), lambda event: None, {})
    monkeypatch.setattr(pool.context, "Process", Started, raising=False)
    pool._start(pool.places)
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"]) == ("1", "1")
    assert ("ATEN_CPU_CAPABILITY" in found) == portable or "ATEN_CPU_CAPABILITY" in before
    assert dict(os.environ) == before


def test_no_more_workers_than_cells(monkeypatch, jobs, tmp_path) -> None:
    counts: list[int] = []
    monkeypatch.setattr(local._Pool, "run", lambda pool, count: counts.append(count))
    local.run_grid(jobs, Places(tmp_path), 8, lambda event: None, {job.id: None for job in jobs})
    assert counts == [2]
    local.run_grid(jobs, Places(tmp_path), 8, lambda event: None, {})
    assert counts == [2]
    with pytest.raises(UserError, match="workers is 0"):
        local.run_grid(jobs, Places(tmp_path), 0, lambda event: None, {jobs[0].id: None})
