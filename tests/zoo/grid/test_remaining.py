"""The time to the end, with a clock of our own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from zoo.core.result import Result
from zoo.grid.plan import Job
from zoo.grid.progress import GridProgress, cell_label, duration
from zoo.grid.remaining import Remaining


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def job(made: Callable[..., Result], recipe: str, seed: int, units: float, variant: str = "") -> Job:
    return Job(made(recipe, seed), None, "imdb", units, variant)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def remaining(made, clock: Clock) -> Remaining:
    """Two cells of one pass and two of three."""
    jobs = [job(made, recipe, seed, units) for recipe, units in (("at", 10), ("uegr", 30)) for seed in (0, 1)]
    return Remaining(dict(enumerate(jobs)), clock)


def test_nothing_is_said_before_enough_is_known(remaining: Remaining, clock: Clock) -> None:
    remaining.take("start", 0, 0.0)
    for epoch in (1, 2):
        clock.now += 5
        remaining.take("epoch", 0, epoch / 10)
        assert remaining.seconds() is None
    clock.now += 5
    remaining.take("epoch", 0, 0.3)
    assert remaining.seconds() is not None


def test_the_pace_is_that_of_the_cells_and_not_of_the_wall(remaining: Remaining, clock: Clock) -> None:
    """Two cells side by side for 100 seconds each, started after 50 seconds of preparing."""
    clock.now = 50
    remaining.take("start", 0, 0.0)
    remaining.take("start", 1, 0.0)
    for epoch in range(1, 10):
        clock.now += 10
        remaining.take("epoch", 0, epoch / 10)
        remaining.take("epoch", 1, epoch / 10)
    # 10 seconds of two cells of 10 units, and two cells of 30 units at 10 seconds a unit, by two workers.
    assert remaining.seconds() == pytest.approx((2 * 10 + 2 * 300) / 2)
    clock.now += 10
    remaining.take("done", 0, 1.0)
    remaining.take("done", 1, 1.0)
    assert remaining.seconds() == pytest.approx(300)
    assert remaining.share() == pytest.approx(20 / 80)


def test_a_kind_of_cell_that_was_seen_has_its_own_pace(remaining: Remaining, clock: Clock) -> None:
    for number, seconds in ((0, 10), (2, 60)):
        remaining.take("start", number, 0.0)
        clock.now += seconds
        remaining.take("done", number, 1.0)
    assert remaining.seconds() == pytest.approx(10 + 60)


def test_a_cell_in_progress_has_gone_on_since_its_last_epoch(remaining: Remaining, clock: Clock) -> None:
    remaining.take("start", 0, 0.0)
    clock.now += 100
    remaining.take("done", 0, 1.0)
    before = remaining.seconds()
    remaining.take("start", 1, 0.0)
    clock.now += 30
    assert before is not None
    assert remaining.seconds() == pytest.approx(before - 30)


def test_a_failed_cell_is_over_and_teaches_no_pace(remaining: Remaining, clock: Clock) -> None:
    remaining.take("start", 0, 0.0)
    clock.now += 1
    remaining.take("failed", 0, 0.0)
    assert remaining.seconds() is None
    assert remaining.share() == pytest.approx(10 / 80)


def test_a_cell_counts_once_and_lines_tell_variants_apart(made, capsys, clock: Clock) -> None:
    jobs = [job(made, "uegr", 0, 1.0, f"alpha={alpha}") for alpha in (1, 4)]
    assert cell_label(jobs[1]) == "imdb texthan uegr s0 alpha=4"
    progress = GridProgress(jobs, {job.id for job in jobs}, clock)
    done = {"accuracy": 0.5, "seconds": 3.0}
    for event in (
        ("start", 0, {}),
        ("done", 0, done),
        ("done", 0, done),
        ("failed", 1, {"reason": "the loss"}),
    ):
        progress.send(event)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("[1/2] imdb texthan uegr s0 alpha=1  50.00 %      3 s")
    assert lines[1] == "[2/2] imdb texthan uegr s0 alpha=4 failed: the loss"


def test_lines_of_a_terminal_never_wrap(made, capsys, monkeypatch, clock: Clock) -> None:
    """Long names and reasons are cut at 80 columns; the bar keeps its room."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    jobs = [job(made, "uegr_blind_mask", 0, 1.0, "learning_rate=3e-3 base_rates=0.1,0.2 alpha=16")]
    progress = GridProgress(jobs, {jobs[0].id}, clock)
    done = {"accuracy": 0.5, "seconds": 12345.0}
    assert len(progress._line(0, "done", done)) < 80
    assert len(progress._line(0, "failed", {"reason": "out of memory " * 20})) < 80
    note = "epoch 10  100.0 %"
    assert progress.room + len(" ") + 14 + len(" ") + len("100 %") + len(" ") + len(note) < 80


def test_duration() -> None:
    assert [duration(s) for s in (0, 75, 3_675)] == ["0:00", "1:15", "1:01:15"]
