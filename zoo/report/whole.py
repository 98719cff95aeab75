"""Table IV on every row that there is (`zoo.ablate --preset full`): the sections of the page about it.

The grid may be there in part: what a part cannot say is left out, and the first section says what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

from zoo.core.names import display, in_order
from zoo.evidence.cells import Cells
from zoo.evidence.compare import REFERENCE
from zoo.evidence.planned import table_iv
from zoo.evidence.statements import findings
from zoo.report.blocks import MISSING, Block, Figure, Heading, List, Table, Text
from zoo.report.diagnostics import diagnostics
from zoo.report.found import found
from zoo.report.panels import difference_text, value_text
from zoo.report.planned import progress
from zoo.report.reading import reading
from zoo.report.setup import changed_settings, setup
from zoo.report.tables import ArchTable, Score, build_tables
from zoo.report.verdicts import highest, verdicts

__all__ = [
    "ANSWER",
    "at_their_best",
    "by_last_states",
    "first",
    "in_sentences",
    "inside",
    "planned_tables",
    "said",
]

ANSWER = "answer"  # the name of the figure
_NOTHING = "No model is whole under any seed yet, so there is nothing to conclude yet."
_FOUND = """\
Made from the numbers by rules (`zoo/report/found.py`); a test sees each change with them. What may \
be behind them, written by hand, is at the end of the page."""
_BEST = """\
The same with each recipe at the best setting that validation gave. What differs from the shared setting:"""
_LAST = """\
The paper does not say how the states of BiLSTM become one vector. The first page takes the largest value \
of each unit over a text, which validation prefers (settings tried); here it is the last state of each \
direction (`--set pooling=last`). First the averages and their differences to {reference}, in both, each \
from the seeds that it has: one with ± is over several, one without over one."""
_BOTH = """\
Means over the corpora at the setting that all share, and at each recipe's best. The difference at the best \
is to {reference} at its own best."""


def planned_tables(cells: Cells) -> tuple[ArchTable, ...]:
    """Tables with a place for everything that is planned, so that no mean is over a part of the corpora."""
    planned = table_iv(cells)
    shown = planned.shown()
    recipes = in_order([*planned.recipes, *(method.recipe for method in shown.methods())])
    return build_tables(shown, recipes=recipes, corpora=planned.corpora, paper=True)


def first(cells: Cells) -> list[Block]:
    """What is there of the plan, and what was run."""
    how = (Text(text, markup=True) for text in reading(cells))
    return [Heading("What was run"), *progress(table_iv(cells)), *how, *setup(cells)]


def said(cells: Cells, how: Text) -> list[Block]:
    """The verdicts on the paper's statements; `how` says how they are read."""
    whole = table_iv(cells).whole()
    if not whole.groups:
        return [Text(_NOTHING)]
    return [how, *verdicts(findings(whole)), *highest(build_tables(whole, paper=True))]


def in_sentences(cells: Cells) -> list[Block]:
    """What we found, where a block is whole."""
    lines = found(table_iv(cells))
    if not lines:
        return []
    picture = Figure(f"figures/{ANSWER}.svg", f"Every method of Table IV against {display(REFERENCE)}")
    return [Heading("What we found"), picture, Text(_FOUND, markup=True), List(tuple(lines))]


def inside(cells: Cells, how: Text) -> list[Block]:
    """The runs of whole blocks from inside, with the epochs that they reached where they may stop early."""
    whole = table_iv(cells).whole()
    return [Heading("Inside the runs"), how, *diagnostics(whole)] if whole.groups else []


def at_their_best(tuned: Cells, shared: Cells, tables: Sequence[Block]) -> list[Block]:
    """The settings, both means beside each other, then `tables`, those of `tuned`; and the verdicts."""
    changes = changed_settings(tuned, shared)
    lines = tuple(f"{method}: {'; '.join(own) or 'none'}." for method, own in changes.items())
    planned = table_iv(tuned)
    blocks: list[Block] = [Heading("At the best settings found"), *progress(planned)]
    blocks += [Text(_BEST), List(lines), Text(_BOTH.format(reference=display(REFERENCE)))]
    both = _side_by_side(shared, tuned, ("shared setting", "best setting"))
    return [*blocks, *both, *tables, *verdicts(findings(planned.whole()))]


def by_last_states(last: Cells, full: Cells, tables: Sequence[Block]) -> list[Block]:
    """The other reading of BiLSTM beside that of the grid, then `tables`, those of `last`."""
    text = Text(_LAST.format(reference=display(REFERENCE)), markup=True)
    both = _side_by_side(full, last, ("maximum", "last states"))
    return [text, *both, *tables]


def _side_by_side(shared: Cells, others: Cells, names: tuple[str, str]) -> list[Block]:
    """A table for each model of `others`: the average over the corpora and its difference, in both.

    `names`: of the two in the head of the table.
    """
    known = {table.arch: table for table in planned_tables(shared)}
    found: list[Block] = []
    for table in planned_tables(others):
        own = known.get(table.arch)
        same = {row.method: row.average for row in own.rows} if own else {}
        rows = []
        for row in table.rows:
            scores = (same.get(row.method, Score()), row.average)
            means = (value_text(score.main, table.measures[0]) for score in scores)
            rows.append((row.method.name, *means, *map(_difference, scores)))
        header = ("Recipe", *(f"AVG, {name}" for name in names), *(f"Difference, {name}" for name in names))
        found.append(Table(header, tuple(rows), table.name))
    return found


def _difference(score: Score) -> str:
    return MISSING if score.estimate is None else difference_text(score.estimate, None, 0.05)
