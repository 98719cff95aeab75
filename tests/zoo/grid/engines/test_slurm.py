"""SLURM's engine: the command killed, a task preempted. On submitit's stand-in for a cluster, and a real one.

docs/machines.md says how to make a cluster of one node on a machine of one's own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import write_films
from process import processes

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'uegr[slurm]'")

from same import contents

from zoo.core.command import EXIT_INTERRUPTED

pytestmark = pytest.mark.slow
CELLS = 5  # 4 seeds and the reference row
ROOT = Path(__file__).resolve().parents[4]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def command(place: Path, out: Path, *more: str, epochs: int = 20) -> list[str]:
    films = write_films(place)
    return [
        sys.executable, "-m", "zoo.ablate", "--corpus", str(films), "--arch", "textcnn",
        "--recipe", "dropout", "--seeds", "0", "1", "2", "3", "--no-portable", "--epochs", str(epochs),
        "--out", str(out), "--cache-dir", str(place / "cache"), *more,
        "--set", "embedding=8", "filters=4", "widths=1,2", "max_length=12",
    ]  # fmt: skip


def engine(cluster: str) -> tuple[str, ...]:
    return (
        "--engine", "slurm", "--engine-set", f"cluster={cluster}", "poll=0.2", "minutes=10", "memory_gb=2",
        "--jobs", "2",
    )  # fmt: skip


def answers() -> bool:
    """Whether there is a cluster here that takes jobs."""
    if shutil.which("sinfo") is None:
        return False
    nodes = subprocess.run(
        ["sinfo", "--noheader", "--format=%t"], capture_output=True, text=True, check=False
    )
    return any(state in nodes.stdout for state in ("idle", "mix"))


@pytest.fixture(params=["local", "slurm"])
def cluster(request: pytest.FixtureRequest) -> str:
    if request.param == "slurm" and not answers():
        pytest.skip("no SLURM answers here")
    return request.param


def wait_for(what: Callable[[], object], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def tasks(out: Path) -> list[int]:
    """The processes that train: the children of submitit's controllers."""
    return processes("submitit.core._submit", str(out))


def preempt(cluster: str, out: Path, submitted: dict[str, list[str]]) -> None:
    """Take a task's machine away."""
    if cluster == "slurm":
        for task in submitted:
            subprocess.run(["scontrol", "requeue", task], capture_output=True, check=False)
    for task in tasks(out)[:1] if cluster == "local" else ():
        os.kill(task, signal.SIGUSR2)  # what SLURM sends before


def queued(cluster: str, out: Path) -> object:
    if cluster == "local":
        return tasks(out)
    return subprocess.run(["squeue", "--noheader", "--name=uegr"], capture_output=True, check=True).stdout


def test_the_command_may_die_and_a_task_be_preempted(cluster: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    subprocess.run(command(tmp_path, here, "--jobs", "1"), env=ENVIRONMENT, check=True, capture_output=True)
    slurm = command(tmp_path, there, *engine(cluster))
    first = subprocess.Popen(slurm, env=ENVIRONMENT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for(lambda: list(there.glob("films-*.json")))
    first.send_signal(signal.SIGKILL)
    first.wait()
    submitted = json.loads((there / ".slurm" / "submitted.json").read_text())
    assert len(submitted) == 2
    preempt(cluster, there, submitted)
    again = subprocess.run(slurm, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "tasks submitted" not in again.stderr, "what runs already was submitted once more"
    assert contents(there) == contents(here)
    assert len(contents(there)) == CELLS
    wait_for(lambda: not queued(cluster, there), 60)


def test_ctrl_c_ends_the_tasks(cluster: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    slurm = command(tmp_path, out, *engine(cluster), epochs=2000)
    run = subprocess.Popen(
        slurm, env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    wait_for(lambda: queued(cluster, out))
    time.sleep(3)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate()
    assert run.returncode == EXIT_INTERRUPTED, said
    assert "interrupted: finished cells are kept" in said
    wait_for(lambda: not queued(cluster, out), 60)
