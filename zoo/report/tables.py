"""Tables shaped like Table IV of the paper, one an arch, as plain values; `zoo.report.panels` makes texts.

Rows are methods, columns corpora and their average. A difference that does not favour a method is built and
printed exactly as one that does. Unit of accuracies and differences: fractions of 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.core import measures
from zoo.core.measures import ACCURACY, Measure
from zoo.core.names import AVERAGE, NO_ARCH, display, in_order, is_pretrained
from zoo.core.result import Result
from zoo.evidence.cells import Cells, Key, Method
from zoo.evidence.compare import REFERENCE, Comparison, compare, cost
from zoo.evidence.intervals import Estimate, average
from zoo.evidence.paper import paper
from zoo.evidence.statistics import Spread, mean_and_spread, mean_if_all

__all__ = ["ArchTable", "Row", "Score", "as_dict", "build_tables", "long_form"]

PLAIN = Method("standard")  # whose step is the unit of cost
MIXED = "score"  # the name of a mean of several measures


def main_measure(cells: Cells, corpus: str) -> str:
    """The name of the main measure of a corpus, as its results say; accuracy where there are none."""
    return next((r.measure for r in cells.done() if r.cell.corpus == corpus), ACCURACY)


def unit_of_cost(table: ArchTable) -> Method:
    """The method whose step costs 1: the plain one; for a pre-trained model without it, the reference."""
    plain = not is_pretrained(table.arch) or PLAIN in table.cells.methods()
    return PLAIN if plain else Method(table.reference)


@dataclass(frozen=True)
class Score:
    """One place of a table: a method on a corpus, or its average over the corpora.

    `values` has a spread for each measure that a run has, by the measure's name; none of them where the place
    is missing or all of its runs failed (`failed` counts them). `without_skill` counts runs that do little
    more than name the largest classes. `cost` is in steps of the plain recipe, or of the reference where that
    was not run. `paper` is the paper's value, `paper_difference` its difference to the reference. `measure`
    is the corpus's main one; of an average over several `MIXED`, the mean of the corpora's main ones.
    """

    values: Mapping[str, Spread] = field(default_factory=dict)
    failed: int = 0
    without_skill: int = 0
    estimate: Estimate | None = None
    comparison: Comparison | None = None
    cost: float | None = None
    paper: float | None = None
    paper_difference: float | None = None
    measure: str = ACCURACY

    @property
    def main(self) -> Spread | None:
        """The main measure, which differences and verdicts are about."""
        return self.values.get(self.measure)


@dataclass(frozen=True)
class Row:
    """One method. `scores` has a place for every corpus of the table, `average` is over all of them."""

    method: Method
    scores: tuple[Score, ...]
    average: Score


@dataclass(frozen=True)
class ArchTable:
    """One arch.

    `reference` is the recipe that differences are taken to; `with_paper` says whether to print the paper's
    numbers too. `cells` and `comparisons` are those that the rows come from; `claims` counts the comparisons
    of the whole report that Holm's correction is for.
    """

    arch: str
    reference: str
    corpora: tuple[str, ...]
    rows: tuple[Row, ...]
    confidence: float
    with_paper: bool
    cells: Cells
    comparisons: Mapping[Key, Comparison]
    claims: int

    @property
    def name(self) -> str:
        """The printed name of the arch."""
        return display(self.arch)

    @property
    def columns(self) -> tuple[str, ...]:
        """The corpora, and the average where it says more than the one column."""
        return (*self.corpora, AVERAGE) if len(self.corpora) > 1 else self.corpora

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The main measure, and the others that any of the results has."""
        known = {name for row in self.rows for score in row.scores for name in score.values}
        others = (row for row in measures.MEASURES if row.name in known and row.name != self.main.name)
        return (self.main, *others)

    @property
    def main(self) -> Measure:
        """What differences are about: the corpora's main measure, or a row for several."""
        names = {corpus: main_measure(self.cells, corpus) for corpus in self.corpora}
        if len(set(names.values())) == 1:
            return measures.measure(next(iter(names.values())))
        said = "; ".join(
            f"{display(corpus)} {measures.measure(name).short}" for corpus, name in names.items()
        )
        return Measure(MIXED, "Test score", "test", measures.accuracy, text=f"{said}.")

    def places(self, row: Row) -> tuple[Score, ...]:
        """The scores of a row, one a column."""
        return (*row.scores, row.average) if len(self.corpora) > 1 else row.scores


def build_tables(
    results: Cells | Iterable[Result],
    *,
    recipes: Sequence[str] | None = None,
    corpora: Sequence[str] | None = None,
    paper: bool = False,
    reference: str = REFERENCE,
    confidence: float = 0.95,
) -> tuple[ArchTable, ...]:
    """One table an arch, from the results of cells.

    Args:
        recipes, corpora: rows and columns wanted even where no cell is there yet; default: those that occur.
        paper: put the paper's numbers beside the measured ones.
        reference: the recipe that all differences are taken to.
        confidence: of the intervals.

    Raises:
        UserError: two results of one cell that differ in their texts.
    """
    cells = Cells.of(results)
    comparisons = compare(cells, reference, confidence)
    claims = sum(comparison.p_holm is not None for comparison in comparisons.values())
    tables = []
    for arch in cells.archs() or in_order(key.arch for key in cells.groups):
        columns = in_order(corpora or (key.corpus for key in cells.groups if key.arch == arch))
        own = cells.on(arch).within(columns, recipes)
        used = {k: c for k, c in comparisons.items() if k.arch == arch and k.corpus in columns}
        table = ArchTable(arch, reference, columns, (), confidence, paper, own, used, claims)
        methods = own.methods()
        methods += tuple(Method(r) for r in recipes or () if all(m.recipe != r for m in methods))
        order = in_order(method.recipe for method in methods)
        rows = (_row(table, method) for method in sorted(methods, key=lambda m: order.index(m.recipe)))
        tables.append(replace(table, rows=tuple(rows)))
    return tuple(tables)


def long_form(tables: Iterable[ArchTable]) -> list[dict[str, Any]]:
    """One dictionary a place of the tables, flat, as for a CSV file; None where there is nothing to say."""
    return [
        {"arch": table.arch, **row.method._asdict(), "corpus": corpus, **_flat(score)}
        for table in tables
        for row in table.rows
        for corpus, score in zip(table.columns, table.places(row), strict=True)
    ]


def as_dict(table: ArchTable, footnotes: Sequence[str]) -> dict[str, Any]:
    """A table as JSON types: the same numbers as `long_form`, nested by method and corpus."""
    return {
        "arch": table.arch,
        "reference": table.reference,
        "confidence": table.confidence,
        "corpora": list(table.corpora),
        "rows": [
            {
                **row.method._asdict(),
                "name": row.method.name,
                "scores": dict(zip(table.columns, map(_flat, table.places(row)), strict=True)),
            }
            for row in table.rows
        ],
        "footnotes": list(footnotes),
    }


def _row(table: ArchTable, method: Method) -> Row:
    scores = []
    for corpus in table.corpora:
        runs = table.cells.get(table.arch, corpus, method)
        done = runs.done.values()
        comparison = table.comparisons.get(Key(table.arch, corpus, method))
        printed, base = (_printed(table, recipe, corpus) for recipe in (method.recipe, table.reference))
        scores.append(
            Score(
                values=_spreads(done),
                failed=len(runs.failed),
                without_skill=sum(bool(r.without_skill) for r in done if r.cell.arch != NO_ARCH),
                estimate=comparison.estimate if comparison else None,
                comparison=comparison,
                cost=cost(runs, table.cells.get(table.arch, corpus, unit_of_cost(table))),
                paper=printed,
                paper_difference=None if method.recipe == table.reference else _less(printed, base),
                measure=main_measure(table.cells, corpus),
            )
        )
    return Row(method, tuple(scores), _average(scores, table.confidence))


def _spreads(results: Iterable[Result]) -> dict[str, Spread]:
    known = list(results)
    found = {m.name: [r.measures[m.name] for r in known if m.name in r.measures] for m in measures.MEASURES}
    return {name: mean_and_spread(values) for name, values in found.items() if values}


def _average(scores: Sequence[Score], confidence: float) -> Score:
    """Every corpus counts the same, however many runs it has; costs are ratios, so theirs is geometric."""
    everywhere = [m.name for m in measures.MEASURES if all(m.name in score.values for score in scores)]
    estimates = [score.estimate for score in scores if score.estimate]
    costs = [score.cost for score in scores if score.cost]
    values = {name: _mean_of_means([score.values[name] for score in scores]) for name in everywhere}
    mains, names = [score.main for score in scores if score.main], {score.measure for score in scores}
    if len(names) > 1 and len(mains) == len(scores):
        values[MIXED] = _mean_of_means(mains)
    return Score(
        values=values,
        measure=MIXED if len(names) > 1 else next(iter(names), ACCURACY),
        without_skill=sum(score.without_skill for score in scores),
        estimate=average(estimates, confidence) if estimates and len(estimates) == len(scores) else None,
        cost=_geometric(costs) if len(costs) == len(scores) else None,
        paper=mean_if_all([score.paper for score in scores]),
        paper_difference=mean_if_all([score.paper_difference for score in scores]),
    )


def _geometric(values: Sequence[float]) -> float | None:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def _mean_of_means(spreads: Sequence[Spread]) -> Spread:
    mean = sum(s.mean for s in spreads) / len(spreads)
    sds = [s.sd for s in spreads if s.sd is not None]
    # Independent parts: the variance of a mean of C values is the sum of theirs over C^2.
    sd = math.sqrt(sum(sd**2 for sd in sds)) / len(spreads) if len(sds) == len(spreads) else None
    return Spread(mean, sd, min(s.n for s in spreads))


def _printed(table: ArchTable, recipe: str, corpus: str) -> float | None:
    found = paper().get((table.arch, recipe, corpus)) if table.with_paper else None
    return found[0] / 100 if found else None


def _less(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base


def _flat(score: Score) -> dict[str, Any]:
    main, estimate, comparison = score.main, score.estimate, score.comparison
    flat: dict[str, Any] = {
        "measure": score.measure,
        "main": main.mean if main else None,
        "status": "done" if main else "failed" if score.failed else "missing",
        "runs": main.n if main else 0,
        "failed": score.failed,
        "without_skill": score.without_skill,
    }
    for measure in measures.MEASURES:
        spread = score.values.get(measure.name)
        flat |= {
            measure.name: spread.mean if spread else None,
            f"{measure.name}_sd": spread.sd if spread else None,
            f"{measure.name}_runs": spread.n if spread else 0,
        }
    flat |= {name: getattr(estimate, name, None) for name in ("difference", "low", "high", "standard_error")}
    return flat | {
        "interval_over": getattr(estimate, "method", None),
        "paired_runs": getattr(estimate, "runs", 0),
        "p": getattr(estimate, "p_value", None),
        "p_holm": getattr(comparison, "p_holm", None),
        "p_sign_flip": getattr(comparison, "p_sign_flip", None),
        "probability_of_improvement": getattr(comparison, "improvement", None),
        "cost": score.cost,
        "paper_accuracy": score.paper,
        "paper_difference": score.paper_difference,
    }
