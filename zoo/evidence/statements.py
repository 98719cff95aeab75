"""Which of the paper's statements do results support? Answered by one rule, never by hand.

A statement says that one recipe is above another, on average over the corpora. It is held against the
interval of the paired difference, once an arch and once over all archs together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zoo.core.names import NO_ARCH, display, in_order
from zoo.evidence.compare import Group, Key, compare, group
from zoo.evidence.intervals import Estimate, average, by_accuracy, pool
from zoo.evidence.paper import paper
from zoo.evidence.statistics import holm, mean_if_all

__all__ = [
    "ALL_ARCHS", "NOT_MEASURED", "NOT_RESOLVED", "NOT_SUPPORTED", "STATEMENTS", "SUPPORTED", "Finding",
    "Statement", "findings", "verdict",
]  # fmt: skip

SUPPORTED, NOT_SUPPORTED = "supported", "not supported"
NOT_RESOLVED, NOT_MEASURED = "not resolved", "not measured"
ALL_ARCHS = "all"
ACCURACY, ATTACKED = "accuracy", "accuracy under FGSM"


@dataclass(frozen=True)
class Statement:
    """`recipe` is above `reference` in `measure`; `reading` says what that would mean.

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
        where = " under FGSM" if self.measure == ATTACKED else ""
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
)


@dataclass(frozen=True)
class Finding:
    """A statement on one arch, or on ALL_ARCHS; differences are fractions of 1, averages over the corpora.

    `estimate` is None where a corpus has no paired runs. `paper` is the difference in Table IV; None for a
    control, for robustness (the paper has no such numbers for these models) and for other corpora. `p_holm`
    is adjusted for all findings that are resolvable at all.
    """

    statement: Statement
    arch: str
    estimate: Estimate | None
    paper: float | None
    p_holm: float | None = None

    @property
    def verdict(self) -> str:
        """See `verdict`."""
        return verdict(self.estimate)


def verdict(estimate: Estimate | None) -> str:
    """What the interval of "recipe minus reference" says of "recipe is above reference".

    Wholly above 0: supported. Wholly below 0: not supported, it is the other way round. 0 inside: not
    resolved. From one run, whose interval does not cover another seed: not resolved.
    """
    if estimate is None:
        return NOT_MEASURED
    if estimate.runs > 1 and estimate.low > 0:
        return SUPPORTED
    return NOT_SUPPORTED if estimate.runs > 1 and estimate.high < 0 else NOT_RESOLVED


def findings(
    results: Iterable[Mapping[str, Any]],
    statements: Sequence[Statement] = STATEMENTS,
    confidence: float = 0.95,
) -> list[Finding]:
    """Each statement on each arch, then on all archs together; a statement without any runs is left out.

    Over all archs the differences are pooled (`intervals.pool`), where every arch has one.
    """
    groups = group(results)
    archs = in_order(arch for arch, _, _ in groups if arch != NO_ARCH)
    found: list[Finding] = []
    for statement in statements:
        own = [_on_arch(groups, arch, statement, confidence) for arch in archs]
        if any(finding.estimate for finding in own):
            found += own
            if len(archs) > 1:
                pooled = _over([finding.estimate for finding in own], confidence, pool)
                found.append(Finding(statement, ALL_ARCHS, pooled, mean_if_all([f.paper for f in own])))
    return _adjusted(found)


def _adjusted(found: list[Finding]) -> list[Finding]:
    several = [i for i, finding in enumerate(found) if finding.estimate and finding.estimate.runs > 1]
    p_values = [estimate.p_value for i in several if (estimate := found[i].estimate)]
    for i, p_holm in zip(several, holm(p_values), strict=True):
        found[i] = replace(found[i], p_holm=p_holm)
    return found


def _on_arch(groups: Mapping[Key, Group], arch: str, statement: Statement, confidence: float) -> Finding:
    corpora = in_order(corpus for own, corpus, _ in groups if own == arch)
    estimates, printed = list[Estimate | None](), list[float | None]()
    for corpus in corpora:
        keys = [(arch, corpus, recipe) for recipe in (statement.recipe, statement.reference)]
        if statement.measure == ATTACKED:
            estimates.append(_attacked(groups.get(keys[0]), groups.get(keys[1]), confidence))
            printed.append(None)
        else:
            pair = {key: groups[key] for key in keys if key in groups}
            comparison = compare(pair, statement.reference, confidence).get(keys[0])
            estimates.append(comparison.estimate if comparison else None)
            printed.append(_printed(*keys))
    return Finding(statement, arch, _over(estimates, confidence, average), mean_if_all(printed))


def _attacked(runs: Group | None, references: Group | None, confidence: float) -> Estimate | None:
    """From the accuracies of the paired runs that were attacked alike, on equally many texts."""
    if runs is None or references is None:
        return None
    pairs = [
        (result["attacked"], references.done[run]["attacked"])
        for run, result in runs.done.items()
        if run in references.done and result.get("attacked") and references.done[run].get("attacked")
    ]
    pairs = [(a, b) for a, b in pairs if {**a, "accuracy": 0} == {**b, "accuracy": 0}]
    if not pairs:
        return None
    n = min(a["rows"] for a, _ in pairs)
    return by_accuracy([a["accuracy"] for a, _ in pairs], [b["accuracy"] for _, b in pairs], n, confidence)


def _printed(key: Key, reference: Key) -> float | None:
    first, second = (paper().get((arch, recipe, corpus)) for arch, corpus, recipe in (key, reference))
    return (first[0] - second[0]) / 100 if first and second else None


def _over(
    estimates: Sequence[Estimate | None],
    confidence: float,
    join: Callable[[Sequence[Estimate], float], Estimate],
) -> Estimate | None:
    known = [estimate for estimate in estimates if estimate]
    return join(known, confidence) if known and len(known) == len(estimates) else None
