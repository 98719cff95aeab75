"""`--minutes`: a run in turns, each ended by the clock, gives what one without gives."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from same import contents

from zoo import ablate, tune
from zoo.core import command
from zoo.core.errors import UserError
from zoo.grid import jobs
from zoo.grid.store import Store
from zoo.studies import run
from zoo.studies.study import Study
from zoo.training import turns

LONG = 40  # looks at the clock in a turn


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes whenever somebody looks."""
    now = [0.0]

    def monotonic() -> float:
        now[0] += 1.0
        return now[0]

    for module in (command, jobs, turns):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=monotonic))


@pytest.mark.usefixtures("clock")
def test_turns_of_a_command_add_up(
    base: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "SAVE_EVERY", 7.0)
    options = [*base, "--jobs", "1", "--recipe", "dropout", "uegr", "--epochs", "4"]
    codes, said = [], ""
    while 0 not in codes:
        codes.append(ablate.main([*options, "--minutes", str(LONG / 60)]))
        said += capsys.readouterr().err
        assert len(codes) < 50
    assert set(codes) == {0, 3}
    assert len(codes) > 3
    assert "goes on next time" in said
    assert "cells are left; the same command goes on, also inside of a cell" in said
    out = tmp_path / "out"
    found = contents(out)
    assert not (out / ".begun").exists(), "a finished cell leaves no state"
    again = tmp_path / "again"
    whole = [str(again) if word == str(out) else word for word in options]
    assert ablate.main(whole) == 0
    assert found == contents(again)


@pytest.mark.usefixtures("clock")
def test_a_turn_that_is_too_short_for_anything_says_so(
    base: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*base, "--jobs", "1", "--recipe", "dropout"]
    assert ablate.main([*options, "--minutes", "0.001"]) == 3
    assert "2 of 2 cells are left" in capsys.readouterr().err
    assert Store(tmp_path / "out").names() == []


@pytest.mark.usefixtures("clock")
def test_a_search_ends_too(base: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune.main([*base, "--jobs", "1", "--vary", "learning_rate=0.01,0.02", "--recipe", "dropout",
                      "--minutes", "0.2"]) == 3  # fmt: skip
    assert "the time is over" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["0", "-1", "nan"])
def test_no_time_at_all_is_refused(minutes: str, base: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate.main([*base, "--minutes", minutes]) == 2
    assert "--minutes" in (said := capsys.readouterr().err)
    assert "expected more than 0" in said


def test_an_engine_that_has_its_own_limit_takes_none() -> None:
    study = Study.from_json({"places": {"engine": "slurm", "minutes": 5}})
    with pytest.raises(UserError, match="--minutes 5: goes with --engine local alone"):
        run.places_of(study)
