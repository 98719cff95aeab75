"""The answer of a study (`zoo.evidence.answers`) as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.core.names import display, in_order
from zoo.core.result import Result
from zoo.evidence.answers import FEWEST, Measure, Row, on_test_part, on_validation_part, rows
from zoo.evidence.cells import Cells
from zoo.evidence.questions import Question, Rate
from zoo.report.blocks import MISSING, Block, Table, Text
from zoo.report.glue import beside_the_paper
from zoo.report.sections import grid
from zoo.report.tables import build_tables

_READING = """\
Means over models and seeds; AVG over corpora. The difference is to {reference} at the same learning rate, \
with a 95 % interval {over}."""
_OVER_CORPORA = (
    f"over corpora, as a setting is chosen for corpora that nobody has seen (from {FEWEST} of them on)"
)
_OVER_RUNS = "over other seeds and other texts of these corpora; from one seed over other texts alone"


@dataclass(frozen=True)
class Part:
    """One measure of a study: what it is, whether the choice may rest on it, and its rows."""

    title: str
    rows: Sequence[Row]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"measure": self.title, "rows": [row.as_json() for row in self.rows]}


_MEASURES: tuple[tuple[str, Measure], ...] = (
    ("Validation accuracy", on_validation_part()),
    ("Test accuracy", on_test_part("accuracy")),
    ("Test accuracy under FGSM", on_test_part("attacked_accuracy")),
)


def parts_of(
    asked: Question,
    owners: Mapping[tuple[str, Rate], Sequence[str]],
    results: Mapping[str, Result],
    test: bool,
) -> list[Part]:
    """The validation accuracy of every row, by which a choice is made; with `test` the test part's too."""
    return [
        Part(title, rows(measure, asked.reference, owners, results, asked.chooses))
        for title, measure in (_MEASURES if test else _MEASURES[:1])
    ]


def blocks(parts: Sequence[Part], asked: Question) -> list[Block]:
    """The question, then two tables a measure: its means, and the differences to the reference.

    `by_model` of the question adds one with both for each model.
    """
    reference, over = asked.reference, _OVER_CORPORA if asked.chooses else _OVER_RUNS
    found: list[Block] = [Text(asked.asks), Text(_READING.format(reference=reference, over=over))]
    for part in parts:
        if any(row.means for row in part.rows):
            found += [_means(part), _differences(part, reference)]
            found += [_by_model(part, reference)] if asked.by_model else []
    return found


def recipes_blocks(results: Iterable[Result], asks: str) -> list[Block]:
    """The answer of a question that compares recipes: the question, their tables, the paper's beside them."""
    tables = build_tables(Cells.of(results))
    return [Text(asks), *grid(tables), *beside_the_paper(tables)]


def _means(part: Part) -> Table:
    corpora = in_order(name for row in part.rows for name in row.means)
    head, named = _names(part.rows)
    lines = (
        (*named(row), *(_percent(row.means.get(name)) for name in corpora), _percent(row.mean))
        for row in part.rows
    )
    return Table((*head, *map(display, corpora), "AVG"), tuple(lines), f"{part.title}, %")


def _differences(part: Part, reference: str) -> Table:
    rows = [row for row in part.rows if row.variant != reference]
    corpora = in_order(name for row in rows for name in row.differences)
    head, named = _names(part.rows)
    lines = (
        (
            *named(row),
            *(_points(row.differences.get(name)) for name in corpora),
            _points(row.difference),
            _interval(row),
        )
        for row in rows
    )
    header = (*head, *map(display, corpora), "AVG", "95% interval")
    return Table(header, tuple(lines), f"{part.title}: difference to {reference}, points")


def _by_model(part: Part, reference: str) -> Table:
    models = in_order(name for row in part.rows for name in row.models)
    head, named = _names(part.rows)
    lines = []
    for row in part.rows:
        own = [row.models.get(name, (None, None)) for name in models]
        beside = row.variant != reference
        lines.append((*named(row), *(_of_model(*pair, beside) for pair in own)))
    header = (*head, *map(display, models))
    return Table(header, tuple(lines), f"{part.title} of each model, % [difference to {reference}, points]")


def _names(rows: Sequence[Row]) -> tuple[tuple[str, ...], Callable[[Row], tuple[str, ...]]]:
    """The columns before the numbers, and what they hold: no rate where all rows have the preset's."""
    if all(row.rate is None for row in rows):
        return ("Method",), lambda row: (row.variant,)
    return ("Method", "Rate"), lambda row: (
        row.variant,
        "preset's" if row.rate is None else f"{row.rate:g}",
    )


def _of_model(mean: float | None, difference: float | None, beside: bool) -> str:
    return _percent(mean) + (f" [{_points(difference)}]" if beside and difference is not None else "")


def _percent(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value:.1f}"


def _points(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value:+.1f}"


def _interval(row: Row) -> str:
    return MISSING if row.interval is None else "[{:+.1f}, {:+.1f}]".format(*(100 * x for x in row.interval))
