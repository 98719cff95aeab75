"""Spread, paired tests and the correction for many of them. Numbers in, numbers out.

All recipes of one (corpus, arch, seed) share the initial weights, the order of batches and the test texts, so
their differences are paired twice: by run and by example. The intervals that use both are in
`zoo.evidence.intervals`. Unit: fractions of 1 (0.01 = one point). Two-sided throughout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "Spread",
    "exact_mcnemar",
    "holm",
    "mean_and_spread",
    "mean_if_all",
    "paired_standard_error",
    "probability_of_improvement",
    "sign_flip",
    "smallest_sign_flip",
]


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over n runs; `sd` (divisor n - 1) is None for a single run."""

    mean: float
    sd: float | None
    n: int


def mean_and_spread(values: Sequence[float]) -> Spread:
    """Arithmetic mean and sample standard deviation.

    Raises:
        ValueError: no values.
    """
    if not len(values):
        raise ValueError("values is empty, expected at least one")
    array = np.asarray(values, dtype=float)
    sd = float(array.std(ddof=1)) if len(array) > 1 else None
    return Spread(float(array.mean()), sd, len(array))


def mean_if_all(values: Sequence[float | None]) -> float | None:
    """The mean where every value is known and there is one; else None."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def paired_standard_error(right: int, wrong: int, n: int) -> float:
    """Standard error of a difference of two accuracies on the same n examples.

        sqrt(d - D^2) / sqrt(n),   d = (right + wrong) / n,   D = (right - wrong) / n

    `right`: examples that only the recipe gets right; `wrong`: only the reference. For small D it is
    sqrt(d / n). Source: McNemar, Psychometrika 12 (1947); variance of a mean of n values in {-1, 0, 1}.
    """
    d, difference = (right + wrong) / n, (right - wrong) / n
    return math.sqrt(max(d - difference**2, 0.0) / n)


def exact_mcnemar(right: int, wrong: int) -> float:
    """Exact p value of McNemar's test.

    min(1, 2 P(X <= min(right, wrong))),   X ~ Binomial(right + wrong, 1/2)
    """
    discordant = right + wrong
    if discordant == 0:
        return 1.0
    from scipy.special import bdtr

    return float(min(1.0, 2 * bdtr(min(right, wrong), discordant, 0.5)))


def sign_flip(differences: Sequence[float], *, draws: int = 2**20, seed: int = 0) -> float:
    """Sign-flip (paired permutation) test over runs: p of |sum(+-D_s)| >= |sum(D_s)|.

    All 2^S sign vectors are enumerated while they are at most `draws` (exact; S <= 20 by default); beyond,
    that many are drawn with `seed` and p = (hits + 1) / (draws + 1). With S runs an exact p cannot be below
    2 / 2^S (`smallest_sign_flip`): 5 runs end at 0.0625, 6 at 0.031, 10 at 0.002.
    Source: Fisher, The Design of Experiments (1935), section 21.
    """
    array = np.asarray(differences, dtype=float)
    if not array.size:
        raise ValueError("differences is empty, expected at least one")
    threshold = abs(array.sum()) - 1e-12 * np.abs(array).sum()  # ties must count in spite of rounding
    if 2**array.size <= draws:
        sums = np.zeros(1)
        for value in array:
            sums = np.concatenate([sums + value, sums - value])
        return float((np.abs(sums) >= threshold).mean())
    rng = np.random.default_rng(seed)
    hits = 0
    for start in range(0, draws, 2**14):
        signs = rng.choice([-1.0, 1.0], size=(min(2**14, draws - start), array.size))
        hits += int((np.abs(signs @ array) >= threshold).sum())
    return (hits + 1) / (draws + 1)


def smallest_sign_flip(runs: int) -> float:
    """The smallest p value that an exact sign-flip test of so many runs can give: 2 / 2^runs, at most 1."""
    return min(1.0, 2.0 ** (1 - runs))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given: all of them hold at once at the level they show.

        adjusted_(j) = max_{i <= j} min(1, (m - i + 1) p_(i)),   p_(1) <= ... <= p_(m)

    Source: Holm, Scand. J. Statist. 6 (1979) 65.
    """
    array = np.asarray(p_values, dtype=float)
    order = np.argsort(array, kind="stable")
    stepped = np.minimum(1.0, array[order] * np.arange(len(array), 0, -1))
    adjusted = np.empty_like(array)
    adjusted[order] = np.maximum.accumulate(stepped)
    return [float(p) for p in adjusted]


def probability_of_improvement(values: Sequence[float], reference: Sequence[float]) -> float:
    """The chance that a run of the recipe beats a run of the reference, ties counted half.

        mean over all pairs (s, t) of [x_s > y_t] + [x_s = y_t] / 2  =  U / (S T), Mann-Whitney

    The runs are not paired here: it is what a user meets who trains once. Source: Agarwal et al., NeurIPS
    2021 (arXiv 2108.13264), section 4.3.
    """
    first, second = np.asarray(values, dtype=float)[:, None], np.asarray(reference, dtype=float)[None, :]
    if not first.size or not second.size:
        raise ValueError("values or reference is empty, expected at least one of each")
    return float(((first > second) + 0.5 * (first == second)).mean())
