"""Whether MPS runs is asked of its own command, for which a script stands in here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.grid import mps
from zoo.grid.mps import how_shared, served


def command(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / mps.CONTROL
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


TURNS = "8 cells on each GPU in turn, in one process, on streams of their own"
SHARED = "8 cells on each GPU in processes that share it through MPS"
# Answers like NVIDIA's where its daemon was started: a folder says that it was, and which environment it had.
LIKE_IT = """
state="$CUDA_MPS_PIPE_DIRECTORY/daemon"
if [ "$1" = "-d" ]; then touch "$state"; exit 0; fi
read asked
if [ "$asked" = quit ]; then echo "quit $CUDA_MPS_PIPE_DIRECTORY" >> {log}; rm "$state"; exit 0; fi
[ "$asked" = get_server_list ] && [ -f "$state" ]
"""


def test_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert how_shared(8, False) == f"{TURNS} (MPS is missing: no nvidia-cuda-mps-control)"
    with pytest.raises(UserError, match="--mps: nvidia-cuda-mps-control is not found; expected NVIDIA's MPS"):
        how_shared(8, True)


def test_it_is_there_and_runs_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path, 'read asked && [ "$asked" = get_server_list ]', monkeypatch)
    assert how_shared(8, False) == f"{TURNS} (--mps: in processes that share it)"
    assert how_shared(8, True) == f"{SHARED}, which runs"
    command(tmp_path, "echo Cannot find MPS control daemon process; exit 1", monkeypatch)
    assert how_shared(8, True) == f"{SHARED}, started for this run"


def test_no_answer_is_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(mps, "PATIENCE", 0.5)
    assert how_shared(8, True) == f"{SHARED}, started for this run"
    with pytest.raises(UserError, match=r"-d does not start it \(no answer\)"), served():
        pytest.fail("it was not started")


def test_it_serves_one_run_in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started before the workers, ended after them, also where the run fails."""
    log = tmp_path / "log"
    command(tmp_path, LIKE_IT.format(log=log), monkeypatch)
    folder = Path()

    def interrupted() -> None:
        nonlocal folder
        with served():
            folder = Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"])
            assert (folder / "daemon").is_file()
            assert os.environ["CUDA_MPS_LOG_DIRECTORY"] == str(folder)
            with served():  # one that runs is nobody's to end
                assert os.environ["CUDA_MPS_PIPE_DIRECTORY"] == str(folder)
            assert not log.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert log.read_text() == f"quit {folder}\n"
    assert not folder.exists()
    assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ


def test_why_it_does_not_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path, "echo no device >&2; exit 1", monkeypatch)
    with pytest.raises(UserError, match=r"-d does not start it \(no device\)"), served():
        pytest.fail("it was not started")
