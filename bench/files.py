"""Files of measurements: whether one can be written is found out first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError, writing


def check_place(path: Path) -> None:
    """See that a file can be written here.

    Raises:
        UserError: it cannot.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"--out {path}: is a {'folder' if path.is_dir() else 'device'}; expected a file")
    if not path.parent.is_dir():
        raise UserError(f"--out {path}: there is no folder {path.parent}")
    probe = path.with_name(f".{path.name}.probe")
    with writing(path):
        probe.write_bytes(b"")
        probe.unlink()


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
