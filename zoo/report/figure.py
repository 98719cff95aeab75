"""The figure of a report: each method's paired difference to the reference, with its interval.

One panel an arch, one block a corpus, one dot and whisker a method. The scale is that of the networks: what
lies beyond it, as the baseline often does, is an arrow at the edge with its number.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core.names import AVERAGE, BASELINE, display, in_order
from zoo.evidence.cells import Method
from zoo.report.blocks import MISSING
from zoo.report.panels import EMPHASISED
from zoo.report.tables import ArchTable, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_differences", "drawable", "limit_of"]

# Okabe and Ito's blue and vermilion: told apart with every kind of colour vision, and in grey.
OTHERS, HIGHLIGHT, BASE = "#0072B2", "#D55E00", "#6b6b6b"
INK, FAINT, BAND = "#222222", "#8a8a8a", "#f4f5f7"
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "svg.hashsalt": "uegr",  # with no date below: the same file from the same results
}
_ROW_INCHES = 0.2


def drawable(tables: Iterable[ArchTable]) -> bool:
    """Whether there is a difference to draw."""
    return any(_methods([table]) for table in tables)


def draw_differences(tables: Sequence[ArchTable], stem: Path, title: str) -> list[Path]:
    """Write `<stem>.png` and `<stem>.svg`, or nothing without a difference; `title` names the study."""
    tables = [table for table in tables if _methods([table])]
    if not tables:
        return []
    import matplotlib

    paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # A user's corpus may have a name in a script that the default font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = _figure(tables, title)
        figure.savefig(paths[0], dpi=200, facecolor="white")
        figure.savefig(paths[1], facecolor="white", metadata={"Date": None})
    return paths


def _figure(tables: Sequence[ArchTable], title: str) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    methods = _methods(tables)
    columns = in_order(corpus for table in tables for corpus in (*table.corpora, AVERAGE))
    columns = (*(c for c in columns if c != AVERAGE), *([AVERAGE] if len(columns) > 2 else []))
    block = len(methods) + 1.6  # a heading above the recipes, air below
    height_of_rows = _ROW_INCHES * block * len(columns)
    left, top, bottom, panel = 1.6, 0.66, 1.12, 2.75 if len(tables) > 1 else 4.6
    width, height = left + panel * len(tables) + 0.15, top + height_of_rows + bottom
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    networks = [method for method in methods if method.recipe != BASELINE]
    limit = limit_of(
        [score for table in tables for _, _, score in _places(table, columns, networks or methods)]
    )
    for index, table in enumerate(tables):
        axes = figure.add_axes(
            ((left + panel * index) / width, bottom / height, (panel - 0.15) / width, height_of_rows / height)
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
    axes.set_title(table.name, fontsize=9.5, weight="bold", loc="left", pad=5)
    axes.set_xlabel(f"points better than {display(table.reference)}", fontsize=8)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", length=3, labelsize=8)
    axes.set_yticks([])
    for index, corpus in enumerate(columns):
        first = block * index
        if index % 2 == 0:
            axes.axhspan(first - 0.6, first + block - 0.6, color=BAND, linewidth=0, zorder=-2)
        if with_names:
            _name(axes, first, display(corpus), INK, bold=True)
    rows = {
        (corpus, method): block * columns.index(corpus) + 1 + methods.index(method)
        for corpus in columns
        for method in methods
    }
    for (_, method), y in rows.items() if with_names else ():
        _name(axes, y, method.name, _colour(method, INK), method.recipe == EMPHASISED)
    for corpus, method, score in _places(table, columns, methods):
        _whisker(axes, rows[corpus, method], _colour(method, OTHERS), score, 1 - table.confidence, limit)


def _name(axes: Axes, y: float, text: str, colour: str, bold: bool) -> None:
    # x in shares of the panel, y in rows
    axes.text(
        -0.03,
        y,
        text,
        transform=axes.get_yaxis_transform(),
        ha="right",
        va="center_baseline",
        color=colour,
        weight="bold" if bold else "normal",
    )


def _whisker(axes: Axes, y: float, colour: str, score: Score, level: float, limit: float) -> None:
    if score.estimate is None:
        text = "failed" if score.failed and score.main is None else MISSING
        axes.text(0.02 * limit, y, text, ha="left", va="center", fontsize=7, color=FAINT)
        return
    if score.paper_difference is not None:
        place = 100 * score.paper_difference
        axes.plot(
            [place],
            [y],
            marker="^",
            markersize=5,
            color=INK,
            markeredgecolor="white",
            markeredgewidth=0.6,
            zorder=4,
        )
    low, middle, high = (
        100 * v for v in (score.estimate.low, score.estimate.difference, score.estimate.high)
    )
    axes.plot([low, high], [y, y], color=colour, linewidth=1.5, solid_capstyle="butt")
    for end in (low, high):
        if abs(end) > limit:  # the whisker leaves the panel
            edge, marker = (limit, ">") if end > 0 else (-limit, "<")
            axes.plot([edge], [y], marker=marker, color=colour, markersize=4, clip_on=False)
    if abs(middle) > limit:
        side = 1 if middle > 0 else -1
        align = "right" if side > 0 else "left"
        axes.text(0.94 * side * limit, y, f"{middle:+.1f}", ha=align, va="center", fontsize=7, color=colour)
        return
    p_holm = score.comparison.p_holm if score.comparison else None
    sure = p_holm is not None and p_holm < level
    axes.plot(
        [middle],
        [y],
        marker="o",
        markersize=5,
        markerfacecolor=colour if sure else "white",
        markeredgecolor=colour,
        markeredgewidth=1.3,
    )


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


def _colour(method: Method, others: str) -> str:
    return {EMPHASISED: HIGHLIGHT, BASELINE: BASE}.get(method.recipe, others)


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
