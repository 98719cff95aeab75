"""What the figures of a report share: colours, rows and intervals, and how a file is written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core.names import BASELINE, display
from zoo.evidence.cells import Method
from zoo.evidence.intervals import Estimate
from zoo.report.blocks import MISSING
from zoo.report.panels import EMPHASISED
from zoo.report.tables import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BAND",
    "FAINT",
    "INK",
    "OTHERS",
    "colour_of",
    "dot",
    "line",
    "name_row",
    "panel",
    "saved",
    "triangle",
    "whisker",
]

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


def saved(make: Callable[[], Any], stem: Path) -> list[Path]:
    """Draw in the style of reports, and write `<stem>.png` and `<stem>.svg`; returns both."""
    import matplotlib

    paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # A user's corpus may have a name in a script that the default font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = make()
        figure.savefig(paths[0], dpi=200, facecolor="white")
        figure.savefig(paths[1], facecolor="white", metadata={"Date": None})
    return paths


def colour_of(method: Method, others: str) -> str:
    """The colour of a method; `others` where it has none of its own."""
    return {EMPHASISED: HIGHLIGHT, BASELINE: BASE}.get(method.recipe, others)


def name_row(axes: Axes, y: float, text: str, colour: str, bold: bool) -> None:
    """The name of a row, left of the panel; x is in shares of the panel, y in rows."""
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


def whisker(axes: Axes, y: float, colour: str, score: Score, level: float, limit: float) -> None:
    """A method's difference with its interval, and the paper's, at height y; what leaves `limit` is named.

    The dot is filled where p after Holm's correction is below `level`.
    """
    if score.estimate is None:
        text = "failed" if score.failed and score.main is None else MISSING
        axes.text(0.02 * limit, y, text, ha="left", va="center", fontsize=7, color=FAINT)
        return
    if score.paper_difference is not None:
        triangle(axes, y, score.paper_difference)
    low, middle, high = line(axes, y, colour, score.estimate)
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
    dot(axes, y, colour, middle, filled=p_holm is not None and p_holm < level)


def line(axes: Axes, y: float, colour: str, estimate: Estimate) -> tuple[float, float, float]:
    """The interval at height y; returns its low end, its middle and its high end in points."""
    low, middle, high = (100 * v for v in (estimate.low, estimate.difference, estimate.high))
    axes.plot([low, high], [y, y], color=colour, linewidth=1.5, solid_capstyle="butt")
    return low, middle, high


def dot(axes: Axes, y: float, colour: str, points: float, *, filled: bool) -> None:
    """The difference itself."""
    axes.plot(
        [points],
        [y],
        marker="o",
        markersize=5,
        markerfacecolor=colour if filled else "white",
        markeredgecolor=colour,
        markeredgewidth=1.3,
    )


def triangle(axes: Axes, y: float, difference: float) -> None:
    """The paper's difference, a fraction of 1."""
    axes.plot(
        [100 * difference],
        [y],
        marker="^",
        markersize=5,
        color=INK,
        markeredgecolor="white",
        markeredgewidth=0.6,
        zorder=4,
    )


def panel(axes: Axes, title: str, reference: str) -> None:
    """What a panel of differences has beside its rows: title, axis, grid, and the line of no difference."""
    axes.set_title(title, fontsize=9.5, weight="bold", loc="left", pad=5)
    axes.set_xlabel(f"points better than {display(reference)}", fontsize=8)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", length=3, labelsize=8)
    axes.set_yticks([])
