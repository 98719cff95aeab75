"""What a grid costs beside its cells: every part is measured, and the folder is a real one."""

from __future__ import annotations

from bench.grid import measure_grid


def test_every_part_of_a_small_grid_is_measured() -> None:
    said: list[str] = []
    (row,) = measure_grid((20,), said.append)["grid"]
    parts = {"plan", "write", "first look", "resume", "claim", "tell", "read", "report"}
    assert set(row) == parts | {"cells", "memory"}
    assert all(row[part] >= 0 for part in parts)
    assert {text.removeprefix("20 cells: ") for text in said} == parts
