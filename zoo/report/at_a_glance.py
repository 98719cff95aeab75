"""The answer as one small figure: every method against Dropout, without an attack and under one.

It is about the even part of the grid of Table IV (`Planned.even`), over its models and corpora together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.core.names import BASELINE, display
from zoo.evidence.cells import Cells, Method
from zoo.evidence.compare import REFERENCE
from zoo.evidence.intervals import Estimate
from zoo.evidence.planned import Planned
from zoo.evidence.statements import ACCURACY, ATTACKED
from zoo.report.drawing import INK, OTHERS, colour_of, dot, line, name_row, panel, saved, triangle
from zoo.report.over_models import pooled_average, to_reference
from zoo.report.panels import EMPHASISED
from zoo.report.planned import models_and_seeds
from zoo.report.tables import build_tables

__all__ = ["draw_at_a_glance"]

_PANELS = {ACCURACY: "Test accuracy", ATTACKED: "Test accuracy under FGSM"}
_CAPTION = """\
Dot and number: mean paired difference over models, corpora and seeds. Line: its 95% interval, over {over}.
Triangle: the paper's difference (it has none under FGSM for these models)."""


def draw_at_a_glance(planned: Planned, stem: Path) -> list[Path]:
    """Write `<stem>.png` and `<stem>.svg`; nothing where no model is whole under a seed."""
    if not planned.even()[0]:
        return []
    return saved(lambda: _figure(planned), stem)


def _figure(planned: Planned) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cells = planned.even_cells()
    methods = [method for method in cells.methods() if method.recipe != REFERENCE]
    figure = Figure(figsize=(7.2, 2.75))
    FigureCanvasAgg(figure)
    over: set[str] = set()
    for place, (measure, title) in enumerate(_PANELS.items()):
        axes = figure.add_axes((0.2 + 0.41 * place, 0.3, 0.32, 0.5))
        axes.set_ylim(len(methods) - 0.4, -0.6)
        panel(axes, title, REFERENCE)
        known = _differences(cells, measure)
        for y, method in enumerate(methods):
            strong = method.recipe == EMPHASISED
            if place == 0:
                name_row(axes, y, method.name, colour_of(method, INK), strong)
            estimate, papers = known.get(method.recipe, (None, None))
            if papers is not None:
                triangle(axes, y, papers)
            if estimate is not None:
                colour = colour_of(method, OTHERS)
                _, middle, _ = line(axes, y, colour, estimate)
                dot(axes, y, colour, middle, filled=True)
                _number(axes, y, f"{middle:+.2f}", colour_of(method, INK), strong)
                over.add(estimate.method)
    archs, seeds = planned.even()
    what = f"Table IV against {display(REFERENCE)}: {models_and_seeds(archs, seeds)}"
    figure.text(0.015, 0.96, what, fontsize=10.5, weight="bold", va="top")
    caption = _CAPTION.format(over="; ".join(sorted(over)))
    figure.text(0.015, 0.03, caption, fontsize=7, color="#555555", va="bottom", linespacing=1.4)
    return figure


def _number(axes: Any, y: float, text: str, colour: str, bold: bool) -> None:
    """The difference in figures, right of the panel."""
    axes.text(
        1.02, y, text, transform=axes.get_yaxis_transform(), ha="left", va="center_baseline", fontsize=7.5,
        color=colour, weight="bold" if bold else "normal",
    )  # fmt: skip


def _differences(cells: Cells, measure: str) -> dict[str, tuple[Estimate | None, float | None]]:
    """By recipe the difference to the reference over all models, and the paper's."""
    own = to_reference(cells, measure)
    found = {finding.statement.recipe: (finding.estimate, finding.paper) for finding in own}
    if measure == ACCURACY:
        found[BASELINE] = pooled_average(build_tables(cells, paper=True), Method(BASELINE)), None
    return found
