"""Which of the paper's statements do results support? Answered by one rule, never by hand.

A statement says that one recipe is above another, on average over the corpora. It is held against the
interval of the paired difference, once an arch and once over all archs together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from zoo.core import measures
from zoo.core.names import display
from zoo.core.result import Result
from zoo.evidence.cells import Cells, Key, Method
from zoo.evidence.compare import MAIN, compare_groups, reference_of
from zoo.evidence.intervals import Estimate, average, pool
from zoo.evidence.paper import paper
from zoo.evidence.statistics import holm, mean_if_all

__all__ = [
    "ALL_ARCHS", "NOT_MEASURED", "NOT_RESOLVED", "NOT_SUPPORTED", "STATEMENTS", "SUPPORTED", "Finding",
    "Statement", "findings", "verdict",
]  # fmt: skip

SUPPORTED, NOT_SUPPORTED = "supported", "not supported"
NOT_RESOLVED, NOT_MEASURED = "not resolved", "not measured"
ALL_ARCHS = "all"
ACCURACY, ATTACKED = "accuracy", "attacked_accuracy"


@dataclass(frozen=True)
class Statement:
    """`recipe` is above `reference` in `measure` (a row's name); `reading` says what that would mean.

    `control` marks a comparison of ours: the paper has no such row.
    """

    recipe: str
    reference: str
    reading: str
    measure: str = ACCURACY
    control: bool = False

    @property
    def text(self) -> str:
        """The statement in words."""
        title, main = measures.measure(self.measure).title, measures.MEASURES[0].title
        where = title.removeprefix(main) if title.startswith(main) else f" in {title}"
        return f"{display(self.recipe)} is above {display(self.reference)}{where}"


STATEMENTS = (
    Statement("at", "dropout", "adversarial training helps"),
    Statement("r_drop", "dropout", "a divergence between two dropout passes helps"),
    Statement("r_at_su", "r_at", "the selective update helps"),
    Statement("uegr", "r_at_su", "JS divergence and adaptive dropout help"),
    Statement("uegr", "dropout", "the whole method helps"),
    Statement("at", "dropout", "adversarial training makes robust", ATTACKED),
    Statement("r_at_su", "r_at", "the selective update makes more robust", ATTACKED),
    Statement("uegr", "r_at_su", "JS divergence and adaptive dropout make more robust", ATTACKED),
    Statement("uegr", "dropout", "the whole method makes robust", ATTACKED),
    Statement("uegr", "uegr_no_mask", "inside UEGR the selective update helps", control=True),
    Statement("uegr", "uegr_blind_mask", "it matters which entries are updated", control=True),
    Statement("uegr", "uegr_uniform", "inside UEGR adaptive dropout helps", control=True),
    Statement("uegr", "uegr_no_js", "inside UEGR the divergence helps", control=True),
    Statement("uegr", "uegr_no_attack", "inside UEGR the attack helps", control=True),
    Statement("uegr", "uegr_no_rescale", "inside UEGR the division by p helps", control=True),
)


@dataclass(frozen=True)
class Finding:
    """A statement on one arch, or on ALL_ARCHS; differences are fractions of 1, averages over the corpora.

    `estimate` is None where a corpus has no paired runs. `paper` is the difference in Table IV; None for a
    control, for robustness (the paper has no such numbers for these models) and for other corpora. `p_holm`
    is adjusted for all findings that are resolvable at all. `pairs` counts the pairs of networks. `over` are
    the models of a finding on ALL_ARCHS.
    """

    statement: Statement
    arch: str
    estimate: Estimate | None
    paper: float | None
    p_holm: float | None = None
    pairs: int = 0
    over: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """See `verdict`."""
        return verdict(self.estimate)


def verdict(estimate: Estimate | None) -> str:
    """What the interval of "recipe minus reference" says of "recipe is above reference".

    Wholly above 0: supported. Wholly below 0: not supported, it is the other way round. 0 inside: not
    resolved. From one seed, whose interval does not cover another: not resolved.
    """
    if estimate is None:
        return NOT_MEASURED
    if estimate.seeds > 1 and estimate.low > 0:
        return SUPPORTED
    return NOT_SUPPORTED if estimate.seeds > 1 and estimate.high < 0 else NOT_RESOLVED


def findings(
    results: Cells | Iterable[Result],
    statements: Sequence[Statement] = STATEMENTS,
    confidence: float = 0.95,
) -> list[Finding]:
    """Each statement on each arch, then on all archs together; a statement without any runs is left out.

    Over all archs the differences are pooled (`intervals.pool`), where every arch has one; where some have
    several seeds, over these alone, as one seed would leave the mean without a verdict. A recipe that
    was run under several settings has no statement: its rows in the tables have differences.
    """
    cells = Cells.of(results)
    found: list[Finding] = []
    for statement in statements:
        own = [_on_arch(cells, arch, statement, confidence) for arch in cells.archs()]
        if any(finding.estimate for finding in own):
            found += own
            several = [f for f in own if (f.estimate.seeds if f.estimate else _seeds(cells, f.arch)) > 1]
            if len(own) > 1:
                own = several or own
                pooled = _over([finding.estimate for finding in own], confidence, pool)
                printed, pairs = mean_if_all([f.paper for f in own]), sum(f.pairs for f in own)
                over = tuple(finding.arch for finding in own)
                found.append(Finding(statement, ALL_ARCHS, pooled, printed, pairs=pairs, over=over))
    return _adjusted(found)


def _adjusted(found: list[Finding]) -> list[Finding]:
    several = [i for i, finding in enumerate(found) if finding.estimate and finding.estimate.seeds > 1]
    p_values = [estimate.p_value for i in several if (estimate := found[i].estimate)]
    for i, p_holm in zip(several, holm(p_values), strict=True):
        found[i] = replace(found[i], p_holm=p_holm)
    return found


def _seeds(cells: Cells, arch: str) -> int:
    """Of an arch whose finding has no estimate: it was begun with one, or a cell of several is missing."""
    return len({run.seed for key, own in cells.groups.items() if key.arch == arch for run in own.done})


def _on_arch(cells: Cells, arch: str, statement: Statement, confidence: float) -> Finding:
    method = Method(statement.recipe)
    estimates, printed = list[Estimate | None](), list[float | None]()
    for corpus in Cells({key: runs for key, runs in cells.groups.items() if key.arch == arch}).corpora():
        against = reference_of(cells, Key(arch, corpus, method), statement.reference)
        comparison = (
            compare_groups(
                cells.get(arch, corpus, method),
                cells.get(arch, corpus, against),
                confidence,
                MAIN if statement.measure == ACCURACY else statement.measure,
            )
            if against
            else None
        )
        estimates.append(comparison.estimate if comparison else None)
        printed.append(_printed(arch, corpus, statement))
    pairs = sum(estimate.runs for estimate in estimates if estimate)
    return Finding(statement, arch, _over(estimates, confidence, average), mean_if_all(printed), pairs=pairs)


def _printed(arch: str, corpus: str, statement: Statement) -> float | None:
    if statement.measure != ACCURACY:
        return None
    first, second = (
        paper().get((arch, recipe, corpus)) for recipe in (statement.recipe, statement.reference)
    )
    return (first[0] - second[0]) / 100 if first and second else None


def _over(
    estimates: Sequence[Estimate | None],
    confidence: float,
    join: Callable[[Sequence[Estimate], float], Estimate],
) -> Estimate | None:
    known = [estimate for estimate in estimates if estimate]
    return join(known, confidence) if known and len(known) == len(estimates) else None
