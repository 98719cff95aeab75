"""What holds over several models together: rows, costs, differences to the reference, findings."""

from __future__ import annotations

import math
from collections.abc import Sequence

from zoo.core.names import BASELINE
from zoo.evidence.cells import Cells, Method
from zoo.evidence.compare import REFERENCE
from zoo.evidence.intervals import Estimate, pool
from zoo.evidence.statements import Finding, Statement, findings
from zoo.report.tables import ArchTable, Row

__all__ = ["cost_over_models", "over_all", "pooled_average", "rows_of", "to_reference"]


def rows_of(tables: Sequence[ArchTable], method: Method) -> list[Row]:
    """The rows of a method, one a model."""
    return [row for table in tables for row in table.rows if row.method == method]


def cost_over_models(tables: Sequence[ArchTable], method: Method) -> float | None:
    """Geometric mean over the models of the cost of a step; None where a model has none."""
    values = [row.average.cost for row in rows_of(tables, method)]
    known = [math.log(value) for value in values if value]
    return math.exp(sum(known) / len(known)) if known and len(known) == len(tables) else None


def pooled_average(tables: Sequence[ArchTable], method: Method) -> Estimate | None:
    """The mean of the models' paired differences, averages over the corpora; None where a model has none.

    Its interval takes what the choice of texts does to the models as the same for all (`intervals.pool`).
    """
    estimates = [row.average.estimate for row in rows_of(tables, method) if row.average.estimate]
    return pool(estimates) if estimates and len(estimates) == len(tables) else None


def to_reference(cells: Cells, measure: str) -> list[Finding]:
    """Every network's method against the reference in a measure, over all models together."""
    recipes = [method.recipe for method in cells.methods() if method.recipe not in (REFERENCE, BASELINE)]
    return over_all(cells, [Statement(recipe, REFERENCE, "", measure) for recipe in recipes])


def over_all(cells: Cells, statements: Sequence[Statement]) -> list[Finding]:
    """The last finding of each statement: over all models, or of the only one."""
    return list({finding.statement: finding for finding in findings(cells, statements)}.values())
