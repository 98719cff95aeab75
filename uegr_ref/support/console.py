"""What the commands share: tables of fixed columns, printed row by row, and a quiet end."""

from __future__ import annotations

import argparse
import os
import sys
import unicodedata
from collections.abc import Callable
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Say it and exit."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (see --help)\n")


def whole(least: int) -> Callable[[str], int]:
    """The type of an option that is a whole number >= `least`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:  # not a number, or one of more digits than Python reads
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"got {text}, wanted a whole number >= {least}")
        return value

    return parse


def run(main: Callable[[], int]) -> None:
    """Run a command and exit: no traceback on Ctrl-C or when the reader of a pipe has gone."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a console without Chinese characters still gets the rest
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or closing stdout complains again
        sys.exit(1)


def columns(text: str) -> int:
    """Columns of a terminal that a text takes: a wide character, as of Chinese, takes two."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


class Table:
    """Columns are (title, width, format); a cell of None prints as a dash. Texts go left, numbers right."""

    def __init__(self, *of: tuple[str, int, str]) -> None:
        self.columns = [(title, max(width, columns(title)), form) for title, width, form in of]

    def head(self) -> str:
        """The titles, over a rule."""
        titles = self._line([title for title, _, _ in self.columns])
        return titles + "\n  " + "-" * (columns(titles) - 2)

    def row(self, *cells: object) -> str:
        """One line; cells in the order of the columns."""
        pairs = zip(cells, self.columns, strict=True)
        return self._line(["-" if cell is None else format(cell, form) for cell, (_, _, form) in pairs])

    def _line(self, cells: list[str]) -> str:
        pairs = zip(cells, self.columns, strict=True)
        blanks = [(cell, " " * (width - columns(cell)), form) for cell, (_, width, form) in pairs]
        padded = [cell + blank if form == "s" else blank + cell for cell, blank, form in blanks]
        return ("  " + "  ".join(padded)).rstrip()
