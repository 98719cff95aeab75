"""Files that are there as a whole or not at all, also after a power cut."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISDIR

import pytest

from zoo.core.errors import UserError, write_whole


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut leaves is what has been waited for: the content, then the rename."""
    done: list[str] = []
    waited, renamed = os.fsync, os.replace

    def wait(descriptor: int) -> None:
        now = os.fstat(descriptor)
        done.append(f"waited for {'the folder' if S_ISDIR(now.st_mode) else f'{now.st_size} bytes'}")
        waited(descriptor)

    def rename(source: Path, target: Path) -> None:
        done.append(f"renamed to {target.name}")
        renamed(source, target)

    monkeypatch.setattr(os, "fsync", wait)
    monkeypatch.setattr(os, "replace", rename)
    write_whole(tmp_path / "below" / "file", b"content")
    assert done == ["waited for 7 bytes", "renamed to file", "waited for the folder"]
    assert [path.read_text() for path in (tmp_path / "below").iterdir()] == ["content"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on two machines where their processes have the same number: the last one to rename counts."""
    waited, inner = os.fsync, [b"second"]

    def wait(descriptor: int) -> None:
        if inner:
            write_whole(tmp_path / "file", inner.pop())
        waited(descriptor)

    monkeypatch.setattr(os, "fsync", wait)
    write_whole(tmp_path / "file", b"first")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"first"}


def test_a_write_that_fails_leaves_the_older_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    (tmp_path / "file").write_text("before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"file: cannot be written .*No space left"):
        write_whole(tmp_path / "file", b"after")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]
