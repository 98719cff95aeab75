"""Tables shaped like Table IV of the paper, one an arch, as plain values; `zoo.report.render` prints them.

Rows are recipes, columns corpora and their average. A difference that does not favour a recipe is built and
printed exactly as one that does. Unit of every number here: fractions of 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zoo.core.names import AVERAGE, BASELINE, NO_ARCH, display, in_order
from zoo.evidence.compare import Comparison, Group, Key, compare, cost, group
from zoo.evidence.intervals import Estimate, average
from zoo.evidence.paper import paper
from zoo.evidence.statistics import Spread, mean_and_spread, mean_if_all
from zoo.report.footnotes import footnotes

__all__ = ["Row", "Score", "Table", "as_dict", "build_tables", "long_form"]

PLAIN = "standard"  # the recipe whose step is the unit of cost


@dataclass(frozen=True)
class Score:
    """One place of a table: a recipe on a corpus, or its average over the corpora.

    `accuracy` is None where the place is missing or all of its runs failed (`failed` counts them).
    `attacked` is the accuracy of a sample of the test part under FGSM. `cost` is in steps of the plain
    recipe. `paper` is the paper's accuracy, `paper_difference` its difference to the reference.
    """

    accuracy: Spread | None = None
    macro_f1: Spread | None = None
    attacked: Spread | None = None
    failed: int = 0
    estimate: Estimate | None = None
    comparison: Comparison | None = None
    cost: float | None = None
    paper: float | None = None
    paper_difference: float | None = None


@dataclass(frozen=True)
class Row:
    """One recipe. `scores` has a place for every corpus of the table, `average` is over all of them."""

    recipe: str
    scores: tuple[Score, ...]
    average: Score

    @property
    def name(self) -> str:
        """The printed name."""
        return display(self.recipe)


@dataclass(frozen=True)
class Table:
    """One arch.

    `reference` is the recipe that differences are taken to; `with_paper` says whether to print the paper's
    numbers too.
    """

    arch: str
    reference: str
    corpora: tuple[str, ...]
    rows: tuple[Row, ...]
    confidence: float
    with_paper: bool
    footnotes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The printed name of the arch."""
        return display(self.arch)

    @property
    def has_average(self) -> bool:
        """Whether an average says more than the one column."""
        return len(self.corpora) > 1


def build_tables(
    results: Iterable[Mapping[str, Any]],
    *,
    recipes: Sequence[str] | None = None,
    corpora: Sequence[str] | None = None,
    paper: bool = False,
    reference: str = "dropout",
    confidence: float = 0.95,
) -> tuple[Table, ...]:
    """One table an arch, from the results of cells.

    Args:
        recipes, corpora: rows and columns wanted even where no cell is there yet; default: those that occur.
        paper: put the paper's numbers beside the measured ones.
        reference: the recipe that all differences are taken to.
        confidence: of the intervals.

    Raises:
        UserError: two results of one cell under different settings.
    """
    groups = group(results)
    comparisons = compare(groups, reference, confidence)
    archs = in_order(arch for arch, _, _ in groups if arch != NO_ARCH) or in_order(a for a, _, _ in groups)
    tables = []
    for arch in archs:
        own = {key: runs for key, runs in groups.items() if key[0] in (arch, NO_ARCH)}
        columns = in_order(corpora or (corpus for a, corpus, _ in own if a == arch))
        names = in_order(recipes or (recipe for _, corpus, recipe in own if corpus in columns))
        table = Table(arch, reference, columns, (), confidence, paper, ())
        rows = tuple(_row(table, recipe, own, comparisons) for recipe in names)
        table = replace(table, rows=rows)
        tables.append(replace(table, footnotes=footnotes(table, own, comparisons)))
    return tuple(tables)


def long_form(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """One dictionary a place of the tables, flat, as for a CSV file; None where there is nothing to say."""
    return [
        {"arch": table.arch, "recipe": row.recipe, "corpus": corpus, **_flat(score)}
        for table in tables
        for row in table.rows
        for corpus, score in _places(table, row)
    ]


def as_dict(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """The tables as JSON types: the same numbers as `long_form`, nested by recipe and corpus."""
    return [
        {
            "arch": table.arch,
            "reference": table.reference,
            "confidence": table.confidence,
            "corpora": list(table.corpora),
            "rows": [
                {
                    "recipe": row.recipe,
                    "name": row.name,
                    "scores": {corpus: _flat(score) for corpus, score in _places(table, row)},
                }
                for row in table.rows
            ],
            "footnotes": list(table.footnotes),
        }
        for table in tables
    ]


def _row(
    table: Table, recipe: str, groups: Mapping[Key, Group], comparisons: Mapping[Key, Comparison]
) -> Row:
    scores = []
    for corpus in table.corpora:
        arch = NO_ARCH if recipe == BASELINE else table.arch
        runs = groups.get((arch, corpus, recipe), Group({}, {}))
        done = runs.done.values()
        comparison = comparisons.get((table.arch, corpus, recipe))
        printed, printed_reference = _paper(table, recipe, corpus), _paper(table, table.reference, corpus)
        scores.append(
            Score(
                accuracy=_spread(r.get("test_accuracy") for r in done),
                macro_f1=_spread(r.get("test_macro_f1") for r in done),
                attacked=_spread((r.get("attacked") or {}).get("accuracy") for r in done),
                failed=len(runs.failed),
                estimate=comparison.estimate if comparison else None,
                comparison=comparison,
                cost=cost(runs, groups.get((table.arch, corpus, PLAIN))),
                paper=printed,
                paper_difference=_difference(printed, printed_reference, recipe != table.reference),
            )
        )
    return Row(recipe, tuple(scores), _average(table, scores))


def _average(table: Table, scores: Sequence[Score]) -> Score:
    accuracies, attacked = [score.accuracy for score in scores], [score.attacked for score in scores]
    estimates = [score.estimate for score in scores]
    costs = [score.cost for score in scores if score.cost]
    return Score(
        accuracy=_mean_of_means([a for a in accuracies if a]) if all(accuracies) else None,
        attacked=_mean_of_means([a for a in attacked if a]) if all(attacked) else None,
        estimate=average([e for e in estimates if e], table.confidence) if all(estimates) else None,
        cost=math.exp(sum(map(math.log, costs)) / len(costs)) if costs else None,
        paper=mean_if_all([score.paper for score in scores]),
        paper_difference=mean_if_all([score.paper_difference for score in scores]),
    )


def _mean_of_means(spreads: Sequence[Spread]) -> Spread:
    mean = sum(s.mean for s in spreads) / len(spreads)
    sds = [s.sd for s in spreads if s.sd is not None]
    # Independent parts: the variance of a mean of C values is the sum of theirs over C^2.
    sd = math.sqrt(sum(sd**2 for sd in sds)) / len(spreads) if len(sds) == len(spreads) else None
    return Spread(mean, sd, min(s.n for s in spreads))


def _difference(value: float | None, reference: float | None, wanted: bool) -> float | None:
    return value - reference if wanted and value is not None and reference is not None else None


def _paper(table: Table, recipe: str, corpus: str) -> float | None:
    found = paper().get((table.arch, recipe, corpus)) if table.with_paper else None
    return found[0] / 100 if found else None


def _spread(values: Iterable[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return mean_and_spread(known) if known else None


def _places(table: Table, row: Row) -> list[tuple[str, Score]]:
    places = list(zip(table.corpora, row.scores, strict=True))
    return [*places, (AVERAGE, row.average)] if table.has_average else places


def _flat(score: Score) -> dict[str, Any]:
    accuracy, estimate, comparison = score.accuracy, score.estimate, score.comparison
    return {
        "status": "done" if accuracy else "failed" if score.failed else "missing",
        "runs": accuracy.n if accuracy else 0,
        "failed": score.failed,
        "accuracy": accuracy.mean if accuracy else None,
        "accuracy_sd": accuracy.sd if accuracy else None,
        "macro_f1": score.macro_f1.mean if score.macro_f1 else None,
        "attacked_accuracy": score.attacked.mean if score.attacked else None,
        "attacked_accuracy_sd": score.attacked.sd if score.attacked else None,
        "attacked_runs": score.attacked.n if score.attacked else 0,
        "difference": estimate.difference if estimate else None,
        "low": estimate.low if estimate else None,
        "high": estimate.high if estimate else None,
        "standard_error": estimate.standard_error if estimate else None,
        "interval_over": estimate.method if estimate else None,
        "paired_runs": estimate.runs if estimate else 0,
        "p": estimate.p_value if estimate else None,
        "p_holm": comparison.p_holm if comparison else None,
        "p_sign_flip": comparison.p_sign_flip if comparison else None,
        "probability_of_improvement": comparison.improvement if comparison else None,
        "cost": score.cost,
        "paper_accuracy": score.paper,
        "paper_difference": score.paper_difference,
    }
