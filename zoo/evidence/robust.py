"""What examinations of robustness say (`zoo.robustness`): accuracies with paired intervals, and Table III.

Table III has one number a method: RoAST's average relative improvement (arXiv 2312.04032),

    Delta = 100 (score - base) / (best - base)      best = 1 for accuracies and AUROC, 0 for an error

over the measures of robustness, base = the reference's mean on the same model and corpus. Each measure is a
plain mean over its sets, as there; accuracy on the corpus's own test part has no share in the average.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.core.classes import decode_classes, decode_scores
from zoo.evidence.intervals import Estimate, average, by_example, by_run_and_example
from zoo.evidence.measurements import Point
from zoo.evidence.resampled import by_groups, largest_group
from zoo.robustness.calibration import error_of
from zoo.robustness.detection import auroc

__all__ = [
    "MEASURES", "Values", "improvement", "measure", "outcomes", "paired", "paired_calibration",
    "paired_detection", "places",
]  # fmt: skip

Values = Mapping[str, Any]
Place = tuple[str, ...]  # where an examination has answers text by text; see `outcomes`


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _is_adversarial(shift: str) -> bool:
    return shift.startswith("advglue")


def _own(values: Values) -> float | None:
    return float(values["test"]["accuracy"])


def _shifted(values: Values) -> float | None:
    return _mean([own["accuracy"] for name, own in values["shifts"].items() if not _is_adversarial(name)])


def _adversarial(values: Values) -> float | None:
    misled = [own["accuracy"] for own in values["edits"].values()]
    return _mean(misled + [own["accuracy"] for n, own in values["shifts"].items() if _is_adversarial(n)])


def _calibration(values: Values) -> float | None:
    own = values["calibration"]
    return float(own.get("scaled", own["plain"])["ece"])


def _detection(values: Values) -> float | None:
    return _mean([own["confidence"]["auroc"] for own in values["outside"].values()])


# Name in print -> (value of one network or None, the best value). The first has no share in the average.
MEASURES: dict[str, tuple[Callable[[Values], float | None], float]] = {
    "own test part": (_own, 1.0),
    "shifted": (_shifted, 1.0),
    "adversarial": (_adversarial, 1.0),
    "calibration error": (_calibration, 0.0),
    "detection (AUROC)": (_detection, 1.0),
}


def measure(name: str, points: Sequence[Point]) -> float | None:
    """The mean over networks that have it."""
    values = (MEASURES[name][0](point.values) for point in points)
    return _mean([value for value in values if value is not None])


def improvement(name: str, points: Sequence[Point], references: Sequence[Point]) -> float | None:
    """Delta of a measure in percent, the mean over models and corpora; None where it has none."""
    found, best = [], MEASURES[name][1]
    for own, base in _by_task(points, references):
        score, start = measure(name, own), measure(name, base)
        if score is not None and start is not None and start != best:
            found.append(100 * (score - start) / (best - start))
    return _mean(found)


def places(points: Sequence[Point]) -> list[Place]:
    """Every place that some network has answers at, in the order of print, but for the attacks' strengths."""
    found: dict[Place, None] = {("test",): None}
    for group in ("edits", "shifts"):
        for point in points:
            for name, own in point.values[group].items():
                found |= {(group, name): None}
                found |= {("control", name): None} if group == "edits" else {}
                found |= {("original", name): None} if "original" in own else {}
    return list(found)


def outcomes(values: Values, place: Place) -> np.ndarray | None:
    """(n,) bool, whether the answer to each text is right; None where the network has none.

    Args:
        place: ("test",), ("edits" or "control", kind), ("shifts" or "original", set), or
            ("vectors", attack, number of its strength).
    """
    kind, *rest = place
    if kind == "vectors":
        own = values["vectors"]
        curve = own["curves"].get(rest[0])
        return None if curve is None else _right(own["truth"], curve["predictions"][int(rest[1])])
    holder = values["test"] if kind == "test" else _holder(values, kind, rest[0])
    if holder is None:
        return None
    said = "control_predictions" if kind == "control" else "predictions"
    return _right(holder["truth"], holder[said])


def _holder(values: Values, kind: str, name: str) -> Values | None:
    group = {"control": "edits", "original": "shifts"}.get(kind, kind)
    found: Values | None = values[group].get(name)
    return found.get("original") if found and kind == "original" else found


def _right(truth: str, predictions: str) -> np.ndarray:
    found: np.ndarray = decode_classes(truth) == decode_classes(predictions)
    return found


def paired(points: Sequence[Point], references: Sequence[Point], place: Place) -> Estimate | None:
    """The difference in accuracy, paired by seed and text within a model and corpus, averaged over these.

    None where no network of both has such texts, or not the same ones.
    """

    def estimate(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Estimate:
        table = np.array([a.astype(int) - b for a, b in pairs])
        return by_example(table[0]) if len(table) == 1 else by_run_and_example(table[:, None, :])

    return _averaged(points, references, lambda values: outcomes(values, place), estimate)


def paired_detection(
    points: Sequence[Point], references: Sequence[Point], corpus: str, score: str
) -> Estimate | None:
    """The difference in AUROC, as `paired`; `score` tells the texts of another corpus from its own."""

    def scores(values: Values) -> np.ndarray | None:
        """(n + m, 2): of n texts of its own and m others, and which they are."""
        other = values["outside"].get(corpus)
        if other is None:
            return None
        own, others = decode_scores(values["familiar"][score]), decode_scores(other[score]["scores"])
        if min(len(own), len(others)) <= largest_group(len(own) + len(others)):
            return None  # a group that is left out may hold all of them
        inside = np.arange(len(own) + len(others)) < len(own)
        return np.stack([np.concatenate([own, others]), inside], axis=1)

    def area(rows: np.ndarray) -> float:
        inside = rows[:, 1] == 1
        return auroc(rows[inside, 0], rows[~inside, 0])

    return _averaged(points, references, scores, lambda pairs: _left_out(pairs, area))


def paired_calibration(points: Sequence[Point], references: Sequence[Point], stage: str) -> Estimate | None:
    """The difference in ECE, as `paired`; `stage`: plain, or scaled by the temperature of validation.

    None where an older examination kept no confidence of each text.
    """

    def answers(values: Values) -> np.ndarray | None:
        """(n, 2): the confidence of each answer, and whether it is right."""
        own, right = values["calibration"].get(stage, {}), outcomes(values, ("test",))
        if right is None or len(right) < 2 or "confidence" not in own:
            return None
        return np.stack([decode_scores(own["confidence"]), right], axis=1)

    def error(rows: np.ndarray) -> float:
        return error_of(rows[:, 0], rows[:, 1] == 1)

    return _averaged(points, references, answers, lambda pairs: _left_out(pairs, error))


def _left_out(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], compute: Callable[[np.ndarray], float]
) -> Estimate:
    nothing = np.zeros(len(pairs[0][0]))  # what is true stands in the rows
    whole = [(nothing, *pair) for pair in pairs]
    return by_groups(whole, len(pairs), lambda rows, _: compute(rows))


def _averaged(
    points: Sequence[Point],
    references: Sequence[Point],
    rows: Callable[[Values], np.ndarray | None],
    estimate: Callable[[Sequence[tuple[np.ndarray, np.ndarray]]], Estimate],
) -> Estimate | None:
    """The mean over models and corpora of what `estimate` finds in the pairs of one seed.

    None where no network of both has such rows, one a text, or not of the same texts.
    """
    found = []
    for own, base in _by_task(points, references):
        by_seed = {point.seed: rows(point.values) for point in base}
        both = [(rows(point.values), by_seed.get(point.seed)) for point in own]
        pairs = [(a, b) for a, b in both if a is not None and b is not None]
        if pairs and len({len(each) for pair in pairs for each in pair}) == 1:
            found.append(estimate(pairs))
    return average(found) if len(found) > 1 else found[0] if found else None


def _by_task(points: Sequence[Point], references: Sequence[Point]) -> list[tuple[list[Point], list[Point]]]:
    """Those of each model and corpus that both have."""
    tasks = dict.fromkeys((point.arch, point.corpus) for point in points)
    pairs = (
        (
            [p for p in points if (p.arch, p.corpus) == task],
            [p for p in references if (p.arch, p.corpus) == task],
        )
        for task in tasks
    )
    return [(own, base) for own, base in pairs if base]
