"""The exceptions that a user is meant to read, and files that are there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class UserError(Exception):
    """A mistake in the input: one clear line that says what, where, and what was expected.

    The command line prints the message alone (no traceback) and ends with exit code 2.
    """


class OutOfTime(Exception):
    """The time that the user gave is over; what was reached is on disk, and the same command goes on."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Writes of `path` inside the block. Raises `UserError` where the system refuses one."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); expected a place to write to"
        ) from None


def write_whole(path: Path, content: bytes) -> None:
    """Write under a temporary name and rename: the file is there as a whole or not at all; raises as
    `writing`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
