"""The exceptions that a user is meant to read, and files that are there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class UserError(Exception):
    """A mistake in the input: one clear line that says what, where, and what was expected.

    The command line prints the message alone (no traceback) and ends with exit code 2.
    """


class OutOfTime(Exception):
    """The time that the user gave is over; what was reached is on disk, and the same command goes on."""


# What the extra `zoo` installs, by the names that are imported: all but NumPy that this package stands on.
_OF_ZOO = {
    "torch", "torchtext", "gensim", "jieba", "sklearn", "joblib", "scipy", "matplotlib", "filelock", "rich",
    "safetensors",
}  # fmt: skip


def not_installed(error: ModuleNotFoundError) -> UserError | None:
    """What to tell a user who installed the reference alone and asks for more; None of any other module."""
    package = (error.name or "").partition(".")[0]
    if package not in _OF_ZOO:
        return None
    return UserError(f"{package} is not installed; expected the extra zoo: pip install 'uegr[zoo]'")


def check_name(path: Path) -> None:
    """Raise `UserError` for the name of a folder to write to that is not UTF-8: pages and figures show it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: its name is not UTF-8; expected one that is") from None


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
    """Write a file that is there as a whole or not at all, as `write_through`; raises as `writing`."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not the process's number: in two containers it may be the same.
        write_through(path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp"), path, content)


def write_through(temporary: Path, path: Path, content: bytes) -> None:
    """Write under a temporary name, wait until it is on the disk, and rename.

    So after a crash or a power cut either the older file is there or the new one. Nothing is left under the
    temporary name where it fails.

    Raises:
        OSError: the system refuses it.
    """
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    if os.name == "posix":  # the rename too; Windows has no such call
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
