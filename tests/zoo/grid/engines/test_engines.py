"""Engines by name, what they refuse in one line, and how a list is divided for SLURM."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.core.errors import UserError
from zoo.core.result import Cell, Result
from zoo.grid.engines import ENGINES, engine_of
from zoo.grid.engines.on_slurm import FOLDER, SUBMITTED, Shard, Slurm, _queued, _Submitted, divide
from zoo.grid.jobs import Job, Places
from zoo.grid.store import Store


def test_engines_are_found_by_name_with_their_settings() -> None:
    assert list(ENGINES) == ["local", "ray", "slurm"]
    assert engine_of("ray", ["gpus=0.25", "address=head:6379"]).gpus == 0.25  # type: ignore[attr-defined]
    for name, settings, said in (
        ("rai", [], "unknown engine 'rai': expected one of local, ray, slurm .*'ray'"),
        ("ray", ["gpu=1"], "unknown setting of --engine ray 'gpu'.*'gpus'"),
        ("ray", ["gpus"], "--engine-set gpus: expected NAME=VALUE"),
        ("ray", ["gpus=-1"], "engine setting gpus=-1.0: expected a number above 0"),
        ("slurm", ["minutes=soon"], "setting minutes='soon': expected int"),
        ("local", ["gpus=1"], "unknown setting of --engine local"),
    ):
        with pytest.raises(UserError, match=said):
            engine_of(name, settings)


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_engine_that_is_not_installed_says_what_to_install(monkeypatch, tmp_path, name, package) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"--engine {name}: {package} is not installed.*uegr\[{name}\]"):
        engine_of(name).check(Places(tmp_path))


def test_slurm_without_sbatch_is_one_line(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "submitit", sys)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no sbatch here"):
        Slurm().check(Places(tmp_path))
    Slurm(cluster="local").check(Places(tmp_path))


@given(st.lists(st.floats(0, 1e6), max_size=40), st.integers(1, 8))
def test_shares_are_all_of_the_list_and_about_equal(costs: list[float], shares: int) -> None:
    heads = [Result(str(i), Cell("c", "a", "r", i), "failed") for i in range(len(costs))]
    jobs = [Job(head, None, "c", cost) for head, cost in zip(heads, costs, strict=True)]  # type: ignore[arg-type]
    found = divide(jobs, shares)
    assert sorted(job.id for share in found for job in share) == sorted(job.id for job in jobs)
    assert len(found) == min(shares, len(jobs))
    assert all(found)
    loads = [sum(job.units for job in share) for share in found]
    if loads:
        assert max(loads) - min(loads) <= max(costs) * (1 + 1e-9) + 1e-6


def test_a_task_that_is_started_again_does_what_is_left(
    made: Callable[..., Result], tmp_path, monkeypatch
) -> None:
    jobs = [Job(made(seed=seed), None, "imdb", 1.0) for seed in range(3)]  # type: ignore[arg-type]
    pending = dict.fromkeys(job.id for job in jobs)
    ran = []

    def runs(job: Job, places: Places, send, number: int) -> None:
        ran.append(job.id)
        Store(places.out).write(job.head)
        if len(ran) == 2:
            raise SystemExit  # as submitit ends a task that is preempted

    monkeypatch.setattr("zoo.grid.worker.run_job", runs)
    shard = Shard(jobs, Places(tmp_path), pending)
    with pytest.raises(SystemExit):
        shard()
    shard()
    assert ran == [job.id for job in jobs]


@pytest.fixture
def queue(tmp_path: Path, monkeypatch) -> Path:
    """A squeue that prints this file; without the file the job is too old to be known."""
    said = tmp_path / "queue"
    program = tmp_path / "bin" / "squeue"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\n[ -e {said} ] && exec cat {said}\n"
        "echo 'slurm_load_jobs error: Invalid job id specified' >&2\nexit 1\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return said


def test_tasks_of_an_earlier_command_are_followed_as_long_as_the_queue_has_them(
    queue: Path, tmp_path
) -> None:
    folder = tmp_path / "out" / FOLDER
    folder.mkdir(parents=True)
    (folder / SUBMITTED).write_text('{"7_0": ["a"], "7_1": ["b"], "9": ["c"]}')
    queue.write_text("7_1 7\n9_N/A 9\n")
    grid = _Submitted(Slurm(), Places(tmp_path / "out"))
    assert grid.in_hand() == {"b", "c"}
    queue.unlink()
    assert grid.in_hand() == set()


def test_a_queue_that_does_not_answer_is_one_line(queue: Path, tmp_path: Path) -> None:
    (tmp_path / "bin" / "squeue").write_text(
        "#!/bin/sh\necho 'Unable to contact slurm controller' >&2\nexit 1\n"
    )
    with pytest.raises(UserError, match=r"squeue does not answer \(Unable to contact"):
        _queued({"7"})


def test_a_task_that_would_find_nothing_to_do_leaves_the_queue(made, queue: Path, tmp_path: Path) -> None:
    """A task that was requeued late waits while others finish its cells; one of other cells stays."""
    store, result = Store(tmp_path / "out"), made()
    store.write(result)
    folder = tmp_path / "out" / FOLDER
    folder.mkdir(parents=True)
    (folder / SUBMITTED).write_text(json.dumps({"7_0": [result.id], "7_1": [result.id, "another"]}))
    queue.write_text("7_0 7\n7_1 7\n")
    cancelled = tmp_path / "cancelled"
    program = tmp_path / "bin" / "scancel"
    program.write_text(f'#!/bin/sh\necho "$@" > {cancelled}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    _Submitted(Slurm(), Places(tmp_path / "out")).drop(store)
    assert cancelled.read_text() == "7_0\n"
