"""Findings as blocks: the verdicts at a glance, then the numbers that they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from zoo.core import measures
from zoo.core.names import AVERAGE, BASELINE, display, in_order
from zoo.evidence.cells import Method
from zoo.evidence.intervals import ACCURACIES
from zoo.evidence.statements import ALL_ARCHS, ATTACKED, Finding
from zoo.report.blocks import MISSING, Block, Heading, Table, Text
from zoo.report.panels import difference_text
from zoo.report.tables import ArchTable

__all__ = ["highest", "verdicts"]

_ATTACKED = (
    "The paper shows robustness for pre-trained models only, so no number of its own stands beside these."
)
_ROUGH = (
    "Of the attacked texts only the accuracy was kept, not which ones were right: the intervals are rather "
    "too wide."
)
_CONTROLS = "Comparisons of ours: UEGR against itself with one part taken out or replaced by a blind one."
_NONE = "No statement can be tested on these results: they need pairs of recipes on the same seeds."


def verdicts(found: Sequence[Finding], level: float = 0.05, heading: int = 3) -> list[Block]:
    """Count, matrix and numbers of the findings, apart for accuracy, robustness and controls."""
    if not found:
        return [Text(_NONE)]
    number = Counter(finding.verdict for finding in found)
    counts = ", ".join(f"{n} {v}" for v, n in number.most_common())
    attacked = [f for f in found if f.statement.measure == ATTACKED]
    rough = any(f.estimate and ACCURACIES in f.estimate.method for f in attacked)
    kinds = {
        "Accuracy": ("", [f for f in found if not f.statement.control and f.statement.measure != ATTACKED]),
        "Robustness": (f"{_ATTACKED} {_ROUGH}" if rough else _ATTACKED, attacked),
        "Controls": (_CONTROLS, [f for f in found if f.statement.control]),
    }
    family = sum(finding.p_holm is not None for finding in found)
    start = f"Of {len(found)} verdicts: {counts}. The family of Holm's correction: {family} differences."
    blocks: list[Block] = [Text(start)]
    for title, (note, own) in kinds.items():
        if own:
            blocks += [Heading(title, heading), *([Text(note)] if note else [])]
            blocks.append(_matrix(own, lambda finding: finding.verdict, reading=True))
            blocks.append(_matrix(own, lambda finding: _numbers(finding, level)))
    return blocks


def highest(tables: Sequence[ArchTable], heading: int = 3) -> list[Block]:
    """Which recipe has the highest mean over the corpora, here and in the paper, and the reference row."""
    rows = []
    for table in tables:
        means = {row.method: row.average.main.mean for row in table.rows if row.average.main}
        networks = {method: mean for method, mean in means.items() if method.recipe != BASELINE}
        baseline = {method: mean for method, mean in means.items() if method.recipe == BASELINE}
        printed = {row.method: row.average.paper for row in table.rows if row.average.paper is not None}
        rows.append((table.name, *map(_top, (networks, baseline, printed))))
    header = (
        "Model",
        f"Highest mean, {measures.MEASURES[0].title} ({AVERAGE})",
        "Reference row",
        "Highest in the paper",
    )
    return [
        Heading("Highest means", heading),
        Text("A mean alone, without its interval, is no verdict."),
        Table(header, tuple(rows)),
    ]


def _top(means: dict[Method, float]) -> str:
    if not means:
        return MISSING
    method = max(means, key=lambda method: means[method])
    return f"{method.name} {measures.MEASURES[0].scale * means[method]:.2f}"


def _matrix(found: Sequence[Finding], text: Callable[[Finding], str], reading: bool = False) -> Table:
    """Statements by models."""
    archs = {finding.arch for finding in found}
    order = [*in_order(archs - {ALL_ARCHS}), *([ALL_ARCHS] if ALL_ARCHS in archs else [])]
    places = {(finding.statement, finding.arch): text(finding) for finding in found}
    rows = tuple(
        (
            statement.text + (f": {statement.reading}" if reading else ""),
            *(places[statement, arch] for arch in order),
        )
        for statement in dict.fromkeys(finding.statement for finding in found)
    )
    together = {finding.over for finding in found if finding.over}
    every = together == {tuple(in_order(archs - {ALL_ARCHS}))}
    joint = "all models" if every else " + ".join(map(display, in_order(set().union(*together))))
    names = (joint if arch == ALL_ARCHS else display(arch) for arch in order)
    return Table(("Statement", *names), rows, numbers=0)


def _numbers(finding: Finding, level: float) -> str:
    estimate, paper = finding.estimate, finding.paper
    text = difference_text(estimate, finding.p_holm, level) if estimate else MISSING
    if estimate and estimate.seeds == 1:
        text += " one run" if estimate.runs == 1 else " one seed"
    if paper is None:
        return text
    where = "" if not estimate else ", inside" if estimate.low <= paper <= estimate.high else ", outside"
    return f"{text} ({100 * paper:+.2f}{where})"
