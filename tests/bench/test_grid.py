"""What a grid costs beside its cells: every part is measured, and the folder is a real one."""

from __future__ import annotations

from bench.grid import measure_grid
from bench.report import _grid
from zoo.report.blocks import MISSING


def test_every_part_of_a_small_grid_is_measured() -> None:
    said: list[str] = []
    (row,) = measure_grid((20,), said.append)["grid"]
    parts = {"plan", "write", "first look", "resume", "claim", "tell", "read", "report"}
    assert set(row) == parts | {"cells", "memory"}
    assert all(row[part] >= 0 for part in parts)
    assert {text.removeprefix("20 cells: ") for text in said} == parts


def test_growth_is_read_off_the_last_two_sizes() -> None:
    rows = [{"cells": n, "plan": 3 * n / 1e3, "resume": 0.0, "memory": 9.6} for n in (10, 1_000, 100_000)]
    table = _grid(rows)
    assert table.header == ("seconds", "10 cells", "1,000 cells", "100,000 cells", "grows as")
    assert table.rows == (
        ("plan", "0.0", "3.0", "300.0", "n^1.00"),
        ("resume", "0.0", "0.0", "0.0", MISSING),
        ("memory, MB", "10", "10", "10", ""),
    )
