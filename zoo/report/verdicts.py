"""Findings in Markdown: the verdicts at a glance, then the numbers that they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from zoo.core.names import AVERAGE, BASELINE, display, in_order
from zoo.evidence.statements import ALL_ARCHS, ATTACKED, Finding
from zoo.report.render import MISSING, difference_text, markdown_table
from zoo.report.tables import Row, Table

__all__ = ["highest_text", "verdicts_text"]

_ATTACKED = """\
The paper shows robustness for pre-trained models only, so no number of its own stands beside these. Of the
attacked texts only the accuracy was kept, not which ones were right: the intervals are rather too wide."""
_CONTROLS = "Comparisons of ours: UEGR against itself with one part taken out or replaced by a blind one."


def verdicts_text(found: Sequence[Finding], level: float = 0.05) -> str:
    """Count, matrix and numbers of the findings, apart for accuracy, robustness and controls."""
    if not found:
        return "No statement can be tested on these results: they need pairs of recipes on the same seeds."
    number = Counter(finding.verdict for finding in found)
    parts = [f"Of {len(found)} verdicts: " + ", ".join(f"{n} {v}" for v, n in number.most_common()) + "."]
    kinds = {
        "Accuracy": ("", [f for f in found if not f.statement.control and f.statement.measure != ATTACKED]),
        "Robustness": (_ATTACKED, [f for f in found if f.statement.measure == ATTACKED]),
        "Controls": (_CONTROLS, [f for f in found if f.statement.control]),
    }
    for title, (note, own) in kinds.items():
        if own:
            parts += [f"**{title}**", *([note] if note else [])]
            parts.append(_matrix(own, lambda finding: finding.verdict, reading=True))
            parts.append(_matrix(own, lambda finding: _numbers(finding, level)))
    return "\n\n".join(parts)


def highest_text(tables: Sequence[Table]) -> str:
    """Which recipe has the highest mean over the corpora, here and in the paper, and the reference row."""
    rows = []
    for table in tables:
        means = {row: row.average.accuracy.mean for row in table.rows if row.average.accuracy}
        networks = {row: mean for row, mean in means.items() if row.recipe != BASELINE}
        printed = {row: row.average.paper for row in table.rows if row.average.paper is not None}
        reference = {row: mean for row, mean in means.items() if row.recipe == BASELINE}
        rows.append((table.name, *map(_top, (networks, reference, printed))))
    header = ("Model", f"Highest mean accuracy ({AVERAGE})", "Reference row", "Highest in the paper")
    title = "**Highest means**\n\nA mean alone, without its interval, is no verdict."
    return f"{title}\n\n{markdown_table(header, rows)}"


def _top(means: dict[Row, float]) -> str:
    if not means:
        return MISSING
    row = max(means, key=lambda row: means[row])
    return f"{row.name} {100 * means[row]:.2f}"


def _matrix(found: Sequence[Finding], text: Callable[[Finding], str], reading: bool = False) -> str:
    """Statements by models."""
    archs = _archs(found)
    places = {(finding.statement, finding.arch): text(finding) for finding in found}
    rows = [
        (
            statement.text + (f": {statement.reading}" if reading else ""),
            *(places[statement, arch] for arch in archs),
        )
        for statement in dict.fromkeys(finding.statement for finding in found)
    ]
    return markdown_table(("Statement", *map(_model, archs)), rows, numbers=0)


def _numbers(finding: Finding, level: float) -> str:
    estimate, paper = finding.estimate, finding.paper
    text = difference_text(estimate, finding.p_holm, level) if estimate else MISSING
    if estimate and estimate.runs == 1:
        text += " one run"
    if paper is None:
        return text
    where = "" if not estimate else ", inside" if estimate.low <= paper <= estimate.high else ", outside"
    return f"{text} ({100 * paper:+.2f}{where})"


def _archs(found: Sequence[Finding]) -> list[str]:
    archs = {finding.arch for finding in found}
    return [*in_order(archs - {ALL_ARCHS}), *([ALL_ARCHS] if ALL_ARCHS in archs else [])]


def _model(arch: str) -> str:
    return "all models" if arch == ALL_ARCHS else display(arch)
