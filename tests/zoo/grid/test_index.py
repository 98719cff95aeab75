"""The index helps and is never believed over the files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.grid import index, store
from zoo.grid.store import Store


@pytest.fixture
def folder(tmp_path: Path, made, monkeypatch) -> Store:
    """Three results and their index."""
    monkeypatch.setattr(index, "WORTH", 1)
    filled = Store(tmp_path)
    for seed in range(3):
        filled.write(made(seed=seed))
    filled.check()
    assert (tmp_path / index.FILE).exists()
    return filled


@pytest.fixture
def loaded(folder: Store, monkeypatch) -> list[str]:
    """The cells whose files are opened from now on."""
    opened: list[str] = []
    load = store._load

    def counted(path: Path, known: bool = False):
        opened.append(path.stem)
        return load(path, known)

    monkeypatch.setattr(store, "_load", counted)
    return opened


def test_nothing_is_opened_twice(folder: Store, loaded: list[str]) -> None:
    folder.check()
    assert folder.pending(folder.names(), lambda facts: facts.done) == {}
    assert loaded == []


def test_a_file_that_was_written_again_is_read_again(folder: Store, made, loaded: list[str]) -> None:
    folder.path(made(seed=1).id).unlink()  # a failure takes no result's place
    folder.write(made(seed=1, status="failed"))
    pending = folder.pending(folder.names(), lambda facts: facts.done)
    assert list(pending) == loaded == [made(seed=1).id]


def test_a_clock_that_was_set_back_hides_no_change(folder: Store, made) -> None:
    """Another content of the same length, in place, with the time of the old one."""
    path = folder.path(made(seed=1).id)
    before, text = path.stat(), path.read_text()
    path.write_text(text.replace('"status": "done"', '"status": "dome"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(UserError, match="status is 'dome'"):
        folder.check()


def test_a_copy_of_the_folder_is_read_anew(folder: Store, tmp_path: Path, loaded: list[str], made) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tmp_path.glob("*.json"):
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / index.FILE).write_bytes((tmp_path / index.FILE).read_bytes())
    Store(copy).check()
    assert len(loaded) == 3


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"checks": "of another version"}', '{"checks": 1, "files": 3}']
)
def test_an_index_that_is_none_is_made_anew(folder: Store, loaded: list[str], content: str) -> None:
    path = folder.folder / index.FILE
    path.write_text(content)
    folder.check()
    assert len(loaded) == 3
    assert len(json.loads(path.read_text())["files"]) == 3


def test_results_read_by_the_index_are_those_of_the_files(folder: Store, made) -> None:
    assert list(folder.cells()) == sorted((made(seed=seed) for seed in range(3)), key=lambda r: r.id)
    assert replace(made(seed=0), id="") != made(seed=0)


def test_where_it_cannot_be_written_the_folder_is_read_all_the_same(folder: Store, monkeypatch) -> None:
    (folder.folder / index.FILE).unlink()

    def full(*arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "replace", full)
    folder.check()
    assert [path.name for path in folder.folder.glob(".index*")] == []
