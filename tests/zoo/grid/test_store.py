from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from process import python_process

from zoo.core.errors import UserError
from zoo.core.result import Result, Shared
from zoo.grid.store import Store


def test_results_of_one_run_hold_what_they_have_alike_once(
    tmp_path: Path, made: Callable[..., Result]
) -> None:
    """And nothing of another one's: 1 and 1.0, or True, are equal to a dictionary and are not the same."""
    store = Store(tmp_path)
    values = {0: {"epochs": 2}, 1: {"epochs": 2}, 2: {"epochs": 2.0}, 3: {"epochs": True}}
    results = {seed: made(seed=seed, settings={"train": own}) for seed, own in values.items()}
    for result in results.values():
        store.write(result)
    read = sorted(store.cells(), key=lambda result: result.cell.seed)
    assert read == list(results.values())
    held = [[getattr(result, name) for name in Shared.NAMES if getattr(result, name)] for result in read[:2]]
    assert len(held[0]) > 4
    assert all(one is other for one, other in zip(*held, strict=True))
    kinds = [type(result.settings["train"]["epochs"]) for result in read]
    assert kinds == [int, int, float, bool]


def test_write_read_done(tmp_path: Path, made: Callable[..., Result]):
    store = Store(tmp_path / "new" / "folder")
    good, bad = made("uegr"), made("at", status="failed", reason="the loss is NaN")
    assert not store.done(good.id)
    assert list(store.cells()) == []
    assert store.write(good) == store.path(good.id)
    store.write(bad)
    assert store.read(good.id) == good
    assert store.done(good.id)
    assert not store.done(bad.id)
    assert [r.cell.recipe for r in store.cells()] == ["at", "uegr"]
    store.write(replace(good, best_epoch=7))
    assert store.read(good.id).best_epoch == 7


def test_pending_until_somebody_writes_another_version(tmp_path, made):
    store = Store(tmp_path)
    good, bad, other = made("uegr"), made("at", status="failed"), made("r_at")
    store.write(good)
    store.write(bad)
    ids = [good.id, bad.id, other.id]
    pending = store.pending(ids, lambda result: result.done)
    assert set(pending) == {bad.id, other.id}
    assert [store.settled(i, pending) for i in ids] == [True, False, False]
    store.write(bad)  # tried again by some worker of this run: it has failed again
    store.write(other)
    assert [store.settled(i, pending) for i in ids] == [True, True, True]


def test_a_failure_does_not_take_the_place_of_a_result(tmp_path: Path, made: Callable[..., Result]) -> None:
    """A finished cell that is run again, and fails, is settled and has the result that it had."""
    store, done, failure = Store(tmp_path), made(), replace(made(status="failed"), reason="out of memory")
    store.write(done)
    before = store.path(done.id).read_bytes()
    pending = store.pending([done.id], lambda facts: False)
    store.write(failure)
    assert store.settled(done.id, pending)
    assert store.path(done.id).read_bytes() == before
    store.path(done.id).unlink()
    for result in (failure, done):
        store.write(result)
        assert store.read(done.id).done == result.done


def test_a_failing_write_leaves_the_old_result_and_no_other_file(tmp_path, made):
    store = Store(tmp_path)
    old = made("uegr")
    store.write(old)
    with pytest.raises(TypeError):
        store.write(replace(old, curve=(object(),)))
    assert store.read(old.id).curve == old.curve
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{old.id}.json"]


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path, made, monkeypatch):
    store = Store(tmp_path)
    old = made("uegr")
    store.write(old)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for act in (lambda: store.write(replace(old, best_epoch=1)), lambda: store.write(made("at"))):
        with pytest.raises(
            UserError, match=r"cannot write .*No space left on device.*finished cells are kept"
        ) as e:
            act()
        assert "\n" not in str(e.value)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{old.id}.json"]
    assert store.read(old.id) == old


def test_a_folder_that_cannot_be_written_to_is_found_out_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file; expected a folder"):
        Store(tmp_path / "file" / "below")
    with pytest.raises(UserError, match="its name is not UTF-8; expected one that is"):
        Store(tmp_path / "caf\udce9")
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(UserError, match="Permission denied"):
            Store(tmp_path / "closed").make()
    Store(tmp_path / "open").make()
    assert list((tmp_path / "open").iterdir()) == []


def test_killed_in_the_middle_of_writing_leaves_no_half_result(tmp_path):
    """The writer replaces one result for ever and is killed at eight moments; the file is always whole."""
    code = """
        import sys
        from zoo.core.result import Cell, Result
        from zoo.grid.store import Store
        store, i = Store(sys.argv[1]), 0
        while True:
            numbers = {"number": i, "long": [i] * 50_000}
            store.write(Result("cell", Cell("a", "b", "c", 0), "failed", settings=numbers))
            if i == 0:
                print("writing", flush=True)
            i += 1
    """
    store = Store(tmp_path)
    for moment in range(8):
        writer = python_process(code, tmp_path)
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == "writing"
        time.sleep(0.01 + 0.013 * moment)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        (only,) = store.cells()
        assert only.settings["long"] == [only.settings["number"]] * 50_000
    with store.claim("cell"):
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["cell.json", "cell.lock"]


def test_a_claim_removes_what_dead_writers_left_and_nothing_that_is_being_written(tmp_path):
    store = Store(tmp_path)
    writing = tmp_path / ".writing"
    writing.mkdir()
    mine = writing / store._temporary("cell")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = [
        str(mine),
        str(mine).replace(f".{os.getpid()}.tmp", f".{dead.pid}.tmp"),
        str(writing / ".cell.elsewhere.1.tmp"),
    ]
    for name in names:
        Path(name).write_text("half")
    with store.claim("cell"):
        assert [Path(name).exists() for name in names] == [True, False, True]


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="numbers of processes have no spaces here")
def test_what_a_container_of_the_same_name_writes_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process has a number that means nothing here, or another process."""
    store, stat = Store(tmp_path), os.stat
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(os, "getpid", lambda: dead.pid)
        elsewhere.setattr(
            os, "stat", lambda p, **o: SimpleNamespace(st_ino=1) if "ns/pid" in str(p) else stat(p, **o)
        )
        written = tmp_path / ".writing" / store._temporary("cell")
    written.parent.mkdir()
    written.write_text("half")
    with store.claim("cell"):
        assert written.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"id": "a",\n "cell": ', r"a-b\.json, line 2: broken JSON .*delete the file"),
        (b'{"id": "\xff"}', r"a-b\.json: not UTF-8 text; delete the file"),
        (b"[]", r"a-b\.json: not the result of a cell .*delete the file or move it"),
        (b"", r"a-b\.json, line 1: broken JSON"),
        (b"[" * 100_000, r"a-b\.json: JSON nested too deeply"),
        (
            b'{"schema": 2, "id": "b", "status": "failed", '
            b'"cell": {"corpus": "c", "arch": "a", "recipe": "r", "seed": 0}}',
            r"a-b\.json: holds the cell 'b'",
        ),
    ],
)
def test_a_broken_file_is_named(tmp_path, content: bytes, said: str):
    (tmp_path / "a-b.json").write_bytes(content)
    store = Store(tmp_path)
    for read in (lambda: list(store.cells()), lambda: store.done("a-b"), lambda: store.read("a-b")):
        with pytest.raises(UserError, match=said) as caught:
            read()
        assert "\n" not in str(caught.value)


def test_a_writer_that_nobody_has_waited_for_is_dead(tmp_path):
    """Its process is there until its parent asks, and init may take its time."""
    store = Store(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    leftover = tmp_path / ".writing" / store._temporary("other").replace(f".{os.getpid()}.", f".{dead.pid}.")
    leftover.parent.mkdir()
    leftover.write_text("half")
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    with store.claim("cell"):
        assert not leftover.exists()
    dead.wait()


def test_other_mistakes_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file; expected a folder"):
        Store(tmp_path / "file")
    with pytest.raises(UserError, match="no result of the cell 'nothing'"):
        Store(tmp_path).read("nothing")


CLAIM = """
    import sys, time
    from zoo.grid.store import Store
    with Store(sys.argv[1]).claim("cell") as mine:
        print(mine, flush=True)
        if mine:
            time.sleep(30)
"""


def test_hidden_files_are_no_results(tmp_path: Path, made: Callable[..., Result]) -> None:
    """Some systems lay one beside every file."""
    store = Store(tmp_path)
    path = store.write(made())
    (tmp_path / f"._{path.name}").write_bytes(b"\x00\x05")
    assert [result.id for result in store.cells()] == [made().id]


@pytest.mark.parametrize("name", ["", "../a", "a/b", "/a", "."])
def test_the_name_of_a_cell_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="expected the name of a cell, without a folder"):
        Store(tmp_path).path(name)


def test_exactly_one_of_several_processes_gets_a_claim_and_its_death_frees_it(tmp_path):
    runners = [python_process(CLAIM, tmp_path) for _ in range(3)]
    try:
        answers = [runner.stdout.readline().strip() for runner in runners if runner.stdout]
        assert sorted(answers) == ["False", "False", "True"]
        store = Store(tmp_path)
        with store.claim("cell") as mine:
            assert not mine
        with store.claim("another") as mine:
            assert mine
        runners[answers.index("True")].kill()
        for runner in runners:
            runner.wait()
        with store.claim("cell") as mine:
            assert mine
            with store.claim("cell") as again:
                assert not again
        assert list(store.cells()) == []
    finally:
        for runner in runners:
            runner.kill()
            runner.communicate()


def test_an_error_inside_a_claim_gives_it_back(tmp_path):
    store = Store(tmp_path)

    def fails() -> None:
        with store.claim("cell") as mine:
            assert mine
            raise RuntimeError("the cell broke")

    with pytest.raises(RuntimeError, match="the cell broke"):
        fails()
    with store.claim("cell") as mine:
        assert mine
