"""What a run promises: it resumes, survives and shares a folder; no result depends on how it was run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from zoo import ablate
from zoo.grid.store import Store


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = ablate.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def start(arguments: Sequence[str], **options) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "zoo.ablate", *arguments]
    # A test run that a shell put in the background ignores Ctrl-C, and its children would inherit that.
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


def scores(folder: Path) -> dict[str, object]:
    """What must not depend on how a cell was run: everything but times, memory and the checkout."""
    timing = ("seconds", "step_seconds", "step_cpu_seconds", "peak_memory_mb", "made_by")
    return {r.id: {k: v for k, v in r.as_json().items() if k not in timing} for r in Store(folder).cells()}


def test_the_number_of_jobs_changes_no_result(base: list[str], tmp_path: Path, capsys) -> None:
    base = [*base, "--recipe", "dropout", "uegr"]
    one, two = [*base, "--jobs", "1"], [*base, "--jobs", "2"]
    one[one.index("--out") + 1], two[two.index("--out") + 1] = str(tmp_path / "one"), str(tmp_path / "two")
    assert run(one, capsys)[0] == 0
    process = start(two)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert scores(tmp_path / "one") == scores(tmp_path / "two")


def test_a_killed_run_resumes_with_identical_results(base: list[str], tmp_path: Path, capsys) -> None:
    base = [*base, "--seeds", "0", "1", "2", "--recipe", "dropout", "uegr", "--jobs", "1"]
    whole, cut = list(base), list(base)
    whole[whole.index("--out") + 1], cut[cut.index("--out") + 1] = str(tmp_path / "w"), str(tmp_path / "c")
    assert run(whole, capsys)[0] == 0
    process = start(cut)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "c").glob("*.json"))) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    there = len(list((tmp_path / "c").glob("*.json")))
    assert there < 7, "the run ended before it could be killed: nothing was tested"
    code, _, err = run(cut, capsys)
    assert code == 0
    assert f"{7 - there} to run" in err
    assert scores(tmp_path / "w") == scores(tmp_path / "c")


def test_two_runners_share_a_folder_and_no_cell_runs_twice(base: list[str], tmp_path: Path) -> None:
    base = [*base, "--seeds", "0", "1", "2", "--recipe", "dropout", "at", "--jobs", "1"]
    runners = [start(base), start(base)]
    finished = []
    for runner in runners:
        _, err = runner.communicate(timeout=180)
        assert runner.returncode == 0, err
        lines = [line for line in err.splitlines() if "] " in line]
        finished += [re.findall(r"\] (.*?) +\d+\.\d\d %", line)[0] for line in lines]
    assert sorted(finished) == sorted(set(finished)), "a cell ran twice"
    assert len(finished) == 7


def test_ctrl_c_keeps_what_is_finished(base: list[str], tmp_path: Path) -> None:
    process = start([*base, "--seeds", *map(str, range(30)), "--recipe", "uegr", "--jobs", "2"])
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out").glob("*uegr*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "UEGR" in out


def test_a_failing_cell_is_recorded_and_the_grid_goes_on(base: list[str], tmp_path: Path) -> None:
    """By two workers: each failing cell is tried by one of them, and the counters end at the total."""
    broken = [*base, "--recipe", "uegr", "dropout", "--seeds", "0", "1", "--set", "learning_rate=1e30"]
    process = start([*broken, "--jobs", "2"])
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert err.count("failed: the loss is") == 4
    counters = re.findall(r"\[(\d)/5\]", err)
    assert sorted(counters) == ["1", "2", "3", "4", "5"]
    assert "failed" in out
    failed = [r for r in Store(tmp_path / "out").cells() if not r.done]
    assert len(failed) == 4
    assert all("the loss is" in r.reason for r in failed)
    assert all(r.made_by["version"] and r.machine.processor for r in failed)


def test_a_worker_that_dies_costs_its_cell_only(base: list[str], tmp_path: Path) -> None:
    process = start([*base, "--seeds", *map(str, range(12)), "--recipe", "uegr", "--jobs", "2"])
    out = tmp_path / "out"
    deadline = time.monotonic() + 120
    while not list(out.glob("*uegr*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    children = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    workers = [int(line.split()[0]) for line in children if "spawn_main" in line]
    assert workers, children
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=180)
    assert process.returncode in (0, 1), err
    results = list(Store(out).cells())
    assert len(results) == 13, "every cell is done or recorded"
    lost = [r for r in results if not r.done]
    assert len(lost) <= 1
    assert all("worker process died" in r.reason for r in lost)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(base: list[str], tmp_path: Path, how: signal.Signals) -> None:
    """Found in use: a killed runner left its workers training, unseen, for minutes."""
    process = start([*base, "--seeds", *map(str, range(60)), "--recipe", "uegr", "--jobs", "2"])
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out").glob("*uegr*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(how)
    process.communicate(timeout=60)  # the pipes close when the last worker is gone
    there = len(list((tmp_path / "out").glob("*.json")))
    assert there < 61, "the run ended before it could be killed: nothing was tested"
    time.sleep(1.0)
    assert len(list((tmp_path / "out").glob("*.json"))) == there
