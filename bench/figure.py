"""The figure of docs/performance.md: how a step's time grows, with the fitted lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.cases import TABLE_IV_ARCHS
from bench.growth import FACTORS, by_series, fit

# Okabe and Ito's colours, told apart with every kind of colour vision; the series also differ in marker.
COLOURS = {"textcnn": "#0072B2", "bilstm": "#D55E00", "texthan": "#009E73"}
MARKERS: dict[str, tuple[str, Any]] = {
    "standard": ("o", "none"),
    "uegr": ("o", "full"),
    "uegr, words dropped too": ("^", "full"),
}
TITLES = {
    "length": "words of a text", "vocabulary": "rows of the word table", "classes": "classes",
    "batch": "examples a batch", "K": "K, adversarial passes",
}  # fmt: skip
STYLE: Any = {"font.size": 8, "svg.hashsalt": "uegr", "svg.fonttype": "none", "axes.spines.top": False,
         "axes.spines.right": False}  # fmt: skip


def draw_growth(points: list[dict[str, Any]], path: Path) -> None:
    """One panel a factor: measured medians, and the straight line of `fit`."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot
    from matplotlib.lines import Line2D

    with mpl.rc_context(STYLE):
        figure, axes = pyplot.subplots(2, 3, figsize=(9, 5.6), layout="constrained")
        panels = dict(zip(FACTORS, axes.flat, strict=False))
        for (factor, arch, series), values in by_series(points).items():
            marker, fill = MARKERS[series]
            axis, x, y = panels[factor], [v for v, _ in values], [ms for _, ms in values]
            axis.plot(x, y, marker, color=COLOURS[arch], fillstyle=fill, markersize=4)
            a, b, _ = fit(x, y)
            style = "--" if series == "standard" else "-"
            axis.plot(
                [min(x), max(x)], [a + b * min(x), a + b * max(x)], style, color=COLOURS[arch], linewidth=1
            )
        for factor, axis in panels.items():
            axis.set_xlabel(TITLES[factor])
            axis.set_ylabel("ms a step")
            axis.set_ylim(bottom=0)
        panels["vocabulary"].xaxis.set_major_formatter(lambda value, _: f"{value / 1000:.0f}k")
        panels["K"].set_xticks(FACTORS["K"])
        handles = [Line2D([], [], color=COLOURS[arch], label=arch) for arch in TABLE_IV_ARCHS]
        handles += [
            Line2D([], [], color="#444444", marker=marker, fillstyle=fill, markersize=4,
                   linestyle="--" if series == "standard" else "-",
                   label={"standard": "plain step"}.get(series, series.replace("uegr", "UEGR")))
            for series, (marker, fill) in MARKERS.items()
        ]  # fmt: skip
        legend = axes.flat[-1]
        legend.axis("off")
        legend.legend(handles=handles, loc="center", frameon=False)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
