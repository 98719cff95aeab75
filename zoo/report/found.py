"""What Table IV says here, in sentences: each by a rule from the numbers, none typed.

All but the last are about the even part of the grid (`Planned.even`): the models named, every one under the
same seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from zoo.core.names import BASELINE, NO_ARCH, display
from zoo.evidence.cells import Cells, Key, Method
from zoo.evidence.claims import Pair
from zoo.evidence.compare import REFERENCE, compare_groups
from zoo.evidence.intervals import Estimate
from zoo.evidence.judged import CANNOT_TELL, Judged
from zoo.evidence.judged import LEVEL as CERTAIN
from zoo.evidence.planned import Planned
from zoo.evidence.settings import ATTACKED_BY, attack_of
from zoo.evidence.statements import (
    ACCURACY,
    ATTACKED,
    NOT_MEASURED,
    NOT_RESOLVED,
    NOT_SUPPORTED,
    STATEMENTS,
    SUPPORTED,
    Finding,
    Statement,
    verdict,
)
from zoo.evidence.statistics import mean_if_all
from zoo.report.over_models import cost_over_models, over_all, rows_of, to_reference
from zoo.report.panels import cost_text, difference_text
from zoo.report.planned import listed, models_and_seeds
from zoo.report.tables import PLAIN, ArchTable, build_tables

__all__ = ["LEVEL", "found", "in_a_breath", "in_short", "incomplete"]

LEVEL = 0.02  # nearer to the paper's accuracy than this is level with it
_VERDICTS = {SUPPORTED: "above it", NOT_SUPPORTED: "below it", NOT_RESOLVED: "not told apart from it"}
_PARTIAL, _ROWS = "partial: ", " training rows"  # around the numbers, in the notes of a corpus
_ONE_SEED = "From one seed an interval covers other texts and not another seed, so nothing is resolved."


def found(planned: Planned) -> list[str]:
    """About ten sentences; none where no block of the grid is whole."""
    if not planned.even()[0]:
        return []
    cells = planned.even_cells()
    tables = build_tables(cells, paper=True)
    lines = [basis(planned), *incomplete(cells), *levels(tables), *_compared(cells), *costs(tables)]
    return [*lines, *unresolved(cells), *beside(planned)]


def in_short(planned: Planned) -> list[str]:
    """Those of `found` that a front page needs; it has the costs in its table."""
    if not planned.even()[0]:
        return []
    cells = planned.even_cells()
    tables = build_tables(cells, paper=True)
    lines = [basis(planned), *levels(tables)[:1], *_compared(cells), *unresolved(cells)]
    return [*lines, *beside(planned)]


def in_a_breath(planned: Planned, claims: Sequence[Judged] = ()) -> list[str]:
    """Robust or not, accurate or not, against plain adversarial training and the row that is no network.

    Args:
        claims: verdicts on the paper's, of the same results; they are stricter than the intervals.
    """
    if not planned.even()[0]:
        return []
    cells = planned.even_cells()
    tables = build_tables(cells, paper=True)
    lines = []
    for start, measure in (
        ("Under an attack on the word vectors (FGSM), in points of test accuracy,", ATTACKED),
        ("Without an attack,", ACCURACY),
    ):
        own = [Statement(recipe, REFERENCE, "", measure) for recipe in _SHORT]
        said = [
            f"{_SHORT[finding.statement.recipe]} is {_to_reference(finding.verdict)}"
            f" ({difference_text(finding.estimate, None, 0.05)}"
            + ("" if finding.paper is None else f"; the paper: {100 * finding.paper:+.2f}")
            + ")"
            for finding in over_all(cells, own)
            if finding.estimate
        ]
        lines += [f"{start} {', and '.join(said)}."] if said else []
    lines += [*_against_attack_alone(cells), *_strictly(claims)]
    top = max(tables[0].rows, key=lambda row: mean_if_all(_averages(tables, row.method)) or 0.0)
    cost = cost_over_models(tables, Method("uegr"))
    costs = f", and a step of UEGR costs {cost_text(cost)} that of a plain one" if cost else ""
    return [*lines, f"The highest average below is that of {top.method.name}{costs}."]


_SHORT = {"uegr": "UEGR", "at": "plain adversarial training (AT)"}
_WHERE = {ATTACKED: "under the attack", ACCURACY: "without it"}


def _against_attack_alone(cells: Cells) -> list[str]:
    """UEGR against plain adversarial training."""
    own = over_all(cells, [Statement("uegr", "at", "", measure) for measure in _WHERE])
    said: dict[str, list[str]] = {}
    for finding in own:
        if finding.estimate:
            number = difference_text(finding.estimate, None, 0.05)
            said.setdefault(finding.verdict, []).append(f"{_WHERE[finding.statement.measure]} ({number})")
    parts = (f"{_VERDICTS[kind].removesuffix('it')}AT {listed(own)}" for kind, own in said.items())
    return [f"UEGR is {', and '.join(parts)}."] if said else []


def _strictly(claims: Sequence[Judged]) -> list[str]:
    """Which of these differences are told where all claims are held together."""
    tested = [own for own in claims if own.p_holm is not None]
    said: dict[str, list[str]] = {kind: [] for kind in (SUPPORTED, NOT_SUPPORTED, CANNOT_TELL)}
    for own in tested:
        match own.claim.evidence:
            case Pair(recipe, reference, measure, False) if recipe in _SHORT and reference == REFERENCE:
                what = f"{display(recipe)} above {display(REFERENCE)} {_WHERE[measure]}"
                open_by_others = own.against and (own.p_holm or 0.0) < CERTAIN
                but = ", but other results contradict it" if open_by_others else ""
                said[own.verdict].append(f"{what} (p = {own.p_holm:.2g}{but})")
    if not any(said.values()):
        return []
    over = f"Holm's correction over the {len(tested)} tested (`python -m zoo.report results`)"
    parts = "; ".join(f"{kind}: {listed(own)}" for kind, own in said.items() if own)
    return [f"Each interval stands by itself. The verdict on a claim is stricter, by {over}: {parts}."]


def _to_reference(kind: str) -> str:
    """`above Dropout`."""
    return _VERDICTS[kind].removesuffix("it") + display(REFERENCE)


def _averages(tables: Sequence[ArchTable], method: Method) -> list[float | None]:
    scores = (row.average.main for row in rows_of(tables, method))
    return [score.mean if score else None for score in scores]


def _compared(cells: Cells) -> list[str]:
    return [
        *against_reference_row(cells),
        *differences(cells, ACCURACY, "In test accuracy"),
        *differences(cells, ATTACKED, f"Under FGSM{_trained(cells)}, in test accuracy"),
    ]


def _trained(cells: Cells) -> str:
    """Whether the attack of the table is the one that its methods train with."""
    done = list(cells.done(networks=True))
    trained = {own for result in done if (own := attack_of(result.settings))}
    attacks = (result.attacked for result in done if result.attacked)
    measured = {tuple(attack[name] for name in ATTACKED_BY) for attack in attacks}
    if trained and trained == measured:
        return ", the attack that they train with"
    return ", which none of them trains with" if trained and not trained & measured else ""


def basis(planned: Planned) -> str:
    """Which runs all of it is from."""
    archs, seeds = planned.even()
    networks = len(archs) * len(seeds) * planned.blocks[0].planned
    return (
        f"From {models_and_seeds(archs, seeds)}, every recipe on every corpus ({networks} networks); "
        "differences in points with their 95% interval, in parentheses the paper's."
        + (f" {_ONE_SEED}" if len(seeds) == 1 else "")
    )


def incomplete(cells: Cells) -> list[str]:
    """The corpora of which a part of the training rows is there: theirs is not the paper's experiment."""
    parts: dict[str, str] = {}
    for result in cells.done(networks=True):
        for note in result.corpus.notes if result.corpus else ():
            if note.startswith(_PARTIAL) and note.endswith(_ROWS):
                parts[display(result.cell.corpus)] = note.removeprefix(_PARTIAL).removesuffix(_ROWS)
    own = listed(f"{rows} of {name}" for name, rows in parts.items()) if parts else ""
    return [f"Trained on a part of what the paper has, all that we have: {own}."] if parts else []


def levels(tables: Sequence[ArchTable]) -> list[str]:
    """The plain networks against the paper's: how many are level, and each place that is not."""
    places = []
    for table in tables:
        for row in table.rows:
            for corpus, score in zip(table.corpora, row.scores, strict=True):
                if row.method == PLAIN and score.main and score.paper is not None:
                    places.append((table.name, display(corpus), score.main.mean - score.paper))
    if not places:
        return []
    level = sum(abs(less) <= LEVEL for *_, less in places)
    start = (
        f"{PLAIN.name} is within {100 * LEVEL:g} points of the paper's accuracy in {level} of {len(places)} "
    )
    lines = [
        f"{start}places (model and corpus), above in {_count(places, 1)}, below in {_count(places, -1)}."
    ]
    for name in dict.fromkeys(name for name, *_ in places):
        own = ", ".join(
            f"{corpus} {100 * less:+.1f} ({_side(less)})" for model, corpus, less in places if model == name
        )
        lines.append(f"{name} without dropout against the paper's, points: {own}.")
    return lines


def _count(places: Iterable[tuple[str, str, float]], sign: int) -> int:
    return sum(sign * less > LEVEL for *_, less in places)


def _side(less: float) -> str:
    return "level" if abs(less) <= LEVEL else "above" if less > 0 else "below"


def against_reference_row(cells: Cells) -> list[str]:
    """The network with the highest mean on each corpus against the row that is no network."""
    said: dict[str, list[str]] = {}
    number, seeds = 0, 1
    for corpus in cells.corpora():
        reference = cells.get(NO_ARCH, corpus, Method(BASELINE))
        keys = [key for key in cells.groups if key.corpus == corpus and key.arch != NO_ARCH]
        if not reference.done or not keys:
            continue
        number = max(number, len(keys))
        best = max(keys, key=lambda key: _mean(cells, key))
        # The reference row has one run, which stands against every run of the network.
        comparison = compare_groups(reference, cells.groups[best])
        if comparison:
            own = _reversed(comparison.estimate)
            seeds = max(seeds, own.seeds)
            text = f"{display(corpus)} ({best.method.name} with {display(best.arch)}, "
            said.setdefault(verdict(own), []).append(f"{text}{difference_text(own, None, 0.05)})")
    if not said:
        return []
    start = f"The best network of each corpus against {display(BASELINE)}"
    picked = f"It was picked out of {number} by the test texts themselves, so its score is too high."
    if seeds == 1:
        return [f"{start}: {listed(said[NOT_RESOLVED])}. {picked}"]
    parts = (f"{_VERDICTS[kind]} on {listed(said[kind])}" for kind in _VERDICTS if kind in said)
    return [f"{start} is {'; '.join(parts)}. {picked}"]


def _mean(cells: Cells, key: Key) -> float:
    runs = cells.groups[key].done.values()
    return sum(result.measures[ACCURACY] for result in runs) / len(runs)


def _reversed(estimate: Estimate) -> Estimate:
    return replace(estimate, difference=-estimate.difference, low=-estimate.high, high=-estimate.low)


def differences(cells: Cells, measure: str, start: str) -> list[str]:
    """Every recipe against the reference over all models together, sorted by what the interval says."""
    known = [finding for finding in to_reference(cells, measure) if finding.estimate]
    if not known:
        return []
    if all(finding.estimate.seeds == 1 for finding in known if finding.estimate):
        return [f"{start} against {display(REFERENCE)}: {_numbers(known)}."]
    said = []
    for kind in _VERDICTS:
        of_kind = [finding for finding in known if finding.verdict == kind]
        if of_kind:
            said.append(f"{start} {_to_reference(kind)}: {_numbers(of_kind)}.")
    return said


def _numbers(own: Iterable[Finding]) -> str:
    return ", ".join(
        f"{display(finding.statement.recipe)} {difference_text(finding.estimate, None, 0.05)}"
        + ("" if finding.paper is None else f" ({100 * finding.paper:+.2f})")
        for finding in own
        if finding.estimate
    )


def costs(tables: Sequence[ArchTable]) -> list[str]:
    """What a training step of each method costs."""
    known = [(row.method, cost_over_models(tables, row.method)) for row in tables[0].rows]
    own = [f"{method.name} {cost_text(cost)}" for method, cost in known if cost and method != PLAIN]
    return [f"A training step costs, against one of {PLAIN.name}: {', '.join(own)}."] if own else []


def unresolved(cells: Cells) -> list[str]:
    """The statements of the paper that these runs say nothing about, over all models together."""
    own = over_all(cells, [statement for statement in STATEMENTS if not statement.control])
    open_ones = [finding.statement.text for finding in own if finding.verdict in (NOT_RESOLVED, NOT_MEASURED)]
    if not own:
        return []
    if all(finding.estimate and finding.estimate.seeds == 1 for finding in own):
        return [f"Not resolved over all these models: all {len(own)} statements, as one seed resolves none."]
    if not open_ones:
        return [f"All {len(own)} statements of the paper are resolved over all these models."]
    number = f"{len(open_ones)} of {len(own)} statements"
    return [f"Not resolved over all these models: {number} ({'; '.join(open_ones)})."]


def beside(planned: Planned) -> list[str]:
    """The models that have whole seeds and are not in the even part, each by itself."""
    whole, lines = planned.whole(), []
    for arch in planned.archs:
        seeds = planned.whole_seeds(arch)
        if not seeds or arch in planned.even()[0]:
            continue
        start = f"Beside these, {models_and_seeds([arch], seeds)}. In test accuracy"
        lines += differences(whole.on(arch), ACCURACY, start)
        if len(seeds) == 1:
            lines[-1] += f" {_ONE_SEED}"
    return lines
