"""The texts of a table's places, and its panels as blocks: measures, differences, the paper's differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from zoo.core.measures import Measure
from zoo.core.names import display
from zoo.evidence.intervals import Estimate
from zoo.evidence.statistics import Spread
from zoo.report.blocks import MISSING, Table
from zoo.report.tables import ArchTable, Row, Score

__all__ = ["EMPHASISED", "NO_SKILL", "cost_text", "difference_text", "panels", "value_text"]

EMPHASISED = "uegr"  # the paper's method
NO_SKILL = "†"


def panels(table: ArchTable) -> list[Table]:
    """The main measure with the cost of a step, its differences, each other measure, those of the paper."""
    main, *others = table.measures
    compared = [row for row in table.rows if row.method.recipe != table.reference]
    found = [_measure(table, table.rows, main, with_cost=True)]
    if any(score.estimate for row in compared for score in row.scores):
        title = f"Difference to {display(table.reference)}, points [{table.confidence:.0%} interval]"
        level = 1 - table.confidence
        found.append(_panel(table, compared, title, lambda score: _difference(score, level)))
    for measure in others:
        having = [row for row in table.rows if any(measure.name in score.values for score in row.scores)]
        found.append(_measure(table, having, measure))
    printed = [row for row in compared if any(score.paper_difference is not None for score in row.scores)]
    if printed:
        title = f"The paper's difference to {display(table.reference)}, points"
        found.append(_panel(table, printed, title, _paper_difference))
    return found


def _panel(table: ArchTable, rows: Iterable[Row], title: str, text: Callable[[Score], str]) -> Table:
    rows = list(rows)
    return Table(
        ("Recipe", *map(display, table.columns)),
        tuple((row.method.name, *map(text, table.places(row))) for row in rows),
        title,
        strong=tuple(i for i, row in enumerate(rows) if row.method.recipe == EMPHASISED),
    )


def _measure(table: ArchTable, rows: Sequence[Row], measure: Measure, with_cost: bool = False) -> Table:
    title = measure.heading
    if not with_cost:
        return _panel(table, rows, title, lambda score: value_text(score.values.get(measure.name), measure))
    title += " (the paper's)" if table.with_paper else ""
    panel = _panel(table, rows, title, lambda score: _main(score, measure))
    costs = [cost_text(row.average.cost) for row in rows]
    if all(text == MISSING for text in costs):
        return panel
    texts = tuple((*row, text) for row, text in zip(panel.rows, costs, strict=True))
    return Table((*panel.header, "Cost"), texts, panel.title, strong=panel.strong)


def _main(score: Score, measure: Measure) -> str:
    if score.main is None:
        text = "failed" if score.failed else MISSING
    else:
        text = value_text(score.main, measure)
        text += f", {score.failed} failed" if score.failed else ""
    text += NO_SKILL if score.without_skill else ""
    return text if score.paper is None else f"{text} ({100 * score.paper:.2f})"


def value_text(spread: Spread | None, measure: Measure) -> str:
    """`93.00 ± 1.41` in the measure's unit; a dash where there is none."""
    if spread is None:
        return MISSING
    digits = 2 if measure.unit == "%" else 4
    text = f"{measure.scale * spread.mean:.{digits}f}"
    return text if spread.sd is None else f"{text} ± {measure.scale * spread.sd:.{digits}f}"


def difference_text(estimate: Estimate, p_holm: float | None, level: float) -> str:
    """`+1.00 [+0.20, +1.80]*` in points; the star where p after Holm's correction is below `level`."""
    low, middle, high = (100 * v for v in (estimate.low, estimate.difference, estimate.high))
    return f"{middle:+.2f} [{low:+.2f}, {high:+.2f}]" + ("*" if p_holm is not None and p_holm < level else "")


def cost_text(cost: float | None) -> str:
    """`2.1x`."""
    return MISSING if cost is None else f"{cost:.1f}x"


def _difference(score: Score, level: float) -> str:
    if score.estimate is None:
        return MISSING
    p_holm = score.comparison.p_holm if score.comparison else None
    return difference_text(score.estimate, p_holm, level)


def _paper_difference(score: Score) -> str:
    return MISSING if score.paper_difference is None else f"{100 * score.paper_difference:+.2f}"
