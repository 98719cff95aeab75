"""What all command lines share: one line for a mistake, exit codes, a quiet end."""

from __future__ import annotations

import argparse
import difflib
import errno
import math
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from zoo.core.errors import OutOfTime, UserError, not_installed

EXIT_FAILED_CELLS, EXIT_BAD_INPUT, EXIT_OUT_OF_TIME, EXIT_INTERRUPTED = 1, 2, 3, 130
# What a file system says of a name or of its own state, wherever it is met: no bug.
_OF_THE_PLACE = {
    errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOSPC, errno.EDQUOT, errno.EROFS,
}  # fmt: skip
_began: float | None = None  # when the present command did, by `time.monotonic`


class CommandParser(argparse.ArgumentParser):
    """A parser whose complaints are one line, like all others."""

    def __init__(self, **options: Any) -> None:
        # An abbreviation that works today would be another option's name tomorrow.
        super().__init__(allow_abbrev=False, **options)
        # No shell does it after an equals sign: --out=~/model.
        self.register("type", Path, lambda text: Path(text).expanduser())

    def error(self, message: str) -> NoReturn:
        """Raise the complaint as a UserError, of an unknown option with what may have been meant."""
        raise UserError(f"{message}{self._meant(message)} (see --help)")

    def _meant(self, message: str) -> str:
        unknown = re.match(r"unrecognized arguments: (--[\w-]+)", message)
        if unknown is None:
            return ""
        if near := difflib.get_close_matches(unknown[1], self._option_string_actions, 1, 0.7):
            return f"; did you mean {near[0]}"
        name = unknown[1].removeprefix("--").replace("-", "_")
        return f"; as a setting: --set {name}=VALUE" if "--set" in self._option_string_actions else ""

    def add_version(self) -> None:
        """`--version`: that of the package."""
        import zoo

        self.add_argument("--version", action="version", version=f"uegr {zoo.__version__}")


def command(name: str, run: Callable[[], int]) -> int:
    """Run a command: a mistake of the user is one line and exit code 2, a closed pipe is no mistake."""
    global _began
    _began = time.monotonic()
    try:
        return run()
    except OutOfTime as error:
        say(str(error))
        return EXIT_OUT_OF_TIME
    except UserError as error:
        print(f"{name}: {one_line(str(error))}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except ModuleNotFoundError as error:
        if (known := not_installed(error)) is None:
            raise
        print(f"{name}: {known}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `| head` closed the pipe: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None or error.errno not in _OF_THE_PLACE:
            raise
        print(f"{name}: {one_line(str(error.filename))}: {error.strerror}; expected another", file=sys.stderr)
        return EXIT_BAD_INPUT
    finally:
        _began = None


def end_of(minutes: float) -> float:
    """When so many minutes of the present command are over, by `time.monotonic`; 0 minutes: never (inf).

    Outside of a command they begin now.
    """
    return (time.monotonic() if _began is None else _began) + 60 * minutes if minutes else math.inf


def one_line(text: str) -> str:
    """The text with line breaks and other control characters shown, as a name may hold them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def say(message: str) -> None:
    """A line for the user on standard error; standard output is for results."""
    print(message, file=sys.stderr, flush=True)


def status(message: str) -> None:
    """Like `say`, for one of many lines: in a terminal the next one takes its place; '' ends them."""
    if not sys.stderr.isatty():
        if message:
            say(message)
        return
    width = shutil.get_terminal_size().columns - 1
    print(f"\r\x1b[K{message[:width]}", end="", file=sys.stderr, flush=True)


def paced(report: Callable[[str], None], seconds: float = 2.0) -> Callable[[str], None]:
    """A report of its lines that come at least so many seconds after the one before."""
    last = time.monotonic()

    def now_and_then(message: str) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            report(message)

    return now_and_then


def duration(seconds: float) -> str:
    """75 -> '1:15'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def terminal_width() -> int | None:
    """Columns of the terminal, or None (no limit) where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def filled(text: str, width: int | None) -> str:
    """The text in lines of at most `width` characters, broken between words alone (None: one line)."""
    if width is None:
        return text
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
