"""The one exception that a user is meant to read, and the message of a file that cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """A mistake in the input: one clear line that says what, where, and what was expected.

    The command line prints the message alone (no traceback) and ends with exit code 2.
    """


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Writes of `path` inside the block. Raises `UserError` where the system refuses one."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); expected a place to write to"
        ) from None
