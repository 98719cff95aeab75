"""From results to paired differences: which runs belong together, and how far apart they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from zoo.core import measures
from zoo.core.measures import ACCURACY, Measure, Scores
from zoo.core.names import BASELINE, NO_ARCH
from zoo.core.result import Result
from zoo.evidence.cells import Cells, Group, Key, Method, Run
from zoo.evidence.intervals import Estimate, by_accuracy, by_example, by_run, by_run_and_example
from zoo.evidence.resampled import by_groups
from zoo.evidence.settings import UNSAID, as_read, shown
from zoo.evidence.statistics import holm, paired_variance, probability_of_improvement, sign_flip

__all__ = [
    "Comparison", "compare", "compare_groups", "cost", "estimate_runs", "processor", "reference_of",
]  # fmt: skip

REFERENCE = "dropout"
MAIN = ""  # in the place of a measure: the corpus's own


@dataclass(frozen=True)
class Comparison:
    """A method against the reference on one (arch, corpus), in the main measure; unit: fractions of 1.

    `differences` are those of the paired runs. `unpaired` counts the method's runs without a partner, and
    `elsewhere` those of them whose partner ran on another kind of processor. `p_holm` is `estimate.p_value`
    adjusted for all comparisons of the report that several seeds stand behind (None for others, and for the
    baseline row, which is no claim of the paper). `p_sign_flip` is None under folds, whose runs are not
    independent. `improvement` is the probability that a run of the method beats one of the reference.
    `texts` counts the test texts of a run, and `disagreement` is the share of them that the two answer
    differently, one rightly and one not (mean over runs; None where single answers are not known).
    """

    estimate: Estimate
    differences: tuple[float, ...]
    unpaired: int
    elsewhere: int
    p_sign_flip: float | None
    improvement: float | None
    texts: int
    disagreement: float | None
    p_holm: float | None = None


def compare(cells: Cells, reference: str = REFERENCE, confidence: float = 0.95) -> dict[Key, Comparison]:
    """Every method against `reference`, paired by (corpus, arch, seed, fold) and by test example.

    Runs without a partner are left out and counted; a partner is tested on the same texts and trained on the
    same kind of processor. A baseline without arch is paired with every arch, and its one run with every
    seed.
    """
    comparisons: dict[Key, Comparison] = {}
    for key, runs in cells.groups.items():
        if key.method.recipe == reference:
            continue
        for arch in cells.archs() if key.arch == NO_ARCH else (key.arch,):
            against = reference_of(cells, key._replace(arch=arch), reference)
            found = (
                compare_groups(runs, cells.get(arch, key.corpus, against), confidence) if against else None
            )
            if found is not None:
                comparisons[key._replace(arch=arch)] = found
    claims = [k for k, c in comparisons.items() if k.method.recipe != BASELINE and c.estimate.seeds > 1]
    adjusted = holm([comparisons[key].estimate.p_value for key in claims])
    for key, p_holm in zip(claims, adjusted, strict=True):
        comparisons[key] = replace(comparisons[key], p_holm=p_holm)
    return comparisons


def reference_of(cells: Cells, key: Key, reference: str) -> Method | None:
    """The method of recipe `reference` that the method of `key` is held against.

    Where the reference was run under several settings: the one that shares those of model, training and text;
    None where there is no single one.
    """
    found = [
        m for m in cells.methods() if m.recipe == reference and Key(key.arch, key.corpus, m) in cells.groups
    ]
    if len(found) < 2:
        return found[0] if found else None
    own = _settings(cells.get(*key))
    same = [m for m in found if _agree(own, _settings(cells.get(key.arch, key.corpus, m)))]
    return same[0] if len(same) == 1 else None


def compare_groups(
    runs: Group, against: Group, confidence: float = 0.95, measure: str = MAIN
) -> Comparison | None:
    """Two methods on one (arch, corpus), by `measure`: a row's name, or the corpus's main one.

    None where no two runs can be paired.
    """
    pairs, elsewhere = _partners(runs, against)
    measure = measure or next((other.measure for _, other in pairs.values()), ACCURACY)
    pairs = {run: pair for run, pair in pairs.items() if _measured_alike(*pair, measure)}
    differences: dict[Run, np.ndarray] = {}
    truths: dict[Run, np.ndarray] = {}
    row = measures.measure(measure)
    for run, (result, other) in pairs.items():
        if row.compute is not measures.accuracy:
            continue
        first, second = _right(result, row.on), _right(other, row.on)
        if first is not None and second is not None and np.array_equal(first[0], second[0]):
            differences[run] = first[1].astype(np.int8) - second[1].astype(np.int8)
            truths[run] = first[0]
    if differences:
        block = _block(differences)
        estimate = estimate_runs(block, differences, truths, confidence)
        means = tuple(float(differences[run].mean()) for run in block)
        texts = len(differences[block[0]])
        disagreement = float(
            np.mean([np.count_nonzero(differences[run]) / len(differences[run]) for run in block])
        )
    elif pairs and row.compute is not measures.accuracy:
        block, disagreement = _block(pairs), None
        whole = [_said(*pairs[run], row.on) for run in block]
        if any(pair is None for pair in whole):
            return None
        said = [pair for pair in whole if pair is not None]
        if min(len(truth) for truth, _, _ in said) < 2:
            return None
        compute = partial(_computed, row)
        estimate = by_groups(said, len({run.seed for run in block}), compute, confidence)
        means = tuple(r.measures[measure] - o.measures[measure] for r, o in (pairs[run] for run in block))
        texts = len(said[0][0])
    elif not pairs or row.on != "attacked":
        return None
    else:  # older results kept the accuracy of the attacked texts alone
        block = _block(pairs)
        grid = np.array([[r.measures[measure] for r in pairs[run]] for run in block])
        texts, disagreement = _fewest_attacked(pairs), None
        shape = (len({run.seed for run in block}), -1)
        estimate = by_accuracy(grid[:, 0].reshape(shape), grid[:, 1].reshape(shape), texts, confidence)
        means = tuple(map(float, grid[:, 0] - grid[:, 1]))
    folded = len({run.fold for run in block}) > 1
    return Comparison(
        estimate,
        means,
        max(len(runs.done) - len(block), 0),
        elsewhere,
        None if folded else sign_flip(means),
        _improvement(runs, against, measure),
        texts,
        disagreement,
    )


def cost(runs: Group, plain: Group) -> float | None:
    """Time of a training step in multiples of the plain recipe's: geometric mean over the runs of both.

    CPU time where both have it, as other work on the machine does not enter it; else the wall time. None
    where no run has a partner on the same device and kind of processor with as many threads.
    """
    pairs = [(result, plain.done[run]) for run, result in runs.done.items() if run in plain.done]
    ratios = [ratio for pair in pairs if (ratio := _step_ratio(*pair))]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


def processor(result: Result) -> str:
    """The kind of processor, which decides the last digits of training: device and vector instructions."""
    machine = result.machine
    return f"{machine.device or 'device not recorded'}, {machine.processor or 'instructions not recorded'}"


def _partners(runs: Group, against: Group) -> tuple[dict[Run, tuple[Result, Result]], int]:
    """Run of the reference -> both results; and how many ran on another kind of processor."""
    pairs: dict[Run, tuple[Result, Result]] = {}
    elsewhere = 0
    for run, other in against.done.items():
        result = runs.done.get(run) or _only_run_of_baseline(runs, run)
        if result is None:
            continue
        if result.cell.arch == NO_ARCH or processor(result) == processor(other):
            pairs[run] = (result, other)
        else:
            elsewhere += 1
    return pairs, elsewhere


def _only_run_of_baseline(runs: Group, run: Run) -> Result | None:
    # The baseline has no randomness: one run a fold stands against all seeds.
    same_fold = [r for (_, fold), r in runs.done.items() if fold == run.fold and r.cell.arch == NO_ARCH]
    return same_fold[0] if len(same_fold) == 1 else None


def _right(result: Result, on: str) -> tuple[np.ndarray, np.ndarray] | None:
    """True classes (n,) of the texts of a measure, and for each whether the answer is right."""
    found = result.answers(on)
    return None if found is None else (found[0], found[1] == found[0])


def _said(result: Result, other: Result, on: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(n,) what is true of the texts of a measure, and what the two say; None if they are not the same."""
    first, second = result.answers(on), other.answers(on)
    if first is None or second is None or not np.array_equal(first[0], second[0]):
        return None
    return first[0], first[1], second[1]


def _measured_alike(first: Result, second: Result, measure: str) -> bool:
    if measure not in first.measures or measure not in second.measures:
        return False
    if measures.measure(measure).on != "attacked":
        return True
    if not (first.attacked and second.attacked):  # nothing says that the attacks were the same
        return False
    return _attack(first.attacked) == _attack(second.attacked)


def _fewest_attacked(pairs: Mapping[Run, tuple[Result, Result]]) -> int:
    return min(int(r.attacked["rows"]) for pair in pairs.values() for r in pair if r.attacked)


def _attack(attacked: Mapping[str, Any]) -> dict[str, Any]:
    return {key: attacked.get(key) for key in ("attack", "epsilon", "epsilon_unit", "rows")}


def _block(runs: Mapping[Run, Any]) -> list[Run]:
    """The runs of a full grid of seeds by folds, by seed then fold: the line that misses most goes."""
    left = set(runs)
    while True:
        seeds, folds = {run.seed for run in left}, {run.fold for run in left}
        if len(left) == len(seeds) * len(folds):
            return sorted(left, key=lambda run: (run.seed, -1 if run.fold is None else run.fold))
        lines = [{r for r in left if r.seed == s} for s in sorted(seeds)]
        shares = [(len(line) / len(folds), line) for line in lines]
        lines = [
            {r for r in left if r.fold == f} for f in sorted(folds, key=lambda f: -1 if f is None else f)
        ]
        shares += [(len(line) / len(seeds), line) for line in lines]
        left -= min(shares, key=lambda share: share[0])[1]


def estimate_runs(
    block: Sequence[Run],
    differences: Mapping[Run, np.ndarray],
    truths: Mapping[Run, np.ndarray],
    confidence: float = 0.95,
) -> Estimate:
    """The interval that runs of which single answers are known get, by what they have in common.

    Args:
        block: a full grid of seeds by folds, by seed then fold.
        differences: by run (n,) in {-1, 0, 1}; see `zoo.evidence.intervals`.
        truths: by run (n,), the true classes: texts are the same where these are.
    """
    own = [differences[run] for run in block]
    if len(own) == 1:
        return by_example(own[0], confidence)
    seeds = len({run.seed for run in block})
    first = truths[block[0]]
    if len(first) > 1 and all(np.array_equal(first, truths[run]) for run in block):
        return by_run_and_example(np.stack(own).reshape(seeds, -1, len(first)), confidence)
    means = np.array([one.mean() for one in own]).reshape(seeds, -1)
    return by_run(means, sum(map(paired_variance, own)) / len(own) ** 2, confidence)


def _improvement(runs: Group, against: Group, measure: str) -> float | None:
    values, others = (
        [r.measures[measure] for r in group.done.values() if measure in r.measures]
        for group in (runs, against)
    )
    return probability_of_improvement(values, others) if values and others else None


def _step_ratio(result: Result, plain: Result) -> float | None:
    if processor(result) != processor(plain) or result.machine.threads != plain.machine.threads:
        return None
    for own, base in (
        (result.step_cpu_seconds, plain.step_cpu_seconds),
        (result.step_seconds, plain.step_seconds),
    ):
        if own and base:
            return own / base
    return None


def _settings(group: Group) -> dict[str, Any]:
    """Of its first run, with what `as_read` leaves unsaid of the training."""
    settings = next((r.settings for r in group.every), {})
    return (UNSAID if "train" in settings else {}) | as_read(settings, "model", "train", "text")


def _agree(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return all(shown(value) == shown(second[name]) for name, value in first.items() if name in second)


def _computed(measure: Measure, said: np.ndarray, truth: np.ndarray) -> float:
    return measure.compute(Scores(said, truth))
