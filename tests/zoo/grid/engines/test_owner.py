"""Who holds a grid elsewhere and who follows it: nothing is lost or run twice, whenever the follower dies."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.core.result import Result
from zoo.grid.engines import owner as owners
from zoo.grid.engines.follow import alone, follow
from zoo.grid.engines.owner import News, Owner, Sent
from zoo.grid.jobs import Job
from zoo.grid.store import Store, as_text


class Lost(Exception):
    pass


class Killed(BaseException):
    """The follower dies."""


class Elsewhere:
    """An owner in a loop of its own thread, with places that end as a test says."""

    def __init__(self, retries: int = 2) -> None:
        self.started: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.breaks: dict[str, list[BaseException]] = {}  # what happens to the next tries of a cell
        self.files: dict[str, dict[str, bytes]] = {}  # that a cell sends with its result
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.owner = Owner(self.launch, (Lost,), retries)

    async def launch(self, job: Job) -> Sent:
        self.started[job.id] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.owner.tell("start", job.id, {})
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if self.breaks.get(job.id):
            raise self.breaks[job.id].pop(0)
        return Sent(as_text(replace(job.head, best_epoch=1)), self.files.get(job.id, {}))

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def submit(self, jobs) -> None:
        self.call(self.owner.submit(jobs, 3))

    def take(self, written) -> News:
        return self.call(self.owner.take(written))


@pytest.fixture
def there(monkeypatch) -> Iterator[Elsewhere]:
    monkeypatch.setattr(owners, "PATIENCE", 0.02)
    monkeypatch.setattr(owners, "A_PORTION", 4)
    found = Elsewhere()
    yield found
    found.loop.call_soon_threadsafe(found.loop.stop)
    found.thread.join()
    found.loop.close()


@pytest.fixture
def jobs(made: Callable[..., Result]) -> list[Job]:
    return [Job(made(seed=seed), None, "imdb", 1.0) for seed in range(12)]  # type: ignore[arg-type]


def followed(jobs: list[Job], there: Elsewhere, out: Path, take=None) -> list[tuple]:
    events: list[tuple] = []
    pending = Store(out).pending([job.id for job in jobs], lambda facts: facts.done)
    follow(jobs, Store(out), there.submit, take or there.take, events.append, pending)
    return events


def test_every_cell_runs_once_and_so_many_at_a_time(there: Elsewhere, jobs, tmp_path: Path) -> None:
    events = followed(jobs, there, tmp_path)
    assert there.started == Counter(job.id for job in jobs)
    assert there.most_at_once == 3
    assert Counter(event[0] for event in events)["done"] == 12
    assert [result.best_epoch for result in Store(tmp_path).cells()] == [1] * 12
    assert there.owner.known == set()
    assert there.owner.results == {}, "what is written is still kept in the cluster"


@pytest.mark.parametrize("moment", range(6))
def test_a_follower_may_die_at_any_moment(there: Elsewhere, jobs, tmp_path: Path, moment: int) -> None:
    """Before or after it takes, and between its writing and its saying so."""
    calls = 0

    def takes_and_dies(written) -> News:
        nonlocal calls
        calls += 1
        if calls > moment // 2:
            if moment % 2:
                there.take(written)  # the answer never arrives
            raise Killed
        return there.take(written)

    with pytest.raises(Killed):
        followed(jobs, there, tmp_path, takes_and_dies)
    known = {path.stem: path.read_bytes() for path in tmp_path.glob("*.json")}
    followed(jobs, there, tmp_path)
    assert there.started == Counter(job.id for job in jobs), "a cell was run twice"
    assert len(list(Store(tmp_path).cells())) == 12
    assert {name: (tmp_path / f"{name}.json").read_bytes() for name in known} == known


def test_a_lost_worker_is_tried_again_and_then_the_cell_has_failed(there: Elsewhere, jobs, tmp_path) -> None:
    once, always = jobs[0].id, jobs[1].id
    there.breaks = {once: [Lost()], always: [Lost() for _ in range(3)]}
    events = followed(jobs, there, tmp_path)
    assert (there.started[once], there.started[always]) == (2, 3)
    assert Store(tmp_path).done(once)
    assert "its worker was lost" in Store(tmp_path).read(always).reason
    assert Counter(event[0] for event in events)["failed"] == 1
    followed(jobs, there, tmp_path)
    assert Store(tmp_path).done(always), "the next run tries it again"


@pytest.mark.parametrize("error", [UserError("corpus films is not there"), ValueError("no such module")])
def test_what_stops_all_cells_alike_stops_the_grid(there: Elsewhere, jobs, tmp_path, error) -> None:
    there.breaks = {jobs[5].id: [error]}
    with pytest.raises(UserError, match=str(error)):
        followed(jobs, there, tmp_path)
    finished = {result.id for result in Store(tmp_path).cells()}
    assert jobs[5].id not in finished
    assert finished >= {job.id for job in jobs[:3]}, "what was finished is not written"
    assert sum(there.started.values()) < 12
    followed(jobs, there, tmp_path)
    assert len(list(Store(tmp_path).cells())) == 12


def test_a_full_disk_leaves_results_with_their_owner(there: Elsewhere, jobs, tmp_path, monkeypatch) -> None:
    write, room = Store.write, 2

    def full(store: Store, result: Result) -> Path:
        nonlocal room
        room -= 1
        if room < 0:
            raise UserError("no room")
        return write(store, result)

    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(UserError, match="no room"):
        followed(jobs, there, tmp_path)
    monkeypatch.undo()
    followed(jobs, there, tmp_path)
    assert there.started == Counter(job.id for job in jobs)
    assert len(list(Store(tmp_path).cells())) == 12


def test_one_follower_a_folder(tmp_path: Path) -> None:
    store, message = Store(tmp_path), "expected one at a time"
    with alone(store, "ray"), pytest.raises(UserError, match=message), alone(store, "ray"):
        pass
    with alone(Store(tmp_path), "ray"):
        pass


# --- networks that are kept -------------------------------------------------------------------------------


def test_files_of_a_cell_stand_before_its_result(there: Elsewhere, jobs, tmp_path: Path, monkeypatch) -> None:
    first = jobs[0].id
    there.files = {first: {f"weights/{first}.safetensors": b"w", f"models/{first}/model.json": b"{}"}}
    own, seen = Store.write, list[bool]()

    def write(self: Store, result: Result) -> Path:
        if result.id == first:
            seen.append((tmp_path / "models" / first / "model.json").is_file())
        return own(self, result)

    monkeypatch.setattr(Store, "write", write)
    followed(jobs, there, tmp_path)
    assert seen == [True]
    assert (tmp_path / "weights" / f"{first}.safetensors").read_bytes() == b"w"
    assert len(list(Store(tmp_path).cells())) == 12


def test_large_files_come_a_few_at_a_time(there: Elsewhere, jobs, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(owners, "SIZE", 5)
    there.files = {job.id: {f"weights/{job.id}.safetensors": b"four"} for job in jobs}
    most = 0

    def take(written) -> News:
        nonlocal most
        news = there.take(written)
        most = max(most, len(news.results))
        return news

    followed(jobs, there, tmp_path, take)
    assert most == 2, "the second one is more than five bytes"
    assert len(list((tmp_path / "weights").iterdir())) == 12


@pytest.mark.parametrize(
    "name", ["../escaped", "/escaped", "weights/../../escaped", "other/escaped", "x.json"]
)
def test_a_file_that_belongs_elsewhere_is_not_written(
    there: Elsewhere, jobs, tmp_path: Path, name: str
) -> None:
    there.files = {jobs[0].id: {name: b"x"}}
    with pytest.raises(UserError, match=r"expected one below weights/ or models/"):
        followed(jobs[:1], there, tmp_path / "out")
    assert not list(tmp_path.rglob("escaped"))
    assert not list((tmp_path / "out").glob("*.json"))
