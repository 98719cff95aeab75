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
    SEEDS_AND_EXAMPLES,
    Estimate,
    average,
    by_accuracy,
    by_example,
    by_run,
    by_run_and_example,
    pool,
)
from zoo.evidence.parts import Part, half_width, independent
from zoo.evidence.statistics import exact_mcnemar, paired_variance

signs = st.integers(-1, 1)
grids = arrays(np.int8, st.tuples(st.integers(2, 5), st.integers(2, 30)), elements=signs)
crossed = arrays(np.int8, st.tuples(st.integers(2, 4), st.integers(2, 4), st.integers(2, 20)), elements=signs)


def column(values: list[float]) -> np.ndarray:
    """Means of runs with one seed each, as (S, 1)."""
    return np.array(values)[:, None]


def known(difference: float, seeds: Part, examples: float, count: int, folds: Part = Part()) -> Estimate:  # noqa: B008
    """An estimate with these parts and without a floor."""
    return Estimate(difference, 0, 0, 0, seeds, folds, Part(examples), 0.0, count, count, SEEDS_AND_EXAMPLES)


def test_by_run_is_scipys_paired_t():
    values = [0.012, -0.003, 0.02, 0.007]
    expected = stats.ttest_1samp(values, 0)
    interval = expected.confidence_interval(0.9)
    estimate = by_run(column(values), 0.0, 0.9)
    assert estimate.difference == pytest.approx(np.mean(values))
    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high))
    assert estimate.p_value == pytest.approx(expected.pvalue)
    assert estimate.standard_error == pytest.approx(stats.sem(values))
    with pytest.raises(ValueError, match="at least two"):
        by_run(column([0.01]), 0.0)


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
    estimate = by_run_and_example(grid[:, None])
    assert estimate.seeds_part.variance == pytest.approx(ms_runs / grid.size, abs=1e-12)
    assert estimate.seeds_part.degrees == runs - 1
    assert estimate.folds_part == Part()
    assert estimate.examples_part.variance == pytest.approx(
        max(ms_examples - ms_rest, 0) / grid.size, abs=1e-12
    )
    assert estimate.method == SEEDS_AND_EXAMPLES


@given(crossed)
def test_seeds_and_folds_are_those_of_the_crossed_analysis(grid: np.ndarray):
    """The three mean squares of two factors with one value a place, written out as sums."""
    means = grid.mean(axis=2)
    seeds, folds = means.shape
    mean, by_seed, by_fold = means.mean(), means.mean(1, keepdims=True), means.mean(0, keepdims=True)
    ms_seeds = folds * ((by_seed - mean) ** 2).sum() / (seeds - 1)
    ms_folds = seeds * ((by_fold - mean) ** 2).sum() / (folds - 1)
    ms_rest = ((means - by_seed - by_fold + mean) ** 2).sum() / ((seeds - 1) * (folds - 1))
    for estimate in (by_run_and_example(grid), by_run(means, 0.0)):
        assert estimate.seeds_part.variance == pytest.approx(ms_seeds / means.size, abs=1e-12)
        assert estimate.folds_part.variance == pytest.approx(
            max(ms_folds - ms_rest, 0) / means.size, abs=1e-12
        )
        assert (estimate.seeds_part.degrees, estimate.folds_part.degrees) == (seeds - 1, folds - 1)
        assert (estimate.seeds, estimate.runs) == (len(means), means.size)


def test_one_seed_over_folds_is_a_t_over_folds():
    values = [0.012, -0.003, 0.02, 0.007]
    estimate = by_run(np.array([values]), 0.0)
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high))
    assert estimate.seeds == 1


@given(grids)
def test_both_is_never_narrower_than_runs_alone_or_than_independent_outcomes(grid: np.ndarray):
    both, runs = by_run_and_example(grid[:, None]), by_run(grid.mean(1)[:, None], 0.0)
    assert both.difference == pytest.approx(runs.difference)
    least = 1.959963 * math.sqrt(paired_variance(grid))
    assert both.high - both.difference >= max(runs.high - runs.difference, least) - 1e-12
    assert both.high > both.low


def test_two_runs_that_agree_by_accident_have_no_zero_width():
    """Each gains one right answer, on another text: equal means, no spread, and nothing known."""
    grid = np.zeros((2, 1, 100), dtype=np.int8)
    grid[0, 0, 3] = grid[1, 0, 7] = 1
    estimate = by_run_and_example(grid)
    assert estimate.low < 0 < 0.01 < estimate.high
    assert estimate.p_value > 0.1
    assert pool([estimate] * 3).low < 0  # three models
    four = average([estimate] * 4)  # four corpora: 8 texts of 800, and none the other way
    assert four.high - four.low == pytest.approx((estimate.high - estimate.low) / 2)
    other = by_run(np.array([[0.01], [0.01]]), sum(paired_variance(run) for run in grid[:, 0]) / 4)
    assert other.low < 0
    bound = by_accuracy(np.ones((2, 1)), np.ones((2, 1)), 100)
    assert bound.low < 0 < bound.high


def test_nothing_differs_by_nothing():
    for value in (0.0, math.nan):
        assert by_run(column([value, value]), floor=0.0).p_value == 1


@pytest.mark.parametrize("parts", [(0.0, 4e-6), (3e-6, 0.0), (2e-6, 3e-6)])
def test_the_p_value_is_the_level_at_which_the_interval_touches_zero(parts: tuple[float, float]):
    one = known(0.01, Part(parts[0], 2), parts[1], 3)
    p_value = average([one]).p_value
    touching = average([one], confidence=1 - p_value)
    assert touching.low == pytest.approx(0, abs=1e-9)


def outcomes(
    rng: np.random.Generator, tilt: np.ndarray, n: int, disagree: float = 0.1, example_sd: float = 0.0
) -> np.ndarray:
    """(..., n) in {-1, 0, 1}: each side is right alone with probability `disagree`, moved apart by `tilt`."""
    tilt = tilt[..., None] + rng.normal(0, example_sd, n)
    draw = rng.random((*tilt.shape[:-1], n))
    right, wrong = np.clip(disagree + tilt / 2, 0, 0.5), np.clip(disagree - tilt / 2, 0, 0.5)
    return np.where(draw < right, 1, np.where(draw > 1 - wrong, -1, 0)).astype(np.int8)


@pytest.mark.parametrize("runs", [2, 5])
@pytest.mark.parametrize(("run_sd", "example_sd"), [(0.0, 0.0), (0.02, 0.0), (0.0, 0.15), (0.02, 0.15)])
def test_by_run_and_example_covers_new_seeds_and_new_texts(runs: int, run_sd: float, example_sd: float):
    # 400 draws at 0.95: below 0.91 has a false-alarm probability of 4e-4; the seed is fixed.
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(400):
        grid = outcomes(rng, rng.normal(0, run_sd, (runs, 1)), 300, example_sd=example_sd)
        estimate = by_run_and_example(grid)
        covered += estimate.low <= 0 <= estimate.high
    assert covered / 400 >= 0.91


@pytest.mark.parametrize(("seeds", "folds"), [(3, 5), (5, 5), (6, 10)])
@pytest.mark.parametrize("sds", [(0.0, 0.01, 0.003), (0.004, 0.01, 0.003), (0.0, 0.0, 0.003)])
def test_seeds_by_folds_cover_new_seeds_and_new_cuts(seeds: int, folds: int, sds: tuple[float, ...]):
    """Fold effect 0.01, rest 0.003: taking the runs as independent covers 57 to 71 % of these draws."""
    draws = 2_000  # at 0.95 the standard error is 0.005: below 0.935 has a false-alarm probability of 1e-3
    rng = np.random.default_rng(6)
    by_seed, by_fold = rng.normal(0, sds[0], (draws, seeds, 1)), rng.normal(0, sds[1], (draws, 1, folds))
    means = by_seed + by_fold + rng.normal(0, sds[2], (draws, seeds, folds))
    estimates = [by_run(grid, 0.0) for grid in means]
    assert np.mean([e.low <= 0 <= e.high for e in estimates]) >= 0.935
    independent = [stats.t.ppf(0.975, grid.size - 1) * stats.sem(grid, axis=None) for grid in means[:500]]
    if sds[1]:  # the test can tell: the same draws under the wrong model
        assert np.mean(np.abs(means[:500].mean((1, 2))) <= independent) < 0.75


def test_seeds_by_folds_with_texts_are_covered_too():
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(400):  # see above: below 0.91 has a false-alarm probability of 4e-4
        tilt = rng.normal(0, 0.02, (3, 1)) + rng.normal(0, 0.03, (1, 4))
        estimate = by_run_and_example(outcomes(rng, tilt, 300, example_sd=0.1))
        covered += estimate.low <= 0 <= estimate.high
    assert covered / 400 >= 0.91


@pytest.mark.parametrize("runs", [2, 3])
@pytest.mark.parametrize("disagree", [0.005, 0.02, 0.1])
def test_few_runs_and_few_texts_give_no_more_false_verdicts_than_the_level(runs: int, disagree: float):
    """No difference at all, 100 texts: one corpus, the average of four, and three models on the same texts.

    1,000 draws at 0.05: more than 0.075 has a false-alarm probability of 4e-4. Without the floor the share is
    0.31, 0.14 and 0.06 for two runs, as accuracies that agree by accident have intervals of width zero.
    """
    rng = np.random.default_rng(8)
    wrong = {"one": 0, "corpora": 0, "models": 0}
    nothing = np.zeros((runs, 1))
    for _ in range(1_000):
        own = [by_run_and_example(outcomes(rng, nothing, 100, disagree)) for _ in range(4)]
        found = {"one": own[0], "corpora": average(own), "models": pool(own[:3])}
        for name, estimate in found.items():
            assert estimate.high > estimate.low
            wrong[name] += not estimate.low <= 0 <= estimate.high
    assert max(wrong.values()) <= 75


def test_average_by_hand():
    one, two = known(0.02, Part(1e-4, 2), 3e-4, 3), known(0.04, Part(2e-4, 9), 0.0, 5)
    mean = average([one, two])
    assert mean.difference == pytest.approx(0.03)
    assert mean.seeds_part.variance == pytest.approx(3e-4 / 4)
    assert mean.examples_part.variance == pytest.approx(3e-4 / 4)
    # The larger part counts four times: 10.6, not 2 + 9.
    assert mean.seeds_part.degrees == pytest.approx((9e-4) ** 2 / (1e-8 / 2 + 64e-8 / 9))
    assert (mean.seeds, mean.runs) == (3, 3)
    t, z = stats.t.ppf(0.975, mean.seeds_part.degrees), stats.norm.ppf(0.975)
    assert mean.high == pytest.approx(0.03 + math.sqrt((t**2 + z**2) * 3e-4 / 4))
    with pytest.raises(ValueError, match="empty"):
        average([])


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("times", [1, 4, 8, 20])
@pytest.mark.parametrize("models", [1, 3])
def test_one_large_spread_among_four_corpora_leaves_the_coverage(seeds: int, times: float, models: int):
    """The seeds' part alone: an average, and a pool of three, one corpus of one model with the large spread.

    4,000 draws have a standard error of 0.35 points: below 0.93 lie 1e-4 of repeats if 0.943 are covered.
    Satterthwaite's rule covers 0.892 at the worst of these places (two seeds, 20 times, three models).
    """
    rng = np.random.default_rng(9)
    sds = np.ones((models, 4))
    sds[0, 0] = times
    errors = rng.normal(0, math.sqrt((sds**2).sum() / seeds) / sds.size, 4_000)
    variances = sds**2 / seeds * rng.chisquare(seeds - 1, (4_000, models, 4)) / (seeds - 1)
    covered = 0
    for error, drawn in zip(errors, variances.tolist(), strict=True):
        averages = [independent([Part(v, seeds - 1) for v in own]) for own in drawn]
        covered += abs(error) <= half_width(0.05, [independent(averages)], 0.0)
    assert covered / 4_000 >= 0.93
    if times == 1:  # what it costs where nothing is hidden
        assert covered / 4_000 >= 0.97


def test_averages_are_not_weighted_by_runs():
    """A corpus with ten runs counts as one with two."""
    few, many = by_run(column([0.1, 0.12]), 0.0), by_run(column([0.0, 0.01] * 5), 0.0)
    assert average([few, many]).difference == pytest.approx((0.11 + 0.005) / 2)


def test_pool_takes_texts_and_cuts_as_shared_and_the_seeds_as_independent():
    one = known(0.02, Part(1e-4, 2), 4e-4, 3, Part(9e-4, 4))
    two = known(0.04, Part(2e-4, 4), 1e-4, 5, Part(1e-4, 9))
    pooled = pool([one, two])
    assert pooled.difference == pytest.approx(0.03)
    assert pooled.seeds_part.variance == pytest.approx(3e-4 / 4)
    assert pooled.examples_part.variance == pytest.approx(((0.02 + 0.01) / 2) ** 2)
    assert pooled.folds_part == Part(pytest.approx(((0.03 + 0.01) / 2) ** 2), 4)
    assert pooled.seeds_part == average([one, two]).seeds_part
    assert average([one, two]).folds_part.variance == pytest.approx(1e-3 / 4)
    assert pool([one, one]).examples_part.variance == pytest.approx(one.examples_part.variance)
    with pytest.raises(ValueError, match="empty"):
        pool([])


def test_by_accuracy_by_hand():
    estimate = by_accuracy(column([0.5, 0.6]), column([0.3, 0.3]), 100)
    assert estimate.difference == pytest.approx(0.25)
    assert estimate.seeds_part == Part(pytest.approx(0.05**2 * 2 / 2), 1)
    first, second = 56 / 102, 31 / 102  # one right and one wrong added to 55 and to 30 of 100
    bound = (first * (1 - first) + second * (1 - second)) / 102
    assert estimate.examples_part.variance == pytest.approx(bound)
    assert estimate.method == ACCURACIES
    one = by_accuracy(column([0.5]), column([0.3]), 100)
    assert one.seeds_part == Part()
    assert one.method == EXAMPLES
    assert one.high - one.low == pytest.approx(2 * 1.959964 * one.standard_error, abs=1e-6)
    for accuracies, references, n in [([], [], 9), ([0.5], [0.4, 0.4], 9), ([0.5], [0.5], 0)]:
        with pytest.raises(ValueError, match="expected the same"):
            by_accuracy(column(accuracies), column(references), n)


@given(arrays(np.bool_, st.tuples(st.integers(2, 4), st.integers(5, 40)), elements=st.booleans()))
def test_by_accuracy_is_wider_than_the_paired_interval_of_models_that_agree(right: np.ndarray):
    """The recipe is right wherever the reference is, and on the first three texts: a positive covariance."""
    better = right.copy()
    better[:, :3] = True
    n = right.shape[1]
    rough = by_accuracy(better.mean(1)[:, None], right.mean(1)[:, None], n)
    paired = by_run_and_example((better.astype(np.int8) - right.astype(np.int8))[:, None])
    assert rough.difference == pytest.approx(paired.difference)
    assert rough.seeds_part.variance == pytest.approx(paired.seeds_part.variance)
    # (n + 2)^2 / (n (n - 1)): the bound adds two answers, the paired form divides by degrees of freedom
    assert (
        rough.examples_part.variance * (n + 2) ** 2 / (n * (n - 1)) >= paired.examples_part.variance - 1e-12
    )


def test_a_confidence_out_of_range_is_refused():
    with pytest.raises(ValueError, match="confidence"):
        by_example(np.array([1, 0]), 1.0)
    for shape in [(1, 1, 3), (2, 3), (2, 1, 1)]:
        with pytest.raises(ValueError, match="expected seeds by folds by examples"):
            by_run_and_example(np.zeros(shape))
