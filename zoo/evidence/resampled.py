"""The interval of a difference in a measure that is no mean over texts: a correlation, an F1, an AUROC.

Such a measure has no value for a single text, so what the choice of texts does to it is found by leaving some
out: the delete-a-group jackknife. Texts are dealt into g groups; with D_j the difference of the measure
without group j, a mean over the runs,

    V_examples = (g - 1) / g  sum_j (D_j - mean D)^2      with g - 1 degrees of freedom

Seeds and folds have their part as in `zoo.evidence.intervals`. What is common to both is counted twice, so
the interval is rather too wide. Source: Kott, J. Off. Stat. 17 (2001) 521.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from zoo.evidence.intervals import EXAMPLES, SEEDS_AND_EXAMPLES, Estimate, estimate_of, run_parts
from zoo.evidence.parts import Part

__all__ = ["by_groups", "largest_group"]

GROUPS = 50

# What is true (n,), what the one says and what the other says (n, ...).
Pair = tuple[np.ndarray, np.ndarray, np.ndarray]
Compute = Callable[[np.ndarray, np.ndarray], float]  # of what one says, and what is true


def by_groups(pairs: Sequence[Pair], seeds: int, compute: Compute, confidence: float = 0.95) -> Estimate:
    """The difference between two methods in the measure that `compute` gives.

    Args:
        pairs: a full grid of seeds by folds, by seed then fold; the texts of all runs are the same
            where there are no folds.

    Raises:
        ValueError: fewer than two texts in a run.
    """
    fewest = min(len(truth) for truth, _, _ in pairs)
    if fewest < 2:
        raise ValueError("a run of fewer than two texts has no such interval")
    values = np.array([_difference(compute, pair) for pair in pairs])
    g = min(GROUPS, fewest)
    without = np.mean([_without_each_group(compute, pair, g) for pair in pairs], axis=0)
    examples = Part((g - 1) / g * float(((without - without.mean()) ** 2).sum()), g - 1)
    parts = (*run_parts(values.reshape(seeds, -1)), examples)
    method = EXAMPLES if len(pairs) == 1 else SEEDS_AND_EXAMPLES
    # As for answers that all agree (`zoo.evidence.statistics.paired_variance`): no interval has width 0.
    floor = 2 / (len(pairs) * fewest + 2) ** 2
    return estimate_of(float(values.mean()), parts, floor, seeds, len(pairs), method, confidence)


def largest_group(texts: int) -> int:
    """How many of so many texts are left out at once, at most."""
    return -(-texts // min(GROUPS, texts))


def _difference(compute: Compute, pair: Pair, rows: np.ndarray | slice = slice(None)) -> float:
    truth, one, other = (values[rows] for values in pair)
    return compute(one, truth) - compute(other, truth)


def _without_each_group(compute: Compute, pair: Pair, groups: int) -> np.ndarray:
    """(g,) the difference without each group; texts are dealt by a fixed seed, so groups are alike."""
    group = np.random.default_rng(0).permutation(len(pair[0])) % groups
    return np.array([_difference(compute, pair, group != j) for j in range(groups)])
