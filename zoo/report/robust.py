"""What examinations of robustness give a reader: tables of a study's networks, or of saved models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from zoo.core.classes import decode_scores
from zoo.core.names import display
from zoo.evidence.intervals import Estimate
from zoo.evidence.measurements import Point
from zoo.evidence.robust import (
    MEASURES,
    Place,
    improvement,
    measure,
    outcomes,
    paired,
    paired_calibration,
    paired_detection,
    places,
)
from zoo.report.believable import Groups, checks, without_skill
from zoo.report.blocks import MISSING, Block, List, Table, Text
from zoo.robustness.calibration import by_chance

__all__ = ["robust_blocks"]

Number = Callable[[Point], float | None]
Difference = Callable[[Sequence[Point], Sequence[Point]], Estimate | None]

_ATTACKS = {
    "fgsm": "FGSM, by epsilon in RMS of the word vectors",
    "pgd": "PGD, by epsilon in RMS of the word vectors",
    "fgm": "FGM, by the text's shift in norms of a word vector",
}
_NOISES = {"fgsm": "noise", "pgd": "noise", "fgm": "fgm_noise"}


def robust_blocks(groups: Groups) -> list[Block]:
    """All tables; the first group is what the others are held against."""
    groups = {name: list(own) for name, own in groups.items() if own}
    every = [point for own in groups.values() for point in own]
    reference = next(iter(groups))
    runs = len(groups[reference])
    said = (
        f"Means over {runs} {'network' if runs == 1 else 'networks'} each; in brackets the 95 % interval of "
        f"the difference to {reference}, paired by {'text' if runs == 1 else 'seed and text'}."
    )
    found: list[Block] = [Text(said)] if len(groups) > 1 else []
    return [
        *found, *without_skill(groups), *_vectors(groups, every), *checks(groups), *_edits(groups, every),
        *_shifts(groups, every), *_calibration(groups), *_detection(groups, every), *_table_iii(groups),
        *_left_out(every),
    ]  # fmt: skip


def _vectors(groups: Groups, every: Sequence[Point]) -> Iterator[Block]:
    first = every[0].values["vectors"]
    yield Text(
        f"Accuracy in % under attacks on the word vectors of {first['rows']} test texts, dropout off. Area: "
        f"the mean over the strengths from 0 on. PGD takes {first['steps']} steps. Noise is random, and as "
        "large as the largest attack."
    )
    for name, title in _ATTACKS.items():
        strengths = first["curves"][name]["strengths"]
        columns: dict[str, Place] = {
            "clean" if i == 0 else f"{strength:g}": ("vectors", name, str(i))
            for i, strength in enumerate(strengths)
        }
        columns["noise"] = ("vectors", _NOISES[name], str(len(strengths) - 1))
        yield from _accuracies(groups, columns, title, {"area": _area(name)})


def _area(attack: str) -> Number:
    return lambda p: 100 * float(p.values["vectors"]["curves"][attack]["area"])


def _edits(groups: Groups, every: Sequence[Point]) -> Iterator[Block]:
    kinds = [place[1] for place in places(every) if place[0] == "edits"]
    budget = every[0].values["edits"][kinds[0]]
    share, queries = 100 * budget["budget"]["share"], budget["budget"]["queries"]
    yield Text(
        f"Accuracy in % of {budget['rows']} test texts after a greedy search for edits, of {share:.0f} % of "
        f"the words and with {queries} queries a text at most; after as many random edits; edits and queries "
        "of the texts that were attacked, on average. Near words are near in word vectors and may mean "
        "something else."
    )
    for kind in kinds:
        columns: dict[str, Place] = {"searched": ("edits", kind), "random": ("control", kind)}
        means = {key: _searched(kind, key) for key in ("edits", "queries")}
        yield from _accuracies(groups, columns, f"Edits of {kind}", means)


def _searched(kind: str, key: str) -> Number:
    return lambda p: p.values["edits"].get(kind, {}).get(key)


def _shifts(groups: Groups, every: Sequence[Point]) -> Iterator[Block]:
    columns: dict[str, Place] = {"own test": ("test",)}
    for place in places(every):
        if place[0] in ("shifts", "original"):
            columns[f"{place[1]}{', original' if place[0] == 'original' else ''}"] = place
    if len(columns) == 1:
        return
    yield from _accuracies(groups, columns, "Accuracy on texts of another kind, %")
    notes: dict[str, None] = {}
    for point in every:
        for name, own in point.values["shifts"].items():
            for key, what in (("seen", name), ("original_seen", f"{name}, original")):
                if own.get(key):
                    notes[
                        f"{display(point.corpus)}: {own[key]} texts of {what} stand in the training part"
                    ] = None
    if notes:
        yield List(tuple(notes))


def _calibration(groups: Groups) -> Iterator[Block]:
    yield Text(
        "Calibration on the whole test part: expected error over 15 bins of equal width and of equal size, "
        "mean negative log-likelihood (nats), Brier's score; then with logits divided by T, the temperature "
        "that suits the validation part best. Lower is better. By chance: what so many texts show of a "
        "network whose confidences are all right."
    )
    keys = {"T": "temperature", "ECE": "ece", "adaptive": "adaptive_ece", "NLL": "nll", "Brier": "brier"}
    columns: dict[str, Callable[[str], Number]] = {t: partial(_calibrated, key=k) for t, k in keys.items()}
    columns["ECE by chance"] = _chance
    rows = (
        (f"{name}{at}", *(_mean(own, of(stage), 3) for of in columns.values()))
        for name, own in groups.items()
        for stage, at in {"plain": "", "scaled": ", at T"}.items()
    )
    yield Table(("Calibration", *columns), tuple(row for row in rows if set(row[1:]) != {MISSING}))
    errors = {
        title: partial(paired_calibration, stage=stage)
        for title, stage in {"ECE": "plain", "ECE at T": "scaled"}.items()
    }
    yield from _differences(groups, "Calibration", errors, 1, 3)


def _calibrated(stage: str, key: str) -> Number:
    return lambda p: p.values["calibration"].get(stage, {}).get(key)


def _chance(stage: str) -> Number:
    """None where an older examination kept no confidence of each text."""

    def of(point: Point) -> float | None:
        confidence = point.values["calibration"].get(stage, {}).get("confidence")
        return None if confidence is None else by_chance(decode_scores(confidence))

    return of


def _detection(groups: Groups, every: Sequence[Point]) -> Iterator[Block]:
    names = list(dict.fromkeys(name for point in every for name in point.values["outside"]))
    if not names:
        return
    scores = {
        f"{display(name)}, {title}": (name, score)
        for name in names
        for score, title in (("confidence", "probability"), ("energy", "energy"))
    }
    columns = {title: _auroc(*asked) for title, asked in scores.items()}
    rows = tuple(
        (name, *(_mean(own, value, 1) for value in columns.values())) for name, own in groups.items()
    )
    yield Table(
        ("AUROC, %", *columns), rows,
        "Texts of other corpora told from its own, by the largest probability and by the energy",
    )  # fmt: skip
    areas = {
        title: partial(paired_detection, corpus=name, score=score) for title, (name, score) in scores.items()
    }
    yield from _differences(groups, "AUROC, %", areas)


def _auroc(corpus: str, score: str) -> Number:
    return lambda p: _times(p.values["outside"].get(corpus, {}).get(score, {}).get("auroc"), 100)


def _table_iii(groups: Groups) -> Iterator[Block]:
    if len(groups) < 2:
        return
    reference = next(iter(groups))
    scaled = {"scaled" in point.values["calibration"] for own in groups.values() for point in own}
    at = "at the temperature of validation" + (" where there is one" if len(scaled) > 1 else "")
    if scaled == {False}:
        at = "as it is, as no validation texts were there to fit a temperature on"
    yield Text(
        "Table III. Raw: means over the sets that are here, in %; adversarial: AdvGLUE and the searches for "
        "edits; calibration error: ECE on the own test part, "
        f"{at}. Then RoAST's relative improvement over {reference}, 100 (score - base) / (best - base), "
        "and its mean over the last four. An error of 0 is out of reach: see the errors by chance."
    )
    header = ("Method", *MEASURES)
    raw = tuple(
        (name, *(MISSING if (v := measure(m, own)) is None else f"{100 * v:.1f}" for m in MEASURES))
        for name, own in groups.items()
    )
    yield Table(header, raw, "Table III, raw figures, %")
    rows = []
    for name, own in list(groups.items())[1:]:
        values = [improvement(m, own, groups[reference]) for m in MEASURES]
        known = [value for value in values[1:] if value is not None]
        cells = (
            MISSING if v is None else f"{v:+.1f}" for v in [*values, float(np.mean(known)) if known else None]
        )
        rows.append((name, *cells))
    yield Table((*header, "average"), tuple(rows), f"Table III, relative improvement over {reference}, %")


def _left_out(every: Sequence[Point]) -> Iterator[Block]:
    gone = dict.fromkeys(
        f"{display(point.corpus)}: {what}" for point in every for what in point.values["left_out"]
    )
    if gone:
        yield Text("Left out:")
        yield List(tuple(gone))


def _accuracies(
    groups: Groups,
    columns: Mapping[str, Place],
    title: str,
    more: Mapping[str, Number] | None = None,
) -> Iterator[Block]:
    """Means by group, then differences to the first with their intervals; `more` are plain means."""
    values = {name: _accuracy(place) for name, place in columns.items()} | dict(more or {})
    rows = tuple((name, *(_mean(own, value, 1) for value in values.values())) for name, own in groups.items())
    yield Table(("Model", *values), rows, title)
    reference, *names = groups
    if names:
        # An interval is wide: what there is less of stands side by side.
        across, down = (names, columns) if len(names) < len(columns) else (columns, names)
        cells = {
            name: {
                label: _interval(paired(groups[name], groups[reference], place))
                for label, place in columns.items()
            }
            for name in names
        }
        differences = tuple(
            (row, *(cells[row][column] if down is names else cells[column][row] for column in across))
            for row in down
        )
        yield Table((title, *across), differences, f"Difference to {reference}")


def _differences(
    groups: Groups, title: str, columns: Mapping[str, Difference], scale: float = 100, digits: int = 1
) -> Iterator[Block]:
    """Of each group to the first, with their intervals, as far as there are any."""
    reference, *names = groups
    rows = [
        (name, *(_interval(of(groups[name], groups[reference]), scale, digits) for of in columns.values()))
        for name in names
    ]
    if any(cell != MISSING for _, *cells in rows for cell in cells):
        yield Table((title, *columns), tuple(rows), f"Difference to {reference}")


def _accuracy(place: Place) -> Number:
    def of(point: Point) -> float | None:
        right = outcomes(point.values, place)
        return None if right is None else 100 * float(right.mean())

    return of


def _times(value: float | None, scale: float) -> float | None:
    return None if value is None else scale * value


def _mean(points: Sequence[Point], value: Number, digits: int) -> str:
    known = [v for point in points if (v := value(point)) is not None]
    return f"{np.mean(known):.{digits}f}" if known else MISSING


def _interval(estimate: Estimate | None, scale: float = 100, digits: int = 1) -> str:
    if estimate is None:
        return MISSING
    difference, low, high = (
        f"{scale * value:+.{digits}f}" for value in (estimate.difference, estimate.low, estimate.high)
    )
    return f"{difference} [{low}, {high}]"
