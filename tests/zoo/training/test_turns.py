"""A training that is cut off at any step, or between epochs, ends as one that was not: bit for bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from recorded import OPTIONS
from same import content
from stand_in import Short, StandIn

import tiny
from zoo.core.errors import OutOfTime, UserError
from zoo.core.result import Cell, Result
from zoo.method.recipe import Recipe
from zoo.recipes import RECIPES
from zoo.training import cell, loop
from zoo.training.run import Run
from zoo.training.turns import SAVE_EVERY, State, Turn, Turns, forget

CPU = torch.device("cpu")
A_TURN = 8  # looks at the clock in an epoch: behind each of 7 steps of 8, and behind the epoch
ALL = RECIPES | OPTIONS | {
    "saliency of an epoch": RECIPES["uegr"].changed(saliency="epoch"),
    "mask of an epoch": RECIPES["uegr"].changed(resample="epoch"),
    "statistics of the step before": RECIPES["uegr"].changed(statistics="previous_step"),
}  # fmt: skip


def new_run(recipe: Recipe, arch: str = "textcnn", recorder: Any = None, **train: Any) -> Run:
    chosen = replace(tiny.cell_settings("dropout", arch, **train), recipe=recipe)
    model = cell.make_model(arch, 0, chosen, tiny.corpus(), None)
    return Run(model, 0, chosen, tiny.corpus(), CPU, recorder)


def left_by(run: Run) -> dict[str, Any]:
    """What a training leaves that must not depend on its turns."""
    return {
        "curve": run.curve, "best": (run.best_epoch, run.best_score),
        "masks": run.trainee.generator.get_state(),
        "weights": torch.cat([p.detach().flatten() for p in run.model.parameters()]),
    }  # fmt: skip


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(torch.equal(a[key], b[key]) if torch.is_tensor(a[key]) else a[key] == b[key] for key in a)


def in_turns(make: Callable[[], Run], path: Path, *turns: int) -> Run:
    """The training in turns of so many looks at the clock, and one to the end, each a run of its own."""
    for looks in turns:
        with pytest.raises(OutOfTime):
            make().fit(turn=Short(path, looks))
    run = make()
    run.fit(turn=Turn(path))
    return run


@pytest.mark.parametrize("name", ALL)
def test_a_training_in_turns_ends_as_one_in_one(name: str, tmp_path: Path) -> None:
    """Cut off within the first epoch, behind it, and within the second one."""

    def make() -> Run:
        return new_run(ALL[name])

    whole = make()
    whole.fit()
    assert same(left_by(in_turns(make, tmp_path / "it.pt", 3, A_TURN - 3, 2)), left_by(whole))


@pytest.mark.parametrize("steps", [None, StandIn])
def test_so_does_one_of_any_model_with_recorded_steps_or_without(
    arch: str, steps: Any, tmp_path: Path
) -> None:
    def make() -> Run:
        return new_run(RECIPES["uegr"], arch, steps)

    whole = make()
    whole.fit()
    cut = in_turns(make, tmp_path / "it.pt", 5, 3)
    assert same(left_by(cut), left_by(whole))
    assert cut.steps.recorded == (steps is not None)


def test_patience_that_ended_in_an_earlier_turn_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.scores(monkeypatch, 0.9, 0.5)
    run = in_turns(lambda: new_run(RECIPES["dropout"], epochs=5, patience=1), tmp_path / "it.pt", 2 * A_TURN)
    assert (len(run.curve), run.best_epoch) == (2, 1)


def test_seconds_and_times_of_all_turns_count(tmp_path: Path) -> None:
    run = in_turns(lambda: new_run(RECIPES["dropout"]), tmp_path / "it.pt", 3, 7)
    assert len(run.steps.times.wall) == 16
    assert 0 < run.earlier_seconds < run.train_seconds + run.evaluate_seconds


def test_it_says_how_far_it_had_come(tmp_path: Path) -> None:
    told: list[float] = []
    with pytest.raises(OutOfTime):
        new_run(RECIPES["dropout"]).fit(turn=Short(tmp_path / "it.pt", A_TURN + 2))
    new_run(RECIPES["dropout"]).fit(turn=Turn(tmp_path / "it.pt", resumed=told.append))
    assert told == [(1 + 2 / 8) / 2]


# --- the file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut short", "empty", "no state at all", "of others", "of another form"])
def test_what_cannot_be_gone_on_from_is_begun_anew(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "it.pt"
    with pytest.raises(OutOfTime):
        new_run(RECIPES["uegr"]).fit(turn=Short(path, 3))
    known = torch.load(path, weights_only=True)
    assert Turn(path).load(CPU) is not None
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "of another form":
        torch.save({**known, "format": 0}, path)
    elif damage != "of others":
        path.write_bytes(b"" if damage == "empty" else b"not a state")
    who = {"made_by": "somebody else"} if damage == "of others" else {}
    assert Turn(path, who).load(CPU) is None


def test_a_state_holds_no_code(tmp_path: Path) -> None:
    """A file of pickled objects is not unpickled."""
    torch.save({"format": 1, "who": {}, "state": Path("x")}, tmp_path / "it.pt")
    assert Turn(tmp_path / "it.pt").load(CPU) is None


def test_it_is_written_once_a_minute_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    turn = Turn(tmp_path / "it.pt", until=1000.0 + 2.5 * SAVE_EVERY)
    written: list[float] = []

    def state() -> State:
        written.append(now[0] - 1000.0)
        return {}

    for _ in range(int(2.5 * SAVE_EVERY)):
        turn.keep(state)
        now[0] += 1.0
    assert written == [SAVE_EVERY, 2 * SAVE_EVERY]
    now[0] = turn.until
    with pytest.raises(OutOfTime):
        turn.keep(lambda: {"last": 1})
    assert Turn(tmp_path / "it.pt").load(CPU) == {"last": 1}


def test_who_ends_has_saved(tmp_path: Path) -> None:
    """Also where the time ends between two looks at the clock."""

    class Late(Turn):
        looks = 0

        @property
        def over(self) -> bool:
            self.looks += 1
            return self.looks % 2 == 0

    turn = Late(tmp_path / "it.pt")
    turn.keep(lambda: pytest.fail("it is not due"))
    with pytest.raises(OutOfTime):
        turn.keep(lambda: {"last": 1})
    assert Turn(tmp_path / "it.pt").load(CPU) == {"last": 1}


def test_nothing_is_kept_without_a_file() -> None:
    turn = Turn(until=0.0)
    with pytest.raises(OutOfTime):
        turn.keep(lambda: pytest.fail("nobody wants the state"))


def test_a_place_that_takes_no_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"it\.pt: cannot be written"):
        Turn(tmp_path / "file" / "it.pt").save({})


# --- cells ------------------------------------------------------------------------------------------------


def a_cell(turns: Turns | None, **train: Any) -> Result:
    head = Result("name", Cell("toy", "textcnn", "uegr", 0), "failed")
    return cell.train_cell(head, tiny.cell_settings("uegr", **train), tiny.corpus(), CPU, turns=turns)


def test_a_member_that_has_ended_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off in the first step of the second one, minutes after the first one's last state."""
    own, told = Turn.keep, list[float]()

    def keep(self: Turn, state: Callable[[], dict[str, Any]]) -> None:
        if self.path is not None and self.path.name.endswith(".1.pt"):
            raise OutOfTime
        own(self, state)

    turns = Turns(tmp_path, "it", {}, resumed=told.append)
    monkeypatch.setattr(Turn, "keep", keep)
    with pytest.raises(OutOfTime):
        a_cell(turns, members=2)
    monkeypatch.setattr(Turn, "keep", own)
    result = a_cell(turns, members=2)
    assert told == [0.5]
    assert content(result) == content(a_cell(None, members=2))


@pytest.mark.parametrize("members", [1, 2])
def test_a_cell_in_turns_has_the_result_of_one_in_one(
    members: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn of three steps each, also where several members train; then nothing of it is left."""
    looks: list[int] = []

    def keep(self: Turn, state: Callable[[], State]) -> None:
        looks.append(1)
        if len(looks) % 3 == 0:
            self.save(state())
            raise OutOfTime("over")

    told: list[float] = []
    turns = Turns(tmp_path / ".begun", "name", resumed=told.append)
    monkeypatch.setattr(Turn, "keep", keep)
    cut_off = 0
    while True:
        try:
            result = a_cell(turns, members=members)
            break
        except OutOfTime:
            cut_off += 1
            assert cut_off < 40
    monkeypatch.undo()
    assert cut_off >= members * 2 * A_TURN // 3 - 1
    assert told[0] == 3 / 16 / members
    assert max(told) > 1 - 3 / 16 / members
    assert content(result) == content(a_cell(None, members=members))
    assert list((tmp_path / ".begun").iterdir())
    (tmp_path / ".begun" / ".name.0.pt.77.tmp").write_text("half a state")
    (tmp_path / ".begun" / "name2.0.pt").write_text("another cell's")
    forget(turns.folder, turns.name)
    assert [path.name for path in (tmp_path / ".begun").iterdir()] == ["name2.0.pt"]


def test_the_loop_counts_what_the_steps_of_a_cut_epoch_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(loop.time, "perf_counter", clock)
    with pytest.raises(OutOfTime):
        new_run(RECIPES["dropout"]).fit(turn=Short(tmp_path / "it.pt", 3))
    state = Turn(tmp_path / "it.pt").load(CPU)
    assert state is not None
    assert state["seconds"][0] > 3


def test_a_state_that_takes_long_to_write_is_written_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing costs at most a twentieth of the time: 10 seconds are worth a pause of 200."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    turn = Turn(tmp_path / "it.pt")
    monkeypatch.setattr(torch, "save", lambda *_: now.__setitem__(0, now[0] + 10))
    turn.save({})
    now[0] += 199
    assert not turn.due
    now[0] += 1
    assert turn.due
