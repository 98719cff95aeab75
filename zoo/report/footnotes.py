"""What must be read with a table: how its numbers came about, and what is partial, failed or mixed in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.core.names import AVERAGE, BASELINE, display
from zoo.core.result import Result
from zoo.evidence.intervals import EXAMPLES
from zoo.evidence.paper import paper
from zoo.evidence.settings import by_name, differing, distinct
from zoo.evidence.statistics import smallest_sign_flip
from zoo.report.origin import counted, named, processors, programs
from zoo.report.panels import NO_SKILL
from zoo.report.tables import MIXED, ArchTable, unit_of_cost

__all__ = ["Note", "attack_text", "footnotes", "shared_and_own"]

_UNITS = {"rms": "of the word vectors' RMS", "absolute": "(absolute)"}
MOST_NAMED = 3  # failures or networks without skill that are named one by one


@dataclass(frozen=True)
class Note:
    """A footnote. `glance`: without it the table is misread; the others say how its numbers came about."""

    text: str
    glance: bool = False


def footnotes(table: ArchTable) -> list[Note]:
    """The notes of one table, most needed first."""
    notes = (
        *_main(table),
        *_differences(table),
        *_without_skill(table),
        *_failures(table),
        *_unpaired(table),
        *_mixed(table),
        *_together(table),
        *_paper(table),
        *_average(table),
        *_other_measures(table),
        *_cost(table),
        *_baseline(table),
        *_corpora(table),
    )
    return sorted(notes, key=lambda note: not note.glance)


def shared_and_own(tables: Sequence[ArchTable]) -> tuple[list[Note], list[list[Note]]]:
    """The notes that all tables share, once, and for each table those of its own."""
    notes = [footnotes(table) for table in tables]
    shared = [note for note in notes[0] if all(note in own for own in notes)] if len(notes) > 1 else []
    return shared, [[note for note in own if note not in shared] for own in notes]


def _main(table: ArchTable) -> Iterable[Note]:
    networks = [row for row in table.rows if row.method.recipe != BASELINE]
    runs = {score.main.n for row in networks for score in row.scores if score.main} or {1}
    folds = any(result.cell.fold is not None for result in table.cells.done())
    if runs == {1}:
        yield Note("One run a recipe, so no spread.", glance=True)
        return
    number = f"{max(runs)}" if len(runs) == 1 else f"{min(runs)} to {max(runs)}"
    what = "runs (seeds and folds)" if folds else "seeds"
    yield Note(f"Mean ± standard deviation over {number} {what}.", glance=True)


def _differences(table: ArchTable) -> Iterable[Note]:
    name, level = display(table.reference), 1 - table.confidence
    if not table.comparisons:
        yield Note(f"No differences: they need {name} and another recipe, same seed and texts.", glance=True)
        return
    estimates = [comparison.estimate for comparison in table.comparisons.values()]
    methods = sorted({estimate.method for estimate in estimates})
    seeds = max(estimate.seeds for estimate in estimates)
    if methods == [EXAMPLES]:
        yield Note(
            "Intervals over the test texts only: one run says nothing about another seed and earns no star.",
            glance=True,
        )
    else:
        yield Note(
            f"Intervals are for the paired difference, over {', or '.join(methods)}; * p < {level:.2g} after "
            f"Holm's correction for all {table.claims} comparisons of this report. Without a star the "
            "difference may be chance.",
            glance=True,
        )
        yield Note(
            f"The family of Holm's correction: every recipe against {name}, on each corpus and model with "
            "several seeds. Averages and the reference row stand outside it and have no star."
        )
    yield Note(
        "Differences are paired by seed (same initial weights, same order of batches) and by test example; "
        "how the intervals are made: zoo/evidence/intervals.py; how often they cover: "
        "python -m zoo.report.coverage."
    )
    if seeds > 1 and any(comparison.p_sign_flip is not None for comparison in table.comparisons.values()):
        yield Note(
            f"An exact sign-flip test over {seeds} runs cannot go below p = {smallest_sign_flip(seeds):.2g}; "
            "its p values are in the CSV."
        )


def _without_skill(table: ArchTable) -> Iterable[Note]:
    found: Counter[str] = Counter()
    for key, runs in table.cells.groups.items():
        for result in runs.done.values() if key.method.recipe != BASELINE else ():
            if what := result.without_skill:
                found[f"{key.method.name} on {display(key.corpus)} {what}"] += 1
    if found:
        named = [f"{what} ({n} run{'s' if n > 1 else ''})" for what, n in found.most_common(MOST_NAMED)]
        more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        yield Note(
            f"{NO_SKILL} Little more than naming the largest classes: {'; '.join(named)}{more}.",
            glance=True,
        )


def _failures(table: ArchTable) -> Iterable[Note]:
    failed = [
        (key, run, result) for key, runs in table.cells.groups.items() for run, result in runs.failed.items()
    ]
    for i, (key, run, result) in enumerate(failed):
        where = f"seed {run.seed}" + ("" if run.fold is None else f", fold {run.fold}")
        reason = (result.reason or "no reason given").rstrip(".")
        text = f"Failed: {key.method.name} on {display(key.corpus)}, {where}: {reason}."
        yield Note(text, glance=i < MOST_NAMED)
    if len(failed) > MOST_NAMED:
        yield Note(f"Failed: {len(failed)} runs in all.", glance=True)


def _unpaired(table: ArchTable) -> Iterable[Note]:
    elsewhere = sum(comparison.elsewhere for comparison in table.comparisons.values())
    if elsewhere:
        yield Note(
            f"{elsewhere} run{'s' if elsewhere > 1 else ''} not compared: {display(table.reference)} ran on "
            "another kind of processor, and training differs between kinds.",
            glance=True,
        )
    lost = {key: c.unpaired - c.elsewhere for key, c in table.comparisons.items() if c.unpaired > c.elsewhere}
    if lost:
        names = dict.fromkeys(f"{key.method.name} on {display(key.corpus)} ({n})" for key, n in lost.items())
        yield Note(
            f"{sum(lost.values())} runs count in a mean but in no difference, as {display(table.reference)} "
            f"has no run of that seed and fold on the same texts: {', '.join(names)}.",
            glance=True,
        )


def _mixed(table: ArchTable) -> Iterable[Note]:
    networks = list(table.cells.done(networks=True))
    mixed = [display(corpus) for corpus in table.corpora if differing(_common(networks, corpus))]
    if mixed:
        yield Note(
            f"Caution, {', '.join(mixed)}: not all cells of a column share the settings of text, model and "
            "training; their differences are not the recipes' alone.",
            glance=True,
        )
    if len(kinds := processors(networks)) > 1:
        yield Note(f"Made on several kinds of processor: {counted(kinds)}.", glance=True)
    if len(made := programs(table.cells.done())) > 1:
        yield Note(f"Made by several versions of this program: {named(made)}.", glance=True)


def _together(table: ArchTable) -> Iterable[Note]:
    """What a model that is trained on several corpora at once was trained on."""
    named = (by_name(r.settings, "model").get("tasks") for r in table.cells.done(networks=True))
    for tasks in dict.fromkeys(tuple(own) for own in named if own):
        yield Note(
            f"{', '.join(map(display, tasks))}: trained together, one training a method and seed, of which "
            "each has the weights that its own validation part selects. So columns are not independent, as "
            "the interval of an average takes them to be.",
            glance=True,
        )


def _common(results: Iterable[Result], corpus: str) -> list[dict[str, object]]:
    own = distinct(result.settings for result in results if result.cell.corpus == corpus)
    return [by_name(settings, "text", "model", "train") for settings in own]


def _paper(table: ArchTable) -> Iterable[Note]:
    shown = any(score.paper is not None for row in table.rows for score in row.scores)
    if not table.with_paper:
        return
    if not shown:
        yield Note(f"The paper has no numbers for {table.name} on these corpora.", glance=True)
        return
    yield Note(
        "In parentheses: Table IV of the paper (arXiv 2503.16550), which states neither seeds nor spread nor "
        "splits.",
        glance=True,
    )
    whole = {corpus for _, _, corpus in paper()} - {AVERAGE} == set(table.corpora)
    for row in table.rows:
        printed, note = paper().get((table.arch, row.method.recipe, AVERAGE), (0.0, ""))
        if note and whole:
            yield Note(
                f"The paper prints {printed:.2f} as the average of {row.method.name}; the {note}, shown here."
            )


def _average(table: ArchTable) -> Iterable[Note]:
    if len(table.corpora) > 1:
        yield Note(
            f"{AVERAGE} is the mean of the columns, each counting the same; its spread and its interval take "
            "them as independent."
        )


def _other_measures(table: ArchTable) -> Iterable[Note]:
    done = list(table.cells.done(networks=True))
    for measure in table.measures:
        without = sum(measure.name not in result.measures for result in done)
        # A mean of several measures is none that a run has.
        some = without and measure.name != MIXED
        lacking = f"{without} of the {len(done)} runs have no such number." if some else ""
        attacked = [result.attacked for result in done if result.attacked]
        how = _attack(attacked) if measure.on == "attacked" else ""
        if text := " ".join(filter(None, (how, measure.text, lacking))):
            yield Note(f"{measure.title}: {text}")
    strengths = {(a.get("epsilon"), a.get("epsilon_unit")) for r in done if (a := r.attacked)}
    if len(strengths) > 1:
        yield Note("Caution: not all runs were attacked with the same epsilon.", glance=True)


def _attack(found: Sequence[Mapping[str, Any]]) -> str:
    return (
        f"{attack_text(found)}, the same for all recipes whatever they trained with. "
        f"{display(BASELINE)} has no word vectors, so no such row."
    )


def attack_text(found: Sequence[Mapping[str, Any]]) -> str:
    """How many texts these attacks were on, and how strong they were."""
    rows = sorted({a["rows"] for a in found})
    number = f"{rows[0]:,}" if len(rows) == 1 else f"{rows[0]:,} to {rows[-1]:,}"
    strengths = sorted({(a["epsilon"], a["epsilon_unit"]) for a in found})
    size = " or ".join(f"{epsilon:g} {_UNITS.get(unit, unit)}" for epsilon, unit in strengths)
    return f"on {number} test texts, the same in all runs; epsilon {size}"


def _cost(table: ArchTable) -> Iterable[Note]:
    if any(row.average.cost for row in table.rows):
        yield Note(
            f"Cost: time of a training step in multiples of a step of {unit_of_cost(table).name} (CPU time; "
            "wall time on CUDA), geometric mean over corpora and runs."
        )


def _baseline(table: ArchTable) -> Iterable[Note]:
    results = [r for r in table.cells.done() if r.cell.recipe == BASELINE]
    if results:
        notes = dict.fromkeys(note for r in results for note in r.notes)
        yield Note(f"{display(BASELINE)}: {'; '.join(['one run against all seeds', *notes])}.")


def _corpora(table: ArchTable) -> Iterable[Note]:
    for corpus in table.corpora:
        seen = [r.corpus for r in table.cells.done() if r.corpus and r.cell.corpus == corpus]
        sizes = sorted({(s.train_rows, s.test_rows) for s in seen})
        notes = dict.fromkeys(note for s in seen for note in s.notes)
        parts = [f"{train:,} training and {test:,} test texts" for train, test in sizes]
        if parts:
            yield Note(f"{display(corpus)}: {'; '.join([*parts, *notes])}.")
