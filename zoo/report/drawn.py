"""The report of a folder in each of its forms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from zoo.evidence.judged import Judged
from zoo.report.blocks import Block, Figure, Fold, csv_text, latex, markdown, terminal
from zoo.report.folder import Read
from zoo.report.html import html
from zoo.report.overview import overview, tables_of_grids
from zoo.report.svg import svg
from zoo.report.tables import long_form

__all__ = ["drawings", "drawn"]


def drawn(form: str, what: Read, found: Sequence[Judged], folder: Path, width: int | None) -> str:
    """As html, markdown, latex, csv (a line a place of the tables) or text of at most `width` columns."""
    if form == "csv":
        tables = tables_of_grids(what.held).items()
        return csv_text([{"folder": name, **row} for name, own in tables for row in long_form(own)])
    blocks = overview(what, found, folder)
    if form == "html":
        return html(blocks, f"UEGR: {folder.resolve().name}")
    return terminal(blocks, width) if form == "text" else {"markdown": markdown, "latex": latex}[form](blocks)


def drawings(what: Read, found: Sequence[Judged], folder: Path) -> dict[str, str]:
    """Every chart as an SVG file, by its name."""
    charts = [figure.chart for figure in _figures(overview(what, found, folder)) if figure.chart]
    return {
        f"{i:02}-{re.sub(r'[^a-z0-9]+', '-', chart.title.lower()).strip('-')[:60]}.svg": svg(
            chart, "f", alone=True
        )
        for i, chart in enumerate(charts, 1)
    }


def _figures(blocks: Iterable[Block]) -> Iterable[Figure]:
    for block in blocks:
        if isinstance(block, Fold):
            yield from _figures(block.blocks)
        elif isinstance(block, Figure):
            yield block
