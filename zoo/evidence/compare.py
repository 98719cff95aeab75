"""From results to paired differences: which runs belong together, and how far apart they are."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zoo.core.errors import UserError
from zoo.core.names import BASELINE, NO_ARCH
from zoo.evidence.intervals import Estimate, by_example, by_run, by_run_and_example
from zoo.evidence.statistics import holm, probability_of_improvement, sign_flip
from zoo.grid.store import decode_classes

__all__ = ["Comparison", "Group", "Key", "compare", "cost", "group"]

Result = Mapping[str, Any]
Key = tuple[str, str, str]  # arch, corpus, recipe
Run = tuple[int, int | None]  # seed, fold


@dataclass(frozen=True)
class Group:
    """All runs of one (arch, corpus, recipe)."""

    done: dict[Run, Result]
    failed: dict[Run, Result]


@dataclass(frozen=True)
class Comparison:
    """A recipe against the reference on one (arch, corpus); unit: fractions of 1.

    `differences` are those of the paired runs; `unpaired` counts the recipe's runs without a partner.
    `p_holm` is `estimate.p_value` adjusted for all comparisons of the report (None for the baseline row,
    which is no claim of the paper). `improvement` is the probability that a run of the recipe beats one of
    the reference.
    """

    estimate: Estimate
    differences: tuple[float, ...]
    unpaired: int
    p_sign_flip: float
    improvement: float
    p_holm: float | None = None


def group(results: Iterable[Result]) -> dict[Key, Group]:
    """Results by (arch, corpus, recipe), and in each by (seed, fold).

    Raises:
        UserError: two results are the same cell but for their settings or text, so that a mean over the
            folder would mix two experiments.
    """
    groups: dict[Key, Group] = {}
    seen: dict[tuple[Key, Run], str] = {}
    for result in results:
        cell = result["cell"]
        key: Key = (cell["arch"], cell["corpus"], cell["recipe"])
        run: Run = (cell["seed"], cell.get("fold"))
        if (key, run) in seen:
            raise UserError(
                f"two results for {'/'.join(key)} seed {run[0]} with different settings or text: "
                f"{seen[key, run]} and {result['id']}; expected one: "
                "keep each experiment in a results folder of its own, or delete one of the two files"
            )
        seen[key, run] = result["id"]
        runs = groups.setdefault(key, Group({}, {}))
        part = runs.done if result["status"] == "done" else runs.failed
        part[run] = result
    return groups


def compare(
    groups: Mapping[Key, Group], reference: str = "dropout", confidence: float = 0.95
) -> dict[Key, Comparison]:
    """Every recipe against `reference`, paired by (corpus, arch, seed, fold) and by test example.

    Runs without a partner, or whose partner was tested on other texts, are left out and counted (`unpaired`).
    A baseline without arch is paired with every arch, and its one run with every seed.
    """
    archs = {arch for arch, _, _ in groups}
    comparisons: dict[Key, Comparison] = {}
    for (arch, corpus, recipe), runs in groups.items():
        for other in archs - {NO_ARCH} if arch == NO_ARCH else {arch}:
            against = groups.get((other, corpus, reference))
            if against is not None and recipe != reference:
                comparison = _compare(runs.done, against.done, confidence)
                if comparison is not None:
                    comparisons[other, corpus, recipe] = comparison
    claims = [key for key in comparisons if key[2] != BASELINE]
    adjusted = holm([comparisons[key].estimate.p_value for key in claims])
    for key, p_holm in zip(claims, adjusted, strict=True):
        comparisons[key] = replace(comparisons[key], p_holm=p_holm)
    return comparisons


def cost(runs: Group, plain: Group | None) -> float | None:
    """Time of a training step in multiples of the plain recipe's: geometric mean over the runs of both.

    CPU time where both have it, as other work on the machine does not enter it; else the wall time. None
    where no run has a partner on the same device with as many threads.
    """
    ratios = [
        ratio
        for run, result in runs.done.items()
        if plain is not None and run in plain.done and (ratio := _step_ratio(result, plain.done[run]))
    ]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


def _step_ratio(result: Result, plain: Result) -> float | None:
    if any(result.get(key) != plain.get(key) for key in ("device", "threads")):
        return None
    for key in ("step_cpu_seconds", "step_seconds"):
        if result.get(key) and plain.get(key):
            return float(result[key]) / float(plain[key])
    return None


def _compare(
    done: Mapping[Run, Result], against: Mapping[Run, Result], confidence: float
) -> Comparison | None:
    pairs: list[np.ndarray] = []
    truths: list[np.ndarray] = []
    for run, reference in against.items():
        result = done.get(run) or _only_run_of_baseline(done, run)
        if result is None:
            continue
        truth, right = _correct(result)
        reference_truth, reference_right = _correct(reference)
        if np.array_equal(truth, reference_truth):
            pairs.append(right.astype(np.int8) - reference_right.astype(np.int8))
            truths.append(truth)
    if not pairs:
        return None
    differences = tuple(float(pair.mean()) for pair in pairs)
    return Comparison(
        _estimate(pairs, truths, confidence),
        differences,
        max(len(done) - len(pairs), 0),
        sign_flip(differences),
        probability_of_improvement(_accuracies(done), _accuracies(against)),
    )


def _only_run_of_baseline(done: Mapping[Run, Result], run: Run) -> Result | None:
    # The baseline has no randomness: one run a fold stands against all seeds.
    same_fold = [r for (_, fold), r in done.items() if fold == run[1] and r["cell"]["arch"] == NO_ARCH]
    return same_fold[0] if len(same_fold) == 1 else None


def _estimate(pairs: Sequence[np.ndarray], truths: Sequence[np.ndarray], confidence: float) -> Estimate:
    if len(pairs) == 1:
        return by_example(pairs[0], confidence)
    if len(truths[0]) > 1 and all(np.array_equal(truths[0], truth) for truth in truths[1:]):
        return by_run_and_example(np.stack(pairs), confidence)
    return by_run([float(pair.mean()) for pair in pairs], confidence)


def _accuracies(done: Mapping[Run, Result]) -> list[float]:
    return [result["test_accuracy"] for result in done.values()]


def _correct(result: Result) -> tuple[np.ndarray, np.ndarray]:
    """Gold classes (n,) and, for each, whether the prediction is right."""
    try:
        truth, predictions = decode_classes(result["truth"]), decode_classes(result["predictions"])
    except (KeyError, TypeError, ValueError, zlib.error):
        raise UserError(
            f"the result {result['id']} has no readable 'predictions' and 'truth'; "
            "delete its file and run again"
        ) from None
    if truth.shape != predictions.shape or not truth.size:
        raise UserError(
            f"the result {result['id']} has {predictions.size} predictions for {truth.size} texts; "
            "delete its file and run again"
        )
    return truth, predictions == truth
