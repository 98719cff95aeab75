"""Figures of studies: lines over one axis, and a plane of colours; the same file from the same numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["draw_curves", "draw_plane"]

# Okabe and Ito's colours, told apart with every kind of colour vision; markers tell them apart in grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
_MARKERS = "osD^vPX"
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8.5,
    "svg.hashsalt": "uegr",  # with no date below: the same file from the same results
}


def draw_curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    stem: Path,
    title: str,
    x: str,
    y: str,
    logarithmic: bool = False,
) -> list[Path]:
    """Write `<stem>.png` and `<stem>.svg`: a line by its name, x and y; nothing where there is no line."""
    if not lines:
        return []

    def draw(axes: Any) -> None:
        for i, (name, (across, up)) in enumerate(lines.items()):
            axes.plot(
                across,
                up,
                color=_COLOURS[i % 7],
                marker=_MARKERS[i % 7],
                markersize=4,
                linewidth=1.4,
                label=name,
            )
        if logarithmic:
            axes.set_xscale("log")
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)

    return _drawn(draw, stem, title, (5.2, 3.4))


def draw_plane(
    values: Mapping[tuple[float, float], float], stem: Path, title: str, x: str, y: str, unit: str
) -> list[Path]:
    """Write `<stem>.png` and `<stem>.svg`: a colour and a number for each (row, column); nothing without one.

    Args:
        values: by their place on the axes `y` (down) and `x` (across).
    """
    if not values:
        return []
    down, across = (sorted({place[i] for place in values}) for i in (0, 1))

    def draw(axes: Any) -> None:
        table = [[values.get((row, column), float("nan")) for column in across] for row in down]
        image = axes.imshow(table, cmap="cividis", aspect="auto")
        axes.set_xticks(range(len(across)), [f"{v:g}" for v in across])
        axes.set_yticks(range(len(down)), [f"{v:g}" for v in down])
        low, high = min(values.values()), max(values.values())
        for i, row in enumerate(table):
            for j, value in enumerate(row):
                if not math.isnan(value):
                    dark = value < (low + high) / 2
                    axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=7,
                              color="white" if dark else "black")  # fmt: skip
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.figure.colorbar(image, ax=axes, label=unit)

    return _drawn(draw, stem, title, (6.0, 4.6))


def _drawn(draw: Any, stem: Path, title: str, size: tuple[float, float]) -> list[Path]:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        draw(axes)
        axes.set_title(title, fontsize=9.5, weight="bold", loc="left")
        figure.savefig(paths[0], dpi=200, facecolor="white")
        figure.savefig(paths[1], facecolor="white", metadata={"Date": None})
    return paths
