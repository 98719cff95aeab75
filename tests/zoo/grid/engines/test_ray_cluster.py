"""A real Ray cluster: its driver and its workers are killed, and every cell is as run locally."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from corpora import write_films
from process import processes

pytest.importorskip("ray", reason="ray is not installed: pip install 'uegr[ray]'")

import contextlib

from same import contents

from zoo.core.command import EXIT_BAD_INPUT, EXIT_INTERRUPTED

pytestmark = pytest.mark.slow
PORT = 6397
CELLS = 7  # 2 recipes x 3 seeds and the reference row
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A head with two workers, and the environment of whoever uses it; ended by its process ids."""
    home = tmp_path_factory.mktemp("r")
    environment = os.environ | {
        "HOME": str(home), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(ROOT), "UEGR_CACHE": str(home / "cache"), "RAY_ADDRESS": "",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--num-cpus", "2"]
    start += ["--port", str(PORT), "--include-dashboard=false", "--object-store-memory", "100000000"]
    subprocess.run([*start, "--temp-dir", str(home / "t")], env=environment, check=True, capture_output=True)
    yield environment
    sessions = [pid for word in (str(home / "t"), f"address=127.0.0.1:{PORT}") for pid in processes(word)]
    for pid in sessions:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_films(tmp_path_factory.mktemp("corpora"))


def command(films: Path, out: Path, *more: str) -> list[str]:
    sizes = ["embedding=8", "filters=4", "widths=1,2", "max_length=12"]
    return [
        sys.executable, "-m", "zoo.ablate", "--corpus", str(films), "--arch", "textcnn",
        "--recipe", "dropout", "uegr", "--seeds", "0", "1", "2", "--no-portable", "--epochs", "60",
        "--out", str(out), *more,
        "--set", *sizes,
    ]  # fmt: skip


def started(arguments: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def wait_for(what, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def results(folder: Path) -> list[Path]:
    return list(folder.glob("[!.]*.json"))


def test_driver_and_workers_may_die(cluster: dict[str, str], films: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    keep = ("--keep-weights", "--save-models")
    subprocess.run(command(films, here, "--jobs", "1", *keep), env=cluster, check=True, capture_output=True)
    ray = command(films, there, "--engine", "ray", "--address", f"127.0.0.1:{PORT}", *keep)
    driver = started(ray, cluster)
    wait_for(lambda: len(results(there)) >= 1)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    known = len(results(there))
    assert known < CELLS, "the driver died too late to show anything"
    wait_for(lambda: processes("ray::_run_cell"))
    os.kill(processes("ray::_run_cell")[0], signal.SIGKILL)
    time.sleep(3)
    assert len(results(there)) == known, "nobody writes while no driver is there"
    again = subprocess.run(ray, env=cluster, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f"{CELLS - known} to run" in again.stderr
    assert contents(there) == contents(here)
    assert len(contents(there)) == CELLS
    kept = [
        sorted(p.relative_to(out) for p in out.glob("[wm]*/**/*") if p.is_file()) for out in (here, there)
    ]
    assert kept[0] == kept[1]
    weights = [name for name in kept[0] if name.suffix == ".safetensors"]
    assert len(weights) == 2 * (CELLS - 1)
    assert all((here / name).read_bytes() == (there / name).read_bytes() for name in weights)
    assert processes("ray::_run_cell") == []


def test_interrupting_the_driver_ends_the_grid(cluster: dict[str, str], films: Path, tmp_path: Path) -> None:
    driver = started(
        command(films, tmp_path, "--engine", "ray", "--address", f"127.0.0.1:{PORT}", "--epochs", "2000"),
        cluster,
    )
    wait_for(lambda: processes("ray::_run_cell"))
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate()
    assert driver.returncode == EXIT_INTERRUPTED, said
    assert "Traceback" not in said
    assert "interrupted: finished cells are kept" in said
    wait_for(lambda: not processes("ray::_run_cell"), 30)


def test_no_cluster_is_one_line(cluster: dict[str, str], films: Path, tmp_path: Path) -> None:
    ray = command(films, tmp_path, "--engine", "ray", "--address", "127.0.0.1:1")
    answer = subprocess.run(ray, env=cluster, capture_output=True, text=True, check=False)
    assert answer.returncode == EXIT_BAD_INPUT, answer.stderr
    assert answer.stderr.splitlines()[-1].startswith(
        "zoo.ablate: --address 127.0.0.1:1: no Ray cluster answers"
    )
