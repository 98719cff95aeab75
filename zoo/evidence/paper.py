"""What the paper printed."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

__all__ = ["glue", "paper"]


@cache
def paper() -> dict[tuple[str, str, str], tuple[float, str]]:
    """Table IV as printed: (arch, recipe, corpus or AVG) -> (accuracy in percent, note or empty text)."""
    text = (Path(__file__).parent / "paper_table4.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        (row["arch"], row["recipe"], row["corpus"]): (float(row["accuracy"]), row["note"]) for row in rows
    }


@cache
def glue(table: int) -> dict[tuple[str, str, str], float]:
    """Table I or II as printed: (model, recipe, corpus or AVG) -> percent."""
    text = (Path(__file__).parent / "paper_glue.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        (row["model"], row["recipe"], row["corpus"]): float(row["value"])
        for row in rows
        if row["table"] == str(table)
    }
