"""A report as sections of blocks: the tables of a grid with the notes that must be read with them."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.report.blocks import Block, Figure, Heading, List, Text
from zoo.report.footnotes import Note, shared_and_own
from zoo.report.panels import panels
from zoo.report.tables import ArchTable

__all__ = ["grid"]


def grid(
    tables: Sequence[ArchTable],
    *,
    level: int = 2,
    notes: bool = True,
    more: str = "",
    figure: Figure | None = None,
) -> list[Block]:
    """The panels of each table, the figure, and the notes; those that all tables share stand once at the end.

    Args:
        level: of the tables' headings.
        notes: all of them, or only those without which a table is misread.
        more: where the others are, said after the last note.
    """
    shared, own = shared_and_own(tables)
    blocks: list[Block] = []
    for table, extra in zip(tables, own, strict=True):
        blocks += [Heading(table.name, level), *panels(table), *_list(extra, notes)]
    blocks += [figure] if figure else []
    if shared:
        blocks += [Text("For all tables above:"), *_list(shared, notes)]
    return [*blocks, *([Text(more)] if more else [])]


def _list(notes: Sequence[Note], every: bool) -> list[Block]:
    texts = tuple(note.text for note in notes if every or note.glance)
    return [List(texts)] if texts else []
