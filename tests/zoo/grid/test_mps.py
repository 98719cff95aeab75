"""Whether MPS runs is asked of its own command, for which a script stands in here."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.grid import mps
from zoo.grid.mps import how_shared


def command(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / mps.CONTROL
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def test_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    turns = "8 cells on each GPU take turns, which gains little"
    assert how_shared(8) == f"MPS is missing (nvidia-cuda-mps-control not found): {turns}"


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path, 'read asked && [ "$asked" = get_server_list ]', monkeypatch)
    assert how_shared(4) == "MPS runs: 4 cells share each GPU at once"


@pytest.mark.parametrize("script", ["echo Cannot find MPS control daemon process; exit 1", "exec sleep 60"])
def test_it_does_not_run_or_does_not_answer(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(tmp_path, script, monkeypatch)
    monkeypatch.setattr(mps, "PATIENCE", 0.5)
    said = how_shared(2)
    assert said.startswith("MPS does not run: 2 cells on each GPU take turns")
    assert said.endswith("to start it: nvidia-cuda-mps-control -d")
