"""Lines of progress that come at their pace, and what is not installed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from zoo.core import command
from zoo.core.command import CommandParser, paced


def test_lines_are_told_that_come_long_enough_after_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr(command.time, "monotonic", lambda: now)
    told: list[str] = []
    report = paced(told.append)
    for now, line in ((11.0, "early"), (12.0, "a"), (13.9, "soon"), (14.0, "b"), (19.0, "c")):  # noqa: B007
        report(line)
    assert told == ["a", "b", "c"]


WITHOUT = "import sys; sys.modules[{package!r}] = None; "


@pytest.mark.parametrize("package", ["torch", "scipy"])
def test_what_the_reference_alone_does_not_install_is_one_line(package: str) -> None:
    """As in an environment with NumPy alone, for a command and for the library."""
    start, said = WITHOUT.format(package=package), f"{package} is not installed; expected the extra zoo: "
    run = (
        "from zoo.core.command import command as run; sys.exit(run('zoo.x', lambda: __import__({package!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", start + run.format(package=package)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"zoo.x: {said}pip install 'uegr[zoo]'\n"


def test_the_library_without_torch_says_what_to_install() -> None:
    code = WITHOUT.format(package="torch") + "import uegr; uegr.attach"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.rstrip().endswith(
        "torch is not installed; expected the extra zoo: pip install 'uegr[zoo]'"
    )


def test_what_a_file_system_says_is_one_line_and_a_missing_file_of_ours_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(kind: int, name: str | None) -> int:
        raise OSError(kind, os.strerror(kind), name)

    for kind in (errno.EACCES, errno.ENOSPC, errno.ENAMETOOLONG, errno.EROFS):
        assert command.command("zoo.x", partial(run, kind, "a\nb")) == 2
        assert capsys.readouterr().err == f"zoo.x: a\\nb: {os.strerror(kind)}; expected another\n"
    for bug in (partial(run, errno.ENOENT, "a"), partial(run, errno.EACCES, None)):
        with pytest.raises(OSError, match=r"\[Errno"):
            command.command("zoo.x", bug)


def test_a_module_that_nobody_needs_is_no_mistake_of_the_user() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such"):
        command.command("zoo.x", lambda: int(bool(__import__("no_such"))))


def test_a_home_folder_is_told_where_no_shell_has() -> None:
    parser = CommandParser(prog="x")
    parser.add_argument("--out", type=Path)
    assert parser.parse_args(["--out=~/m"]).out == Path.home() / "m"
    assert parser.parse_args(["--out=m~"]).out == Path("m~")
