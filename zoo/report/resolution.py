"""Which differences these runs could have told from 0, beside those that the paper prints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from zoo.core.names import AVERAGE, display
from zoo.evidence.cells import Key, Method
from zoo.evidence.compare import Comparison
from zoo.evidence.power import MOST_SEEDS, Plan, known_within, seeds_needed
from zoo.report.blocks import MISSING, Block, Heading, List, Table
from zoo.report.panels import EMPHASISED
from zoo.report.tables import ArchTable

__all__ = ["PLANNED", "POWER", "resolution"]

POWER = 0.8
PLANNED = 6  # seeds; the fewest with which an exact sign-flip test can go below 0.05


def resolution(tables: Sequence[ArchTable], heading: int = 3) -> list[Block]:
    """A table a model: the smallest detectable difference of each corpus and of their average.

    Of the paper's method against the reference, where two seeds or more are paired; empty where none are.
    """
    blocks: list[Block] = []
    degrees = set[float]()
    for table in tables:
        method = Method(EMPHASISED)
        known = {c: table.comparisons.get(Key(table.arch, c, method)) for c in table.corpora}
        found = {c: known for c, known in known.items() if known and known.estimate.seeds > 1}
        if found:
            degrees |= {comparison.estimate.seeds_part.degrees for comparison in found.values()}
            blocks += [Heading(table.name, heading), _table(table, found)]
    return [*blocks, List(tuple(_notes(min(degrees))))] if blocks else []


def _table(table: ArchTable, found: dict[str, Comparison]) -> Table:
    seeds = sorted({c.estimate.seeds for c in found.values()})
    here = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    planned = () if seeds == [PLANNED] else (PLANNED,)
    row = next(row for row in table.rows if row.method == Method(EMPHASISED))
    printed = dict(zip(table.columns, (s.paper_difference for s in table.places(row)), strict=True))
    rows = [
        (
            display(corpus),
            f"{c.texts:,}",
            MISSING if c.disagreement is None else f"{100 * c.disagreement:.1f}%",
            *_numbers(Plan((c.estimate,), confidence=table.confidence), planned, printed[corpus]),
        )
        for corpus, c in found.items()
    ]
    if len(table.corpora) > 1 and len(found) == len(table.corpora):
        plan = Plan(tuple(c.estimate for c in found.values()), confidence=table.confidence)
        rows.append((display(AVERAGE), MISSING, MISSING, *_numbers(plan, planned, printed[AVERAGE])))
    between = f"{display(EMPHASISED)} - {display(table.reference)}"
    header = (
        "Corpus", "Test texts", "Answered differently", "Spread over seeds", f"Detectable, {here} seeds",
        *(f"{n} seeds" for n in planned), f"{between} in the paper", "Seeds for that",
    )  # fmt: skip
    return Table(header, tuple(rows), f"{between}: smallest detectable difference, points")


def _numbers(plan: Plan, planned: Sequence[int], printed: float | None) -> tuple[str, ...]:
    """The spread, what is detectable with each number of seeds, the paper's difference, the seeds for it."""
    spread = math.sqrt(sum(e.seeds * e.seeds_part.variance for e in plan.estimates)) / len(plan.estimates)
    plans = (plan, *(replace(plan, seeds=seeds) for seeds in planned))
    numbers = [f"{100 * value:.2f}" for value in (spread, *(p.detectable(POWER) for p in plans))]
    if printed is None or printed <= 0:
        return (*numbers, MISSING if printed is None else f"{100 * printed:+.2f}", MISSING)
    needed = seeds_needed(plan, printed, POWER)
    return (*numbers, f"{100 * printed:+.2f}", f"over {MOST_SEEDS}" if needed is None else f"{needed}")


def _notes(degrees: float) -> Iterable[str]:
    low, high = known_within(degrees)
    yield (
        f"Detectable: the true difference whose interval lies above 0 in {POWER:.0%} of repetitions, if "
        "the spread found here were the true one; before Holm's correction (zoo/evidence/power.py)."
    )
    yield (
        "Spread over seeds: standard deviation of the paired difference of accuracies. From "
        f"{degrees + 1:.0f} seeds the true one is {low:.1f} to {high:.1f} times it (95%), and so is what "
        "is detectable."
    )
    yield "Answered differently: rightly by one of the two and not by the other, mean over seeds."
    yield (
        "Seeds for that: how many would tell the paper's difference apart from 0 so often; more seeds do not "
        "make up for too few test texts."
    )
