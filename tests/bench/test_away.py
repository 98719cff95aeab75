"""What is run on a lent machine: parts in turn, each in its share of the time, none at another's cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import away
from zoo.core.errors import UserError


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    (tmp_path / "pack" / "studies").mkdir(parents=True)
    (tmp_path / "pack" / "studies" / "one.json").write_text("{}")
    return tmp_path / "pack"


def test_each_part_has_its_share_and_the_last_what_is_left(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, asked = [0.0], list[tuple[str, float]]()
    monkeypatch.setattr(away.time, "monotonic", lambda: now[0])

    def run(line: Sequence[str], said: Path, seconds: float) -> int:
        asked.append((said.stem, seconds - away.GRACE))
        now[0] += 60.0
        return {"tests": 1, "gpu": 0, "cells": 3}[said.stem]

    found = away.run_away(packed, tmp_path / "out", "cuda", 10.0, away.PARTS, lambda line: None, run)
    assert asked == [("tests", 180.0), ("gpu", 240.0), ("cells", 480.0)]
    asked.clear()
    away.run_away(packed, tmp_path / "out", "cuda", 10.0, ["gpu"], lambda line: None, run)
    assert asked == [("gpu", 600.0)], "alone it has all of it"
    assert [(part["code"], part["seconds"]) for part in found["parts"]] == [(1, 60.0), (0, 60.0), (3, 60.0)]
    assert away.exit_code(found) == 1, "a part failed"
    text = away.as_text(found)
    assert "tests      60 s  failed, exit code 1" in text
    assert "cells      60 s  goes on with the same command" in text


def test_what_has_no_time_is_not_begun(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(away.time, "monotonic", lambda: now[0])

    def run(line: Sequence[str], said: Path, seconds: float) -> int:
        assert said.stem == "tests"
        now[0] += 700.0
        return 0

    found = away.run_away(packed, tmp_path / "out", "cuda", 10.0, away.PARTS, lambda line: None, run)
    assert [part["code"] for part in found["parts"]] == [0, None, None]
    assert away.exit_code(found) == 3


def test_a_part_that_does_not_end_is_ended(tmp_path: Path) -> None:
    assert (
        away._run(["-c", "print('on', flush=True); import time; time.sleep(60)"], tmp_path / "x", 3.0) == 124
    )
    assert (tmp_path / "x").read_text() == "on\n"


def test_cells_share_the_card(packed: Path, tmp_path: Path) -> None:
    line = away.commands(packed, tmp_path, "cuda", 1.0)["cells"]
    assert line[line.index("--cells-per-gpu") + 1] == str(away.CELLS)
    assert "--cells-per-gpu" not in away.commands(packed, tmp_path, "cpu", 1.0)["cells"]


def test_a_folder_that_is_no_pack_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0 studies; expected the folder of one `zoo.ablate pack`"):
        away.commands(tmp_path, tmp_path, "cuda", 1.0)
