"""What must be read with a table: how its numbers came about, and what is partial, failed or mixed in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from zoo.core.names import AVERAGE, BASELINE, NO_ARCH, display
from zoo.evidence.compare import Comparison, Group, Key
from zoo.evidence.intervals import EXAMPLES, RUNS, RUNS_AND_EXAMPLES
from zoo.evidence.paper import paper
from zoo.evidence.statistics import smallest_sign_flip
from zoo.grid.store import canonical_json

if TYPE_CHECKING:
    from zoo.report.tables import Table

__all__ = ["footnotes"]

_INTERVALS = {
    EXAMPLES: "one run a recipe: interval over the test examples only, it says nothing about another seed",
    RUNS: "interval over runs only (paired t), as their test texts differ",
    RUNS_AND_EXAMPLES: "interval over seeds and test examples together (two-way random effects)",
}

_UNITS = {"rms": "of the word vectors' RMS", "absolute": "(absolute)"}


def footnotes(
    table: Table, groups: Mapping[Key, Group], comparisons: Mapping[Key, Comparison]
) -> tuple[str, ...]:
    """The lines under `table`, most needed first."""
    shown = {row.recipe for row in table.rows}
    groups = {key: runs for key, runs in groups.items() if key[1] in table.corpora and key[2] in shown}
    own = {key: c for key, c in comparisons.items() if key[0] == table.arch and key[1] in table.corpora}
    claims = [c for c in comparisons.values() if c.p_holm is not None]
    return (
        _accuracy(table, groups),
        *_differences(table, own, len(claims)),
        *_attacked(groups),
        *_cost(table),
        *_baseline(groups),
        *_corpora(table, groups),
        *_mixed(table, groups),
        *_failures(groups),
        *_paper(table),
    )


def _accuracy(table: Table, groups: Mapping[Key, Group]) -> str:
    counts = {len(g.done) for key, g in groups.items() if g.done and key[2] != BASELINE} or {1}
    folds = {run[1] for g in groups.values() for run in g.done if run[1] is not None}
    what = "runs (seeds and folds)" if folds else "seeds"
    if counts == {1}:
        return "Test accuracy in %. One run a recipe, so no spread."
    number = str(max(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return f"Test accuracy in %, mean ± standard deviation over {number} {what}."


def _differences(table: Table, own: Mapping[Key, Comparison], claims: int) -> Iterable[str]:
    name, level = display(table.reference), 1 - table.confidence
    if not own:
        yield f"No differences: they need {name} and another recipe, same seed and texts."
        return
    methods = "; ".join(_INTERVALS[m] for m in sorted({c.estimate.method for c in own.values()}))
    yield (
        f"Difference to {name} in points with its {table.confidence:.0%} interval, paired by seed (same "
        f"initial weights, same order of batches) and by test example; {methods}."
    )
    yield (
        f"* p < {level:.2g} after Holm's correction for all {claims} comparisons of this report; without a "
        "star the difference may be chance."
    )
    if table.has_average:
        yield "AVG is the mean of the columns; its spread and its interval take them as independent."
    runs = max(c.estimate.runs for c in own.values())
    if runs > 1:
        yield (
            f"An exact sign-flip test over {runs} runs cannot go below p = {smallest_sign_flip(runs):.2g}; "
            "its p values are in the CSV."
        )
    for (_, corpus, recipe), comparison in own.items():
        if comparison.unpaired:
            yield (
                f"{display(recipe)} on {display(corpus)}: {comparison.unpaired} of its runs count in the "
                f"mean but not in the difference, as {name} has no run of that seed on the same texts."
            )


def _attacked(groups: Mapping[Key, Group]) -> Iterable[str]:
    done = [r for key, runs in groups.items() if key[2] != BASELINE for r in runs.done.values()]
    found = [r["attacked"] for r in done if r.get("attacked")]
    if not found:
        return
    rows = sorted({a["rows"] for a in found})
    number = f"{rows[0]:,}" if len(rows) == 1 else f"{rows[0]:,} to {rows[-1]:,}"
    strengths = sorted({(a["epsilon"], a["epsilon_unit"]) for a in found})
    size = " or ".join(f"{e:g} {_UNITS.get(unit, unit)}" for e, unit in strengths)
    without = len(done) - len(found)
    yield (
        f"Under FGSM: {number} test texts drawn by seed, after one step on their word vectors from the clean "
        f"point, epsilon {size}, the same for all recipes whatever they trained with; one step only, so an "
        "upper bound on the accuracy under attack."
        + (f" {display(BASELINE)} has no word vectors, so no such row." if _has_baseline(groups) else "")
        + (f" {without} of the {len(done)} runs have no such number." if without else "")
    )
    if len(strengths) > 1:
        yield "Caution: not all runs were attacked with the same epsilon."


def _has_baseline(groups: Mapping[Key, Group]) -> bool:
    return any(recipe == BASELINE for _, _, recipe in groups)


def _cost(table: Table) -> Iterable[str]:
    if any(row.average.cost for row in table.rows):
        yield (
            "Cost: time of a training step in multiples of a step of w/o Dropout (CPU time; wall time on "
            "CUDA), geometric mean over corpora and runs."
        )


def _baseline(groups: Mapping[Key, Group]) -> Iterable[str]:
    results = [r for key, runs in groups.items() if key[2] == BASELINE for r in runs.done.values()]
    if results:
        notes = dict.fromkeys(note for r in results for note in r.get("notes", ()))
        yield f"{display(BASELINE)}: {'; '.join(['one run against all seeds', *notes])}."


def _corpora(table: Table, groups: Mapping[Key, Group]) -> Iterable[str]:
    for corpus in table.corpora:
        seen = [r["corpus"] for r in _results(groups, corpus) if isinstance(r.get("corpus"), Mapping)]
        sizes = sorted(
            {(s["train_rows"], s["test_rows"]) for s in seen if "train_rows" in s and "test_rows" in s}
        )
        notes = dict.fromkeys(note for s in seen for note in s.get("notes", ()))
        parts = [f"{train:,} training and {test:,} test texts" for train, test in sizes]
        if parts or notes:
            yield f"{display(corpus)}: {'; '.join([*parts, *notes])}."


def _mixed(table: Table, groups: Mapping[Key, Group]) -> Iterable[str]:
    mixed = []
    for corpus in table.corpora:
        results = [r for r in _results(groups, corpus) if r["cell"]["arch"] != NO_ARCH]
        if len({canonical_json(_shared(r.get("settings", {}))) for r in results}) > 1:
            mixed.append(display(corpus))
    if mixed:
        yield (
            f"{', '.join(mixed)}: caution, the cells of a column do not share all settings of text, model "
            "and training; their differences are not the recipes' alone."
        )


def _failures(groups: Mapping[Key, Group]) -> Iterable[str]:
    for (_, corpus, recipe), runs in groups.items():
        for (seed, fold), result in runs.failed.items():
            where = f"seed {seed}" + ("" if fold is None else f", fold {fold}")
            reason = str(result.get("reason") or "no reason given").rstrip(".")
            yield f"Failed: {display(recipe)} on {display(corpus)}, {where}: {reason}."


def _paper(table: Table) -> Iterable[str]:
    shown = any(score.paper is not None for row in table.rows for score in row.scores)
    if not table.with_paper:
        return
    if not shown:
        yield f"The paper has no numbers for {table.name} on these corpora."
        return
    yield (
        "In parentheses: Table IV of the paper (arXiv 2503.16550), which states neither seeds nor spread nor "
        "splits."
    )
    whole = {corpus for _, _, corpus in paper()} - {AVERAGE} == set(table.corpora)
    for row in table.rows:
        printed, note = paper().get((table.arch, row.recipe, AVERAGE), (0.0, ""))
        if note and whole:
            yield f"The paper prints {printed:.2f} as the average of {row.name}; the {note}, shown here."


def _results(groups: Mapping[Key, Group], corpus: str) -> Iterable[Mapping[str, Any]]:
    for key, runs in groups.items():
        if key[1] == corpus:
            yield from runs.done.values()


def _shared(settings: Any) -> Any:
    """Settings without what differs between the cells of one table on purpose."""
    if not isinstance(settings, Mapping):
        return settings
    return {k: _shared(v) for k, v in settings.items() if k not in ("recipe", "seed", "fold")}
