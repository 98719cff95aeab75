"""What all command lines share: one line for a mistake, exit codes, a quiet end."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from zoo.core.errors import UserError

EXIT_FAILED_CELLS, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130


class CommandParser(argparse.ArgumentParser):
    """A parser whose complaints are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint as a UserError."""
        raise UserError(f"{message} (see --help)")


def command(name: str, run: Callable[[], int]) -> int:
    """Run a command: a mistake of the user is one line and exit code 2, a closed pipe is no mistake."""
    try:
        return run()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `| head` closed the pipe: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def say(message: str) -> None:
    """A line for the user on standard error; standard output is for results."""
    print(message, file=sys.stderr, flush=True)
