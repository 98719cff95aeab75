"""What a result says of the program and the process that made it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from zoo.training import environment


def test_portable_is_a_process_with_all_of_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment.PORTABLE:
        monkeypatch.delenv(name, raising=False)
    assert not environment.is_portable()
    for name, value in environment.PORTABLE.items():
        assert not environment.is_portable()
        monkeypatch.setenv(name, value)
    assert environment.is_portable()
    monkeypatch.setenv(next(iter(environment.PORTABLE)), "other")
    assert not environment.is_portable()


def test_a_commit_says_whether_the_code_was_changed_since(tmp_path: Path) -> None:
    assert environment._commit(tmp_path) is None, "no checkout"

    def git(*words: str) -> str:
        name = ["-c", "user.name=t", "-c", "user.email=t@t"]
        run = subprocess.run(
            ["git", "-C", str(tmp_path), *name, *words], capture_output=True, text=True, check=True
        )
        return run.stdout.strip()

    for package in ("zoo", "uegr"):  # models of Hugging Face are trained by the latter
        (tmp_path / package).mkdir()
        (tmp_path / package / "a.py").write_text("1\n")
    (tmp_path / "README").write_text("1\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD")[:12]
    assert environment._commit(tmp_path) == commit
    (tmp_path / "README").write_text("2\n")  # computes nothing
    assert environment._commit(tmp_path) == commit
    for package in ("zoo", "uegr"):
        (tmp_path / package / "a.py").write_text("2\n")
        assert environment._commit(tmp_path) == f"{commit}+changes"
        (tmp_path / package / "a.py").write_text("1\n")
    (tmp_path / "zoo" / "a.py").write_text("2\n")
    assert environment._commit(tmp_path) == f"{commit}+changes"
