"""Files of measurements: whether one can be written is found out first; it is written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError


def check_place(path: Path) -> None:
    """See that a file can be written here.

    Raises:
        UserError: it cannot.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"--out {path}: is a {'folder' if path.is_dir() else 'device'}; expected a file")
    if not path.parent.is_dir():
        raise UserError(f"--out {path}: there is no folder {path.parent}")
    write(path, "", keep=False)


def write(path: Path, text: str, keep: bool = True) -> None:
    """Write a whole file under a temporary name, then rename it; `keep` off: only try.

    Raises:
        UserError: it cannot be written; what stood there before still stands.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with open(temporary, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if keep:
                os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror})") from None


def read(path: Path) -> dict[str, Any]:
    """A file of measurements.

    Raises:
        UserError: it is missing, or not JSON.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; docs/performance.md says which command makes it") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    return found
