"""Spread, paired tests and the correction for many of them. Numbers in, numbers out.

All recipes of one (corpus, arch, seed) share the initial weights, the order of batches and the test texts, so
their differences are paired twice: by run and by example. The intervals that use both are in
`zoo.evidence.intervals`. Unit: fractions of 1 (0.01 = one point). Two-sided throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "Spread",
    "exact_mcnemar",
    "holm",
    "mean_and_spread",
    "mean_if_all",
    "paired_variance",
    "probability_of_improvement",
    "sign_flip",
    "smallest_sign_flip",
]


MOST_FLIPPED = 16


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


def paired_variance(differences: np.ndarray) -> float:
    """Variance of the mean of n differences in {-1, 0, 1}, one added to each kind of disagreement.

        (d - D^2) / m,   m = n + 2,   d = (right + wrong + 2) / m,   D = (right - wrong) / m

    `right` counts 1, `wrong` counts -1. It is never 0. Sources: McNemar, Psychometrika 12 (1947) 153 for the
    variance; Bonett & Price, J. Educ. Behav. Stat. 37 (2012) 479 for what is added.
    """
    right, wrong = int((differences > 0).sum()), int((differences < 0).sum())
    m = differences.size + 2
    return ((right + wrong + 2) / m - ((right - wrong) / m) ** 2) / m


def exact_mcnemar(right: int, wrong: int) -> float:
    """Exact p value of McNemar's test, which is a binomial test of the disagreements against 1/2."""
    # The ufunc of scipy.special loads in half the time that scipy.stats.binomtest takes.
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(right, wrong), right + wrong, 0.5))) if right + wrong else 1.0


def sign_flip(differences: Sequence[float]) -> float | None:
    """Exact sign-flip (paired permutation) test over independent runs: p of |mean(+-D_s)| >= |mean(D_s)|.

    With S runs p cannot be below 2 / 2^S (`smallest_sign_flip`): 5 runs end at 0.0625, 6 at 0.031. None
    beyond 16 runs, too many to enumerate. Source: Fisher, The Design of Experiments (1935), section 21.
    """
    # Whole numbers: two ways of flipping that give the same sum must not differ by rounding.
    values = np.rint(np.asarray(differences, dtype=float) * 1e12)
    if values.size < 2:
        return 1.0
    if values.size > MOST_FLIPPED:
        return None
    from scipy.stats import permutation_test

    found = permutation_test(
        (values,), np.sum, permutation_type="samples", vectorized=True, n_resamples=np.inf, batch=2**12
    )
    return float(found.pvalue)


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
    """The chance that a run of the recipe beats a run of the reference, ties counted half: Mann-Whitney's U.

    The runs are not paired here: it is what a user meets who trains once. Source: Agarwal et al., NeurIPS
    2021 (arXiv 2108.13264), section 4.3.
    """
    first, second = np.asarray(values, dtype=float)[:, None], np.asarray(reference, dtype=float)[None, :]
    if not first.size or not second.size:
        raise ValueError("values or reference is empty, expected at least one of each")
    return float(((first > second) + 0.5 * (first == second)).mean())
