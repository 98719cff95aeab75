from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from zoo.evidence.intervals import (
    ACCURACIES,
    EXAMPLES,
    RUNS_AND_EXAMPLES,
    Estimate,
    average,
    by_accuracy,
    by_example,
    by_run,
    by_run_and_example,
    pool,
)
from zoo.evidence.statistics import exact_mcnemar

signs = st.integers(-1, 1)
grids = arrays(np.int8, st.tuples(st.integers(2, 5), st.integers(2, 30)), elements=signs)


def test_by_run_is_scipys_paired_t():
    values = [0.012, -0.003, 0.02, 0.007]
    expected = stats.ttest_1samp(values, 0)
    interval = expected.confidence_interval(0.9)
    estimate = by_run(values, 0.9)
    assert estimate.difference == pytest.approx(np.mean(values))
    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high))
    assert estimate.p_value == pytest.approx(expected.pvalue)
    assert estimate.standard_error == pytest.approx(stats.sem(values))


def test_by_run_without_spread_leaves_the_signs_as_evidence():
    assert by_run([0.01, 0.01, 0.01]).p_value == 0.25
    assert by_run([0.0, 0.0]).p_value == 1.0
    with pytest.raises(ValueError, match="one run"):
        by_run([0.01])


def test_by_example_by_hand():
    # 8 right, 2 wrong of 100, one of each added: d' = 12/102, D' = 6/102.
    estimate = by_example(np.repeat([1, -1, 0], [8, 2, 90]))
    error = math.sqrt((12 / 102 - (6 / 102) ** 2) / 102)
    assert estimate.difference == 0.06
    assert estimate.low == pytest.approx(6 / 102 - 1.959964 * error, abs=1e-7)
    assert estimate.high == pytest.approx(6 / 102 + 1.959964 * error, abs=1e-7)
    assert estimate.p_value == exact_mcnemar(8, 2)
    assert estimate.method == EXAMPLES


def test_by_example_has_no_zero_width_without_disagreement():
    estimate = by_example(np.zeros(50, dtype=int))
    assert estimate.low < 0 < estimate.high
    assert estimate.p_value == 1.0


def test_by_example_covers_the_truth_by_enumeration():
    """All outcomes of n = 20 examples with their probabilities, not a sample: coverage is near 95 %."""
    n = 20
    for right, wrong in [(0.02, 0.02), (0.1, 0.05), (0.3, 0.1), (0.25, 0.25)]:
        covered = 0.0
        for r in range(n + 1):
            for w in range(n + 1 - r):
                probability = stats.multinomial.pmf([r, w, n - r - w], n, [right, wrong, 1 - right - wrong])
                estimate = by_example(np.repeat([1, -1, 0], [r, w, n - r - w]))
                covered += probability * (estimate.low <= right - wrong <= estimate.high)
        assert covered > 0.93


@given(grids)
def test_mean_squares_are_those_of_the_two_way_analysis(grid: np.ndarray):
    runs, n = grid.shape
    mean, rows, columns = grid.mean(), grid.mean(1, keepdims=True), grid.mean(0, keepdims=True)
    ms_runs = n * ((rows - mean) ** 2).sum() / (runs - 1)
    ms_examples = runs * ((columns - mean) ** 2).sum() / (n - 1)
    ms_rest = ((grid - rows - columns + mean) ** 2).sum() / ((runs - 1) * (n - 1))
    estimate = by_run_and_example(grid)
    assert estimate.run_variance == pytest.approx(ms_runs / grid.size, abs=1e-12)
    assert estimate.example_variance == pytest.approx(max(ms_examples - ms_rest, 0) / grid.size, abs=1e-12)
    assert estimate.method == RUNS_AND_EXAMPLES


@given(grids)
def test_both_is_never_narrower_than_runs_alone(grid: np.ndarray):
    both, runs = by_run_and_example(grid), by_run(grid.mean(1).tolist())
    assert both.difference == pytest.approx(runs.difference)
    assert both.low <= runs.low + 1e-12
    assert both.high >= runs.high - 1e-12


@pytest.mark.parametrize("parts", [(0.0, 4e-6), (3e-6, 0.0), (2e-6, 3e-6)])
def test_the_p_value_is_the_level_at_which_the_interval_touches_zero(parts: tuple[float, float]):
    one = Estimate(0.01, 0, 0, 0, parts[0], 2, parts[1], 3, RUNS_AND_EXAMPLES)
    p_value = average([one]).p_value
    touching = average([one], confidence=1 - p_value)
    assert touching.low == pytest.approx(0, abs=1e-9)


def _coverage(runs: int, run_sd: float, example_sd: float, repeats: int = 400, n: int = 300) -> float:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(repeats):
        tilt = rng.normal(0, run_sd, (runs, 1)) + rng.normal(0, example_sd, (1, n))
        draw = rng.random((runs, n))
        right, wrong = np.clip(0.1 + tilt / 2, 0, 0.5), np.clip(0.1 - tilt / 2, 0, 0.5)
        grid = np.where(draw < right, 1, np.where(draw > 1 - wrong, -1, 0))
        estimate = by_run_and_example(grid)
        covered += estimate.low <= 0 <= estimate.high
    return covered / repeats


@pytest.mark.parametrize("runs", [2, 5])
@pytest.mark.parametrize(("run_sd", "example_sd"), [(0.0, 0.0), (0.02, 0.0), (0.0, 0.15), (0.02, 0.15)])
def test_by_run_and_example_covers_new_seeds_and_new_texts(runs: int, run_sd: float, example_sd: float):
    # 400 draws at 0.95: below 0.91 has a false-alarm probability of 4e-4; the seed is fixed.
    assert _coverage(runs, run_sd, example_sd) >= 0.91


def test_average_by_hand():
    one = Estimate(0.02, 0, 0, 0, 1e-4, 2, 3e-4, 3, RUNS_AND_EXAMPLES)
    two = Estimate(0.04, 0, 0, 0, 2e-4, 4, 0.0, 5, RUNS_AND_EXAMPLES)
    mean = average([one, two])
    assert mean.difference == pytest.approx(0.03)
    assert mean.run_variance == pytest.approx(3e-4 / 4)
    assert mean.example_variance == pytest.approx(3e-4 / 4)
    assert mean.run_degrees == pytest.approx((3e-4) ** 2 / (1e-8 / 2 + 4e-8 / 4))
    assert mean.runs == 3
    with pytest.raises(ValueError, match="empty"):
        average([])


def test_pool_takes_the_texts_as_shared_and_the_runs_as_independent():
    one = Estimate(0.02, 0, 0, 0, 1e-4, 2, 4e-4, 3, RUNS_AND_EXAMPLES)
    two = Estimate(0.04, 0, 0, 0, 2e-4, 4, 1e-4, 5, RUNS_AND_EXAMPLES)
    pooled = pool([one, two])
    assert pooled.difference == pytest.approx(0.03)
    assert pooled.run_variance == pytest.approx(3e-4 / 4)
    assert pooled.example_variance == pytest.approx(((0.02 + 0.01) / 2) ** 2)
    assert pooled.run_degrees == average([one, two]).run_degrees
    assert pooled.runs == 3
    assert pool([one, one]).example_variance == pytest.approx(one.example_variance)
    with pytest.raises(ValueError, match="empty"):
        pool([])


def test_by_accuracy_by_hand():
    estimate = by_accuracy([0.5, 0.6], [0.3, 0.3], 100)
    assert estimate.difference == pytest.approx(0.25)
    assert estimate.run_variance == pytest.approx(0.05**2 * 2 / 2)
    assert estimate.run_degrees == 1
    assert estimate.example_variance == pytest.approx((0.55 * 0.45 + 0.3 * 0.7) / 100)
    assert estimate.method == ACCURACIES
    one = by_accuracy([0.5], [0.3], 100)
    assert one.run_variance == 0
    assert one.method == EXAMPLES
    assert one.high - one.low == pytest.approx(2 * 1.959964 * math.sqrt(0.46 / 100), abs=1e-6)
    for accuracies, references, n in [([], [], 9), ([0.5], [0.4, 0.4], 9), ([0.5], [0.5], 0)]:
        with pytest.raises(ValueError, match="expected as many"):
            by_accuracy(accuracies, references, n)


@given(arrays(np.bool_, st.tuples(st.integers(2, 4), st.integers(5, 40)), elements=st.booleans()))
def test_by_accuracy_is_wider_than_the_paired_interval_of_models_that_agree(right: np.ndarray):
    """The recipe is right wherever the reference is, and on the first three texts: a positive covariance."""
    better = right.copy()
    better[:, :3] = True
    n = right.shape[1]
    rough = by_accuracy(better.mean(1).tolist(), right.mean(1).tolist(), n)
    paired = by_run_and_example(better.astype(np.int8) - right.astype(np.int8))
    assert rough.difference == pytest.approx(paired.difference)
    assert rough.run_variance == pytest.approx(paired.run_variance)
    # n / (n - 1): the paired form divides by the degrees of freedom
    assert rough.example_variance * n / (n - 1) >= paired.example_variance - 1e-12


def test_a_confidence_out_of_range_is_refused():
    with pytest.raises(ValueError, match="confidence"):
        by_example(np.array([1, 0]), 1.0)
    with pytest.raises(ValueError, match=r"\(1, 3\)"):
        by_run_and_example(np.zeros((1, 3)))
