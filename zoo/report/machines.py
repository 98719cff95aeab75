"""How far apart two kinds of processor come on the same cells."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.core.measures import MEASURES
from zoo.core.names import display
from zoo.core.result import Result
from zoo.evidence.compare import processor
from zoo.report.origin import counted, processors

__all__ = ["kinds_apart"]


def kinds_apart(first: Iterable[Result], second: Iterable[Result]) -> str:
    """A sentence on the networks that both have: how many differ in the main measure, and the largest
    difference.

    Cells are matched by their names, so they differ in nothing but the machine; empty where none match, or
    where both are of one kind.
    """
    others = {result.id: result for result in second if result.done}
    pairs = [(r, others[r.id]) for r in first if r.done and r.id in others and r.machine.processor]
    pairs = [(a, b) for a, b in pairs if processor(a) != processor(b)]
    if not pairs:
        return ""
    main = MEASURES[0]
    apart = [(abs(a.measures[main.name] - b.measures[main.name]), a) for a, b in pairs]
    differ = [pair for pair in apart if pair[0] > 0]
    kinds = [counted(processors(side)) for side in zip(*pairs, strict=True)]
    start = f"The same {len(pairs)} networks on {kinds[0]} and on {kinds[1]}: "
    if not differ:
        return start + f"{main.title.lower()} equal in all."
    most, cell = max(differ, key=lambda pair: pair[0])
    where = f"{display(cell.cell.corpus)}, {display(cell.cell.recipe)}"
    return start + (
        f"{len(differ)} gave another {main.title.lower()}, by {100 * most:.1f} points at most ({where})."
    )
