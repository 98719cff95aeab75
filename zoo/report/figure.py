"""The figure of a report: each method's paired difference to the reference, with its interval.

One panel an arch, one block a corpus, one dot and whisker a method. The scale is that of the networks: what
lies beyond it, as the baseline often does, is an arrow at the edge with its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core.names import AVERAGE, BASELINE, display, in_order
from zoo.evidence.cells import Method
from zoo.report.drawing import BAND, INK, OTHERS, colour_of, name_row, panel, saved, whisker
from zoo.report.panels import EMPHASISED
from zoo.report.tables import ArchTable, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_differences", "drawable", "limit_of"]

_ROW_INCHES = 0.2


def drawable(tables: Iterable[ArchTable]) -> bool:
    """Whether there is a difference to draw."""
    return any(_methods([table]) for table in tables)


def draw_differences(tables: Sequence[ArchTable], stem: Path, title: str) -> list[Path]:
    """Write `<stem>.png` and `<stem>.svg`, or nothing without a difference; `title` names the study."""
    tables = [table for table in tables if _methods([table])]
    if not tables:
        return []
    return saved(lambda: _figure(tables, title), stem)


def _figure(tables: Sequence[ArchTable], title: str) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    methods = _methods(tables)
    columns = in_order(corpus for table in tables for corpus in (*table.corpora, AVERAGE))
    columns = (*(c for c in columns if c != AVERAGE), *([AVERAGE] if len(columns) > 2 else []))
    block = len(methods) + 1.6  # a heading above the recipes, air below
    height_of_rows = _ROW_INCHES * block * len(columns)
    left, top, bottom, each = 1.6, 0.66, 1.12, 2.75 if len(tables) > 1 else 4.6
    width, height = left + each * len(tables) + 0.15, top + height_of_rows + bottom
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    networks = [method for method in methods if method.recipe != BASELINE]
    limit = limit_of(
        [score for table in tables for _, _, score in _places(table, columns, networks or methods)]
    )
    for index, table in enumerate(tables):
        axes = figure.add_axes(
            ((left + each * index) / width, bottom / height, (each - 0.15) / width, height_of_rows / height)
        )
        axes.set_xlim(-limit, limit)
        axes.set_ylim(block * len(columns) - 0.6, -0.6)
        _panel(axes, table, columns, methods, block, with_names=index == 0)
    what = f"{title}: {tables[0].main.title.lower()} against {display(tables[0].reference)}"
    figure.text(
        0.12 / width,
        1 - 0.16 / height,
        what,
        fontsize=11 if len(tables) > 1 else 9.5,
        weight="bold",
        va="top",
    )
    figure.text(
        0.12 / width,
        0.12 / height,
        _caption(tables, tables[0].confidence),
        fontsize=7,
        color="#555555",
        va="bottom",
        linespacing=1.4,
    )
    return figure


def _panel(
    axes: Axes,
    table: ArchTable,
    columns: Sequence[str],
    methods: Sequence[Method],
    block: float,
    *,
    with_names: bool,
) -> None:
    limit = axes.get_xlim()[1]
    panel(axes, table.name, table.reference)
    for index, corpus in enumerate(columns):
        first = block * index
        if index % 2 == 0:
            axes.axhspan(first - 0.6, first + block - 0.6, color=BAND, linewidth=0, zorder=-2)
        if with_names:
            name_row(axes, first, display(corpus), INK, bold=True)
    rows = {
        (corpus, method): block * columns.index(corpus) + 1 + methods.index(method)
        for corpus in columns
        for method in methods
    }
    for (_, method), y in rows.items() if with_names else ():
        name_row(axes, y, method.name, colour_of(method, INK), method.recipe == EMPHASISED)
    for corpus, method, score in _places(table, columns, methods):
        whisker(axes, rows[corpus, method], colour_of(method, OTHERS), score, 1 - table.confidence, limit)


def _caption(tables: Sequence[ArchTable], confidence: float) -> str:
    places = [score for table in tables for row in table.rows for score in row.scores]
    estimates = [score.estimate for score in places if score.estimate]
    runs = sorted({estimate.runs for estimate in estimates})
    number = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    over = "; ".join(sorted({estimate.method for estimate in estimates}))
    lines = [
        f"Dot: paired difference, n = {number} run{'s' if runs[-1] > 1 else ''} a recipe. "
        "Arrows leave the scale.",
        f"Line: {confidence:.0%} interval over {over}.",
        f"Filled: p < {1 - confidence:.2g} after Holm's correction (not for {AVERAGE}). Open: maybe chance."
        if runs[-1] > 1
        else "All open: one run says nothing about another seed.",
    ]
    if any(score.paper_difference is not None for score in places):
        lines.append("Triangle: the paper's difference (Table IV).")
    return "\n".join(lines)


def _methods(tables: Iterable[ArchTable]) -> tuple[Method, ...]:
    """Methods that have a difference somewhere, in the order of print."""
    found = dict.fromkeys(
        row.method
        for table in tables
        for row in table.rows
        if row.method.recipe != table.reference and any(score.estimate for score in row.scores)
    )
    order = in_order(method.recipe for method in found)
    return tuple(sorted(found, key=lambda method: order.index(method.recipe)))


def _places(
    table: ArchTable, columns: Sequence[str], methods: Sequence[Method]
) -> Iterable[tuple[str, Method, Score]]:
    for row in table.rows:
        if row.method in methods:
            places = dict(zip(table.corpora, row.scores, strict=True)) | {AVERAGE: row.average}
            yield from ((corpus, row.method, places[corpus]) for corpus in columns if corpus in places)


def limit_of(scores: Sequence[Score]) -> float:
    """Half the width of the panels, in points: all dots, and all whiskers but the few very long ones."""
    import numpy as np

    ends = [max(abs(s.estimate.low), abs(s.estimate.high)) for s in scores if s.estimate]
    dots = [abs(s.estimate.difference) for s in scores if s.estimate]
    dots += [abs(s.paper_difference) for s in scores if s.paper_difference is not None]
    return 100 * max(1.15 * max(dots), 1.1 * min(max(ends), 2 * float(np.quantile(ends, 0.75))), 0.001)
