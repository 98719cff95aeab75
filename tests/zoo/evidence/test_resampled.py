"""Intervals of measures that are no means over texts, against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.core.measures import Scores, measure
from zoo.evidence.intervals import by_example
from zoo.evidence.resampled import GROUPS, Compute, by_groups
from zoo.evidence.statistics import paired_variance


def of(name: str) -> Compute:
    return lambda said, truth: measure(name).compute(Scores(said, truth))


def correlated(rng: np.random.Generator, n: int, rho: float) -> tuple[np.ndarray, np.ndarray]:
    truth = rng.normal(size=n)
    return truth, rho * truth + np.sqrt(1 - rho**2) * rng.normal(size=n)


def test_of_an_accuracy_it_is_nearly_the_interval_over_examples() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 2_000)
    one, other = (np.where(rng.random(2_000) < share, truth, 1 - truth) for share in (0.9, 0.85))
    found = by_groups([(truth, one, other)], 1, of("accuracy"))
    direct = by_example((one == truth).astype(int) - (other == truth).astype(int))
    assert found.difference == pytest.approx(direct.difference)
    # The variance is known to sqrt(2 / 49) = 20 %, the width to 10 %, and t is 3 % more than z.
    assert found.high - found.low == pytest.approx(direct.high - direct.low, rel=0.3)
    assert found.seeds == found.runs == 1


def test_the_variance_of_a_correlation_is_fisher_s() -> None:
    """(1 - rho^2)^2 / n for one normal sample; a mean over 60 samples of n = 400 is known to a few %."""
    rng, rho, n = np.random.default_rng(1), 0.6, 400
    nothing = np.zeros(n)  # whose correlation is 0, whatever is left out
    variances = []
    for _ in range(60):
        truth, scores = correlated(rng, n, rho)
        estimate = by_groups([(truth, scores, nothing)], 1, of("pearson"))
        variances.append(estimate.examples_part.variance)
    assert np.mean(variances) == pytest.approx((1 - rho**2) ** 2 / n, rel=0.15)


def test_runs_are_seeds_with_t_and_the_same_texts_are_no_new_ones() -> None:
    rng = np.random.default_rng(2)
    truth, one = correlated(rng, 300, 0.7)
    _, other = truth, one + 0.3 * rng.normal(size=300)
    alone = by_groups([(truth, one, other)], 1, of("spearman"))
    twice = by_groups([(truth, one, other)] * 3, 3, of("spearman"))
    assert twice.difference == pytest.approx(alone.difference)
    assert twice.examples_part.variance == pytest.approx(alone.examples_part.variance)
    assert (twice.seeds, twice.seeds_part.variance, twice.seeds_part.degrees) == (3, pytest.approx(0), 2)
    shaken = [(truth, one + s * rng.normal(size=300), other) for s in (0.0, 0.3, 0.6)]
    assert by_groups(shaken, 3, of("spearman")).seeds_part.variance > 1e-5


def test_answers_that_agree_differ_by_nothing_and_have_an_interval() -> None:
    truth = np.arange(40) % 2
    found = by_groups([(truth, truth, truth)] * 3, 3, of("accuracy"))
    assert (found.difference, found.p_value) == (0, 1)
    assert found.high == -found.low > 0
    assert found.floor == pytest.approx(paired_variance(np.zeros(120)))


def test_folds_may_differ_by_a_text() -> None:
    rng = np.random.default_rng(3)
    pairs = [tuple(rng.integers(0, 2, n) for _ in range(3)) for n in (24, 25)]
    found = by_groups(pairs, 1, of("accuracy"))  # type: ignore[arg-type]
    assert found.examples_part.degrees == 23


def test_few_texts_are_a_group_each_and_one_is_refused() -> None:
    truth = np.arange(5.0)
    found = by_groups([(truth, truth, truth[::-1])], 1, of("pearson"))
    assert found.difference == pytest.approx(2.0)
    assert found.examples_part.degrees == 4 < GROUPS - 1
    with pytest.raises(ValueError, match="fewer than two texts"):
        by_groups([(truth[:1], truth[:1], truth[:1])], 1, of("pearson"))


def test_intervals_cover() -> None:
    """95 % intervals of a difference of two correlations: 300 draws, of which 285 -+ 4 cover if it is exact.

    Fewer than 92 % is a fault: it happens by chance less often than once in 60.
    """
    rng, covered, draws = np.random.default_rng(3), 0, 300
    for _ in range(draws):
        truth, one = correlated(rng, 200, 0.6)
        other = 0.5 * truth + np.sqrt(1 - 0.25) * rng.normal(size=200)
        found = by_groups([(truth, one, other)], 1, lambda said, true: float(np.corrcoef(said, true)[0, 1]))
        covered += found.low <= 0.1 <= found.high
    assert 0.92 < covered / draws < 0.985
