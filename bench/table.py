"""Rows of the benchmark as text: two tables for a terminal of 80 columns, and Markdown for the page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

WIDTH = 80
TIMES = ("recipe", "ms/step", "quartiles", "x plain", "passes", "floor", "slow x")
PARTS = ("recipe", "ex/s", "MiB", "forward", "backward", "mask", "AdamW", "other", "data")
LEGEND = {
    "x plain": "time / that of a plain step, in the same rounds",
    "passes": "forward-backward passes over the batch that the method needs",
    "floor": "share of the time that these passes and the optimizer take alone",
    "slow x": "time of the straightforward implementation / this",
    "ex/s, MiB": "examples a second; weights, optimizer and a step at its peak",
    "forward .. data": "milliseconds of a step's parts, and of making the batch",
}


def as_text(rows: list[dict[str, Any]]) -> str:
    """Both tables, rows grouped by arch and length, and a legend; no line above 80 columns."""
    changes = " ".join(f"{key}={shown(value)}" for key, value in rows[0]["changes"].items())
    text = textwrap.wrap(f"With {changes}", WIDTH) if changes else []
    for header, cells in ((TIMES, _times), (PARTS, _parts)):
        lines: list[Sequence[str]] = [header]
        for (arch, length), group in groupby(rows, lambda row: (row["arch"], row["length"])):
            lines.append((f"{arch}, {length} words",))
            lines += [(f"  {row['recipe']}", *cells(row)) for row in group]
        text += [*_aligned(lines), ""]
    for name, meaning in LEGEND.items():
        text += textwrap.wrap(f"{name}: {meaning}.", WIDTH, subsequent_indent="  ")
    return "\n".join(text)


def _times(row: dict[str, Any]) -> list[str]:
    low, high = row["step_ms_quartiles"]
    return [
        f"{row['step_ms']:.1f}",
        f"{low:.1f}-{high:.1f}",
        f"{row['ratio_to_plain']:.2f}",
        str(row["units"]),
        f"{100 * row['floor_share']:.0f} %",
        number(row["ratio_straightforward_to_this"], 1),
    ]


def _parts(row: dict[str, Any]) -> list[str]:
    parts = ("forward", "backward", "mask", "optimizer", "other", "data")
    return [
        f"{row['examples_per_second']:.0f}",
        number(row["peak_memory_mb"], 0),
        *(_milliseconds(row["parts_ms"][part]) for part in parts),
    ]


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if value < 1_000 else f"{value:.0f}"


def _aligned(lines: list[Sequence[str]]) -> list[str]:
    """Columns under each other, the first one to the left; a line of one cell is a heading."""
    full = [line for line in lines if len(line) > 1]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    return [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
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
