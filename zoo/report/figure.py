"""The figure of a report: each recipe's paired difference to the reference, with its interval.

One panel an arch, one block a corpus, one dot and whisker a recipe. The baseline is in the tables only: its
distance would flatten everything else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core.names import AVERAGE, BASELINE, display, in_order
from zoo.report.tables import Score, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_differences", "drawable"]

# Okabe and Ito's blue and vermilion: told apart with every kind of colour vision, and in grey.
OTHERS, HIGHLIGHT = "#0072B2", "#D55E00"
HIGHLIGHTED = "uegr"
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


def drawable(tables: Iterable[Table]) -> bool:
    """Whether there is a difference to draw."""
    return any(_recipes([table]) for table in tables)


def draw_differences(tables: Sequence[Table], stem: Path) -> list[Path]:
    """Write `<stem>.png` and `<stem>.svg`; without a difference to draw, remove those of an earlier call."""
    paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    tables = [table for table in tables if _recipes([table])]
    if not tables:
        for path in paths:
            path.unlink(missing_ok=True)
        return []
    import matplotlib

    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # A user's corpus may have a name in a script that the default font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = _figure(tables)
        figure.savefig(paths[0], dpi=200, facecolor="white")
        figure.savefig(paths[1], facecolor="white", metadata={"Date": None})
    return paths


def _figure(tables: Sequence[Table]) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    recipes = _recipes(tables)
    columns = in_order(corpus for table in tables for corpus in (*table.corpora, AVERAGE))
    columns = (*(c for c in columns if c != AVERAGE), *([AVERAGE] if len(columns) > 2 else []))
    block = len(recipes) + 1.6  # a heading above the recipes, air below
    height_of_rows = _ROW_INCHES * block * len(columns)
    left, top, bottom, panel = 1.6, 0.66, 1.0, 2.75 if len(tables) > 1 else 4.6
    width, height = left + panel * len(tables) + 0.15, top + height_of_rows + bottom
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    limit = _limit([score for table in tables for _, _, score in _places(table, columns, recipes)])
    for index, table in enumerate(tables):
        axes = figure.add_axes(
            ((left + panel * index) / width, bottom / height, (panel - 0.15) / width, height_of_rows / height)
        )
        axes.set_xlim(-limit, limit)
        axes.set_ylim(block * len(columns) - 0.6, -0.6)
        _panel(axes, table, columns, recipes, block, with_names=index == 0)
    reference, confidence = display(tables[0].reference), tables[0].confidence
    figure.text(
        0.12 / width,
        1 - 0.16 / height,
        f"Test accuracy against {reference}",
        fontsize=11,
        weight="bold",
        va="top",
    )
    figure.text(
        0.12 / width,
        0.12 / height,
        _caption(tables, confidence),
        fontsize=7,
        color="#555555",
        va="bottom",
        linespacing=1.4,
    )
    return figure


def _panel(
    axes: Axes,
    table: Table,
    columns: Sequence[str],
    recipes: Sequence[str],
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
        (corpus, recipe): block * columns.index(corpus) + 1 + recipes.index(recipe)
        for corpus in columns
        for recipe in recipes
    }
    if with_names:
        for (_, recipe), y in rows.items():
            _name(
                axes, y, display(recipe), HIGHLIGHT if recipe == HIGHLIGHTED else INK, recipe == HIGHLIGHTED
            )
    for corpus, recipe, score in _places(table, columns, recipes):
        _whisker(axes, rows[corpus, recipe], recipe, score, 1 - table.confidence, limit)


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


def _whisker(axes: Axes, y: float, recipe: str, score: Score, level: float, limit: float) -> None:
    colour = _colour(recipe)
    if score.estimate is None:
        text = "failed" if score.failed and score.accuracy is None else "–"
        axes.text(0.02 * limit, y, text, ha="left", va="center", fontsize=7, color=FAINT)
        return
    low, middle, high = (
        100 * v for v in (score.estimate.low, score.estimate.difference, score.estimate.high)
    )
    axes.plot([low, high], [y, y], color=colour, linewidth=1.5, solid_capstyle="butt")
    for end, marker in ((low, "<"), (high, ">")):
        if abs(end) > limit:  # the whisker leaves the panel
            axes.plot(
                [limit if end > 0 else -limit], [y], marker=marker, color=colour, markersize=4, clip_on=False
            )
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
    if score.paper_difference is not None:
        axes.plot([100 * score.paper_difference], [y + 0.36], marker="^", markersize=3.2, color=INK)


def _caption(tables: Sequence[Table], confidence: float) -> str:
    places = [score for table in tables for row in table.rows for score in row.scores]
    runs = sorted({score.estimate.runs for score in places if score.estimate})
    number = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    over = "test examples only: it says nothing about another seed" if runs[-1] == 1 else "runs and examples"
    lines = [
        f"Dot: paired difference, n = {number} run{'s' if runs[-1] > 1 else ''} a recipe. "
        f"Line: {confidence:.0%} interval ({over}).",
        f"Filled: p < {1 - confidence:.2g} after Holm's correction (not for AVG). Open: it may be chance.",
    ]
    if any(score.paper_difference is not None for score in places):
        lines.append("Triangle: the paper's difference (Table IV).")
    return "\n".join(lines)


def _colour(recipe: str) -> str:
    return HIGHLIGHT if recipe == HIGHLIGHTED else OTHERS


def _recipes(tables: Iterable[Table]) -> tuple[str, ...]:
    """Recipes that have a difference somewhere."""
    return in_order(
        row.recipe
        for table in tables
        for row in table.rows
        if row.recipe not in (BASELINE, table.reference) and any(score.estimate for score in row.scores)
    )


def _places(table: Table, columns: Sequence[str], recipes: Sequence[str]) -> Iterable[tuple[str, str, Score]]:
    for row in table.rows:
        if row.recipe in recipes:
            places = dict(zip(table.corpora, row.scores, strict=True)) | {AVERAGE: row.average}
            yield from ((corpus, row.recipe, places[corpus]) for corpus in columns if corpus in places)


def _limit(scores: Sequence[Score]) -> float:
    """Half the width of the panels, in points: all dots, and all whiskers but the few very long ones."""
    import numpy as np

    ends = [max(abs(s.estimate.low), abs(s.estimate.high)) for s in scores if s.estimate]
    dots = [abs(s.estimate.difference) for s in scores if s.estimate]
    dots += [abs(s.paper_difference) for s in scores if s.paper_difference is not None]
    return 100 * max(1.15 * max(dots), 1.1 * min(max(ends), 2 * float(np.quantile(ends, 0.75))), 0.001)
