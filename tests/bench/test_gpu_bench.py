"""The GPU benchmark's logic without a GPU, and processes that train side by side."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from stand_in import StandIn

from bench import command as bench
from bench.cases import Case
from bench.gpu import TABLE_IV_STEPS, estimate, in_time, measure_shape
from bench.replayed import Replayed
from bench.together import WARM_UP, lane_steps_a_second, stacked_steps_a_second, steps_a_second
from zoo.recipes import TABLE_IV
from zoo.training.graphs import ORDINARY

SMALL = Case("textcnn", "uegr", 8, batch=4, vocabulary=50, sizes="demo")


def stand_in(device: torch.device, generator: torch.Generator) -> StandIn:
    return StandIn(generator)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["gpu"]) == 2
    assert capsys.readouterr().err == (
        "zoo.bench: gpu: torch sees no GPU here; on a CPU use python -m zoo.bench\n"
    )


@pytest.mark.parametrize("arch", ["textcnn", "han"])
def test_steps_are_replayed(arch: str) -> None:
    replayed = Replayed(
        Case(arch, "uegr", 30, batch=4, vocabulary=50, sizes="demo"), torch.device("cpu"), True, stand_in
    )
    assert replayed.run(40) > 0
    assert isinstance(replayed.recorder, StandIn)
    assert replayed.recorder.replayed > 0


def test_seeds_of_one_model_make_as_many_steps_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, seconds = list[StandIn](), 2.0
    monkeypatch.setattr(Replayed, "run", lambda own, count: seconds if own.steps.stacked else 1.0)

    def noted(device: torch.device, *generators: torch.Generator) -> StandIn:
        assert len({generator.initial_seed() for generator in generators}) == len(generators) == 3
        made.append(StandIn(generators[0]))
        return made[-1]

    assert stacked_steps_a_second(SMALL, 3, 50, torch.device("cpu"), noted) == 3 * 50 / seconds
    assert len(made) == 1


def test_steps_of_several_seeds_are_replayed() -> None:
    replayed = Replayed(SMALL, torch.device("cpu"), True, lambda device, *_: StandIn(_[0]), seeds=2)
    assert replayed.run(20) > 0
    assert isinstance(replayed.recorder, StandIn)
    assert replayed.recorder.replayed > 0
    assert {len(index) for index, _ in replayed.batches} == {2 * SMALL.batch}


def test_a_row_for_every_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.gpu.STEPS", 2)
    rows = measure_shape(SMALL, torch.device("cpu"), 3, lambda text: None, stand_in)
    assert [row["recipe"] for row in rows] == list(TABLE_IV)
    assert rows[0]["ratio_to_plain"] == 1.0
    assert all(row["step_ms"] > 0 and row["ordinary_to_replayed"] > 0 for row in rows)


def test_lanes_make_their_steps_together() -> None:
    recorders, order = list[StandIn](), list[int]()

    class Noted(StandIn):
        def record(self, work: Callable[[], None]) -> Callable[[], None]:
            replay, number = super().record(work), recorders.index(self)

            def noted() -> None:
                order.append(number)
                replay()

            return noted

    def noted(device: torch.device, generator: torch.Generator) -> StandIn:
        recorders.append(Noted(generator))
        return recorders[-1]

    rate = lane_steps_a_second(SMALL, 3, 5, torch.device("cpu"), noted)
    assert rate > 0
    assert [recorder.replayed for recorder in recorders] == [WARM_UP + 5 - ORDINARY] * 3
    # One lane after the other would change at most five times, warming up and then measured.
    assert sum(a != b for a, b in pairwise(order)) > 6


def test_the_estimate_adds_up() -> None:
    """A millisecond a step: all steps of 28 cells, and twice as fast with the best use of the card."""
    rows = [
        {"arch": "textcnn", "recipe": r, "length": length, "step_ms": 1.0}
        for r in TABLE_IV
        for length in (32, 256)
    ]
    rates = {"lanes": {1: 100.0, 4: 200.0, 8: 150.0}, "processes": {1: 100.0, 4: 110.0}}
    together = [{"arch": "textcnn", "length": 64, "steps_a_second": rates}]
    (found,) = estimate(rows, together)
    assert found["minutes_one_at_a_time"] == pytest.approx(123_010 * 7 / 1e3 / 60)
    assert (found["cells_at_once"], found["in"]) == (4, "lanes")
    assert found["minutes"] == pytest.approx(found["minutes_one_at_a_time"] / 2)
    assert estimate(rows[:3], together) == []
    assert estimate(rows[::2], together) == [], "one length says nothing of the others"


def test_the_estimate_is_read_between_two_lengths() -> None:
    """A step of w words that costs w microseconds, but for what is shorter than all that was measured."""
    rows = [
        {"arch": "textcnn", "recipe": r, "length": length, "step_ms": length / 1e3}
        for r in TABLE_IV
        for length in (32, 64, 256)
    ]
    one = {"arch": "textcnn", "length": 64, "steps_a_second": {"lanes": {1: 1.0}}}
    (found,) = estimate(rows, [one])
    words = sum(steps * max(32, width) for steps, width in TABLE_IV_STEPS.values())
    assert found["minutes_one_at_a_time"] == pytest.approx(7 * words / 1e6 / 60)


def test_no_part_is_begun_when_the_time_is_over() -> None:
    now = iter([0.0, 1.0, 70.0, 71.0])
    parts = {name: lambda report, name=name: name for name in ("a", "b", "c")}
    found = in_time({"a": parts["a"], "b": parts["b"]}, {"c": parts["c"]}, print, 1.0, lambda: next(now))
    assert found == (["a"], [], ["b", "c"])


def test_processes_train_side_by_side() -> None:
    assert steps_a_second(SMALL, workers=2, threads=1, steps=2) > 0


def test_a_process_that_dies_ends_the_measurement() -> None:
    with pytest.raises(RuntimeError, match="ended early"):
        steps_a_second(Case("nonsense", "uegr", 8), workers=1, threads=1, steps=2)
