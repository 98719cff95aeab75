"""The arithmetic of the measurements, on times that are made up: no clock is read here."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import timing, together, waits
from bench.cases import Case
from bench.growth import WORDS_TOO, _with, by_series, fit
from bench.report import SHARED_GOAL, SPEED_GOALS, UNSHARED_GOAL, _summary, _targets
from bench.run import _row
from bench.timing import Times, interleaved, quartiles, ratio, timed

milliseconds = st.floats(0.1, 1e4)


@given(st.lists(milliseconds, min_size=1, max_size=12))
def test_quartiles_are_those_of_the_values_and_lie_among_them(values: list[float]) -> None:
    assert quartiles(values) == pytest.approx(tuple(np.percentile(values, [25, 50, 75])))
    assert min(values) <= quartiles(values)[0]
    assert quartiles(values)[2] <= max(values)


@given(st.lists(st.tuples(milliseconds, milliseconds), min_size=1, max_size=9))
def test_a_ratio_is_taken_round_by_round(pairs: list[tuple[float, float]]) -> None:
    """A busy minute makes both slower in the same round."""
    one, other = (Times([pair[i] for pair in pairs], []) for i in (0, 1))
    assert ratio(one, other) == quartiles([a / b for a, b in pairs])


def test_a_step_is_timed_by_the_processor_and_by_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """In milliseconds; the other work of a machine is in the second number alone."""
    cpu, wall = iter([10.0, 10.25]), iter([70.0, 72.0])
    monkeypatch.setattr(timing.time, "thread_time", lambda: next(cpu))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(wall))
    assert timed(lambda: None)() == pytest.approx((250.0, 2000.0))


def test_variants_run_in_turn_and_the_warm_up_does_not_count() -> None:
    calls: list[tuple[str, bool]] = []
    told: list[str] = []

    def step(name: str, times: list[float]) -> Callable[[], tuple[float, float]]:
        def run() -> tuple[float, float]:
            calls.append((name, gc.isenabled()))
            return times.pop(0), -1.0

        return run

    steps = {"a": step("a", [9.0, 9.0, 1.0, 2.0, 3.0]), "b": step("b", [8.0, 8.0, 4.0, 5.0, 6.0])}
    found = interleaved(steps, 3, tick=told.append)
    assert [name for name, _ in calls] == told == [*"aabb", *"ababab"]
    assert [enabled for _, enabled in calls] == [True] * 4 + [False] * 6, "no garbage is collected in a step"
    assert gc.isenabled()
    assert {name: times.cpu for name, times in found.items()} == {"a": [1, 2, 3], "b": [4, 5, 6]}
    assert found["a"].wall == [-1.0] * 3


def test_garbage_is_collected_again_after_a_step_that_fails() -> None:
    def fails() -> tuple[float, float]:
        raise ValueError("a step that fails")

    with pytest.raises(ValueError, match="a step that fails"):
        interleaved({"a": fails}, 1, warm_up=0)
    assert gc.isenabled()


def test_a_row_is_medians_and_quartiles() -> None:
    times, plain = Times([4.0, 8.0, 6.0], [9.0, 30.0, 10.0]), Times([2.0, 2.0, 1.0], [])
    row = _row(Case("textcnn", "uegr", 9, batch=3), times, plain, True, floor=3.0)
    assert (row["step_ms"], row["step_ms_quartiles"], row["step_wall_ms"]) == (6, [5, 7], 10)
    assert (row["ratio_to_plain"], row["ratio_to_plain_quartiles"]) == (4, [3, 5])
    assert (row["examples_per_second"], row["floor_share"], row["rounds"]) == (500, 0.5, 3)


def test_a_line_is_fitted_to_relative_errors() -> None:
    """The same share off at every size weighs the same; the normal equations of the weighted problem hold."""
    x, y = np.array([1.0, 10.0, 100.0, 1000.0]), np.array([2.0, 22.0, 180.0, 2500.0])
    a, b, error = fit(x.tolist(), y.tolist())
    off = (a + b * x) / y - 1
    assert (off / y).sum() == pytest.approx(0, abs=1e-9)
    assert (off * x / y).sum() == pytest.approx(0, abs=1e-9)
    assert error == pytest.approx(np.abs(off).max())


def test_one_size_is_varied_and_all_else_stays() -> None:
    case = Case("textcnn", "uegr", 64, changes=(WORDS_TOO,))
    assert _with(case, "K", 5) == Case("textcnn", "uegr", 64, changes=(WORDS_TOO, ("adversarial", 5)))
    assert _with(case, "batch", 5) == Case("textcnn", "uegr", 64, batch=5, changes=(WORDS_TOO,))
    points = [
        {"factor": "K", "arch": "a", "series": s, "value": v, "ms": v + 1} for s in "xy" for v in (1, 2)
    ]
    assert by_series(points) == {("K", "a", s): [(1, 2), (2, 3)] for s in "xy"}


def test_processes_make_their_steps_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times ten steps, in the time of the slowest."""

    class Context:
        def Barrier(self, count: int) -> None:
            assert count == 3

        def Queue(self) -> None:
            pass

        def Process(self, **options: Any) -> Context:
            return self

        def start(self) -> None:
            pass

        join = start

    spans = iter([1.0, 2.0, 1.5])
    monkeypatch.setattr(together.multiprocessing, "get_context", lambda kind: Context())
    monkeypatch.setattr(together, "_answer", lambda results, processes: next(spans))
    assert together.steps_a_second(Case("textcnn", "uegr", 9), workers=3, threads=1, steps=10) == 15


def test_the_second_load_finds_the_cache_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    caches = []

    class Answer:
        returncode = 0
        stdout = '{"language": "en", "rows": 3, "seconds": 1.5}'

    monkeypatch.setattr(
        waits.subprocess, "run", lambda command, **options: caches.append(command[-1]) or Answer()
    )
    found = waits._corpus("films", None, lambda text: None)
    assert len(caches) == 2
    assert len(set(caches)) == 1
    assert (found["rows"], found["first_seconds"], found["again_seconds"]) == (3, 1.5, 1.5)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("place", SPEED_GOALS)
def test_a_goal_is_met_or_its_miss_is_said(place: tuple[str, int], shared: bool) -> None:
    """A hair's breadth on either side of each goal: of speed, and of the cost of a step."""
    (arch, length), speed = place, SPEED_GOALS[place]
    cost = SHARED_GOAL if shared else UNSHARED_GOAL

    def said(gain: float, ratio_to_plain: float) -> tuple[str, str]:
        row = {
            "arch": arch, "length": length, "recipe": "uegr", "changes": {}, "shares_trunk": shared,
            "vocabulary": 30_000, "step_ms": 1.0, "straightforward_ms": 1.0, "floor_share": 0.5,
            "ratio_straightforward_to_this": gain, "ratio_straightforward_zscore_to_this": gain,
            "ratio_to_plain": ratio_to_plain,
        }  # fmt: skip
        return str(_summary([row])), str(_targets([row]).rows)

    for text in said(speed + 0.01, cost - 0.01):
        assert "missed" not in text.lower()
    summary, cells = said(speed - 0.01, cost - 0.01)
    assert summary.count(f"not {speed}") == 2
    assert cells.count(f"(goal {speed}, missed)") == 2
    summary, cells = said(speed + 0.01, cost + 0.01)
    assert f"plain steps, not {cost}" in summary
    assert cells.count("missed") == 1
