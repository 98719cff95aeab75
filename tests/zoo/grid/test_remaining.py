"""The time to the end, with a clock of our own."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from zoo.core.command import duration
from zoo.core.result import Result
from zoo.grid.jobs import Job
from zoo.grid.progress import BAR, GridProgress, cell_labels
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
    """A second a unit in two cells, two in a third: at the pace of all, 1.6 a unit, 48 would be left."""
    for number, seconds in ((0, 10), (1, 10), (2, 60)):
        remaining.take("start", number, 0.0)
        clock.now += seconds
        remaining.take("done", number, 1.0)
    assert remaining.seconds() == pytest.approx(60)


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


def test_what_a_failed_cell_had_left_was_not_trained(remaining: Remaining, clock: Clock) -> None:
    """Half of it in five seconds: a second a unit, and 70 units are left."""
    remaining.take("start", 0, 0.0)
    for share, seconds in ((0.1, 1), (0.2, 1), (0.5, 3)):
        clock.now += seconds
        remaining.take("epoch", 0, share)
    remaining.take("failed", 0, 0.0)
    assert remaining.seconds() == pytest.approx(70)


def test_cells_to_come_are_expected_to_stop_as_those_that_ended_did(
    remaining: Remaining, clock: Clock
) -> None:
    """Two of ten epochs of ten seconds, one pass: one stops after four, one after six. Two of three wait."""
    for number, reached in ((0, 4), (1, 6)):
        remaining.take("start", number, 0.0)
        shares = [*(epoch / 10 for epoch in range(1, reached)), 1.0]
        for share in shares:
            clock.now += 10
            remaining.take("epoch", number, share)
        remaining.take("done", number, 1.0)
    assert remaining.share() == pytest.approx(20 / 80)
    assert remaining.seconds() == pytest.approx((40 + 60) / 20 * 60)
    for number in (2, 3):
        remaining.take("start", number, 0.0)
        remaining.take("epoch", number, 1.0)
        remaining.take("done", number, 1.0)
    assert remaining.share() == 1
    assert remaining.seconds() == 0


def test_a_cell_counts_once_and_lines_tell_variants_apart(made, capsys, clock: Clock) -> None:
    jobs = [job(made, "uegr", 0, 1.0, f"alpha={alpha}") for alpha in (1, 4)]
    assert cell_labels(jobs, None)[1] == "imdb texthan uegr s0 alpha=4"
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
    assert lines[0].startswith("[1/2] imdb texthan uegr s0 alpha=1 validation 50.00 %      3 s")
    assert lines[1] == "[2/2] imdb texthan uegr s0 alpha=4 failed: the loss"


def test_the_counter_is_of_the_cells_to_run(made, capsys, clock: Clock) -> None:
    """Cells that were there already are no part of it, nor of the remaining time."""
    jobs = [job(made, "uegr", seed, 1.0) for seed in range(5)]
    progress = GridProgress(jobs, [jobs[1].id, jobs[4].id], clock)
    for number in (4, 1):
        progress.send(("start", number, {}))
        clock.now += 10
        progress.send(("done", number, {"accuracy": 0.5, "seconds": 10.0}))
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("[1/2] imdb texthan uegr s4 ")
    assert first.endswith("left 0:10")
    assert last.startswith("[2/2] imdb texthan uegr s1 ")


def test_labels_that_are_too_long_lose_what_all_share_and_stay_apart(made) -> None:
    rates = [f"learning_rate={rate} base_rates=0.1,0.2" for rate in ("1e-3", "3e-3", "1e-2")]
    labels = cell_labels([job(made, "uegr_blind_mask", 100, 1.0, rate) for rate in rates], 34)
    assert labels == [f"…{rate[-33:]}" for rate in rates]
    assert {len(label) for label in labels} == {34}
    assert len(set(labels)) == 3
    recipes = [job(made, recipe, seed, 1.0) for recipe in ("uegr", "at") for seed in (0, 1)]
    assert cell_labels(recipes, 12) == ["uegr s0", "uegr s1", "at s0", "at s1"]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_lines_of_a_terminal_never_wrap(made, monkeypatch, clock: Clock, columns: int) -> None:
    """Hundreds of cells of long names that take hours: bars, notes and lines fit, the bar keeps its room."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    jobs = [job(made, "uegr_blind_mask", seed, 1e6, "learning_rate=3e-3 alpha=16") for seed in range(500)]
    progress = GridProgress(jobs, {job.id for job in jobs}, clock)
    for number in range(120):
        progress.remaining.take("start", number, 0.0)
        clock.now += 100
        progress.remaining.take("done", number, 1.0)
        progress.finished.add(number)
    done = {"accuracy": 1.0, "seconds": 12345.0}
    assert len(progress._line(499, "done", done)) < columns
    assert len(progress._line(499, "failed", {"reason": "out of memory " * 20})) < columns
    entry = {"epoch": 10, "loss": 0.123, "validation_accuracy": 1.0, "learning_rate": 1e-3}
    progress.total = progress.rich.add_task("all cells", total=1.0, note="")
    progress.send(("start", 499, {}))
    progress.send(("epoch", 499, {"share": 0.5, "entry": entry}))
    with progress.rich.console.capture() as captured:
        progress.rich.console.print(progress.rich.get_renderable())
    shown = re.sub(r"\x1b\[[0-9;]*m", "", captured.get())
    for line in shown.splitlines():
        assert len(line) <= columns
        assert len(re.findall("[━╸╺]", line)) == BAR, line
    assert "120/500  left 10:" in shown
    assert "epoch 10  100.0 %" in shown


def test_duration() -> None:
    assert [duration(s) for s in (0, 75, 3_675)] == ["0:00", "1:15", "1:01:15"]


def test_what_an_earlier_turn_did_says_nothing_of_the_pace(remaining: Remaining, clock: Clock) -> None:
    """A cell that goes on at 80 % and takes 10 seconds for the rest has a pace of 50 seconds a cell."""
    remaining.take("start", 0, 0.0)
    remaining.take("resumed", 0, 0.8)
    clock.now += 10
    remaining.take("done", 0, 0.0)
    assert remaining.share() == pytest.approx(10 / 80)
    assert remaining.seconds() == pytest.approx(50 + 2 * 150)


def test_a_cell_that_pauses_is_not_running(
    remaining: Remaining, made, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [job(made, "at", seed, 10) for seed in (0, 1)]
    progress = GridProgress(jobs, [one.id for one in jobs], clock)
    for kind in ("start", "paused"):
        progress.send((kind, 1, {}))
    assert capsys.readouterr().err == "      imdb texthan at s1 goes on next time\n"
    assert not progress.remaining.running
    assert not progress.finished


def test_waiting_for_others_is_said_once_and_not_of_workers_of_this_run(
    made, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [job(made, "at", seed, 10) for seed in range(4)]
    progress = GridProgress(jobs, [one.id for one in jobs], clock)
    for number in (0, 1):
        progress.send(("start", number, {}))
    progress.send(("done", 0, {"accuracy": 0.5, "seconds": 3.0}))
    capsys.readouterr()
    progress.send(("waiting", 0, {"cells": [0, 1]}))
    assert capsys.readouterr().err == ""
    for _ in range(3):
        progress.send(("waiting", 1, {"cells": [1, 2, 3]}))
    assert capsys.readouterr().err == "2 cells are claimed by other runners; waiting\n"
    assert set(progress.remaining.running) == {1}
