"""Code in a process of its own, and processes by their command line."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path


def python_process(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start `code` with these arguments and further variables; its output is a pipe of text."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def processes(*words: str) -> list[int]:
    """The other processes of this machine whose command line has all the words."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if all(word in line for word in words) and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found
