"""Code in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap


def python_process(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start `code` with these arguments and further variables; its output is a pipe of text."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
