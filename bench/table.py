"""Rows of the benchmark as blocks and as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from zoo.report.blocks import Block, List, Table, Text, terminal

# What a part is called in the rows, and in print.
PARTS = {
    "forward": "forward", "backward": "backward", "mask": "mask", "optimizer": "AdamW", "other": "other",
    "data": "data",
}  # fmt: skip
HEADER = (
    "recipe", "ms/step", "quartiles", "x plain", "passes", "floor", "slow x", "ex/s", "MiB", *PARTS.values()
)  # fmt: skip
LEGEND = (
    "x plain: time / that of a plain step, in the same rounds.",
    "passes: forward-backward passes over the batch that the method needs.",
    "floor: share of the time that these passes and the optimizer take alone.",
    "slow x: time of the straightforward implementation / this.",
    "ex/s: examples a second.",
    "MiB: weights, optimizer and a step at its peak.",
    "forward .. data: milliseconds of a step's parts, and of making the batch.",
)


def as_text(rows: list[dict[str, Any]]) -> str:
    """A table, rows grouped by arch and length, and a legend; no line above 80 columns."""
    changes = " ".join(f"{key}={shown(value)}" for key, value in rows[0]["changes"].items())
    lines: list[tuple[str, ...]] = []
    for (arch, length), group in groupby(rows, lambda row: (row["arch"], row["length"])):
        lines.append((f"{arch}, {length} words", *[""] * (len(HEADER) - 1)))
        lines += [_line(row) for row in group]
    blocks: list[Block] = [Text(f"With {changes}")] if changes else []
    return terminal([*blocks, Table(HEADER, tuple(lines)), List(LEGEND)])


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    low, high = row["step_ms_quartiles"]
    return (
        f"  {row['recipe']}",
        f"{row['step_ms']:.1f}",
        f"{low:.1f}-{high:.1f}",
        f"{row['ratio_to_plain']:.2f}",
        str(row["units"]),
        f"{100 * row['floor_share']:.0f} %",
        number(row["ratio_straightforward_to_this"], 1),
        f"{row['examples_per_second']:.0f}",
        number(row["peak_memory_mb"], 0),
        *(f"{row['parts_ms'][part]:.1f}" for part in PARTS),
    )


def table(header: Sequence[str], lines: Sequence[Sequence[str]], strong: Sequence[int] = ()) -> Table:
    """A block; the first column is text, the others numbers."""
    return Table(tuple(header), tuple(map(tuple, lines)), strong=tuple(strong))


def number(value: float | None, digits: int) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def shown(value: Any) -> str:
    """A setting's value as typed on the command line."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
