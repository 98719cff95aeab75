"""Rows of the benchmark as text, and files of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError

COLUMNS = (
    "arch", "length", "recipe", "ms/step", "quartiles", "x plain", "units", "floor", "straightf. x",
    "examples/s", "MiB", "forward", "backward", "mask", "optimizer", "other", "data",
)  # fmt: skip


def as_text(rows: list[dict[str, Any]]) -> str:
    """A table for the terminal, a line a row, with a legend."""
    cells = [COLUMNS, *(tuple(line(row)) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(COLUMNS))]
    align = [str.ljust if i in (0, 2) else str.rjust for i in range(len(COLUMNS))]
    text = [
        "  ".join(a(cell, w) for a, cell, w in zip(align, row, widths, strict=True)).rstrip() for row in cells
    ]
    legend = (
        "x plain: step / plain step, in the same rounds. units: forward-backward passes that the method "
        "needs. floor: share of the time that these passes and the optimizer take alone. straightf. x: time "
        "of the straightforward implementation / this. forward .. data: milliseconds."
    )
    return "\n".join([*text, "", legend])


def line(row: dict[str, Any]) -> list[str]:
    """The cells of one row."""
    low, high = row["step_ms_quartiles"]
    parts = row["parts_ms"]
    return [
        row["arch"],
        str(row["length"]),
        " ".join([row["recipe"], *(f"{key}={shown(value)}" for key, value in row["changes"].items())]),
        f"{row['step_ms']:.1f}",
        f"{low:.1f}-{high:.1f}",
        f"{row['ratio_to_plain']:.2f}",
        str(row["units"]),
        f"{100 * row['floor_share']:.0f} %",
        number(row["ratio_straightforward_to_this"], 1),
        f"{row['examples_per_second']:.0f}",
        number(row["peak_memory_mb"], 0),
        *(f"{parts[part]:.1f}" for part in ("forward", "backward", "mask", "optimizer", "other", "data")),
    ]


def number(value: float | None, digits: int) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def shown(value: Any) -> str:
    """A setting's value as typed on the command line."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; the first column is text, the others numbers."""
    names = list(header)
    lines = [names, ["---", *["--:"] * (len(names) - 1)], *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


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
