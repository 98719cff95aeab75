"""The smallest detectable difference: against the noncentral t distribution, by hand, and by simulation."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from zoo.evidence import coverage
from zoo.evidence.coverage import CORPORA, KEPT, Corpus, answers, kept
from zoo.evidence.intervals import (
    SEEDS_AND_EXAMPLES,
    Estimate,
    average,
    by_example,
    by_run,
    by_run_and_example,
)
from zoo.evidence.parts import Part
from zoo.evidence.power import MOST_SEEDS, POINTS, Plan, known_within, seeds_needed


def found(
    seeds: int, variance: float, examples: float = 0.0, floor: float = 0.0, folds: Part | None = None
) -> Estimate:
    """An estimate over so many seeds; `variance` is that of one seed."""
    part = Part(variance / seeds, seeds - 1)
    return Estimate(
        0, 0, 0, 1, part, folds or Part(), Part(examples), floor, seeds, seeds, SEEDS_AND_EXAMPLES
    )


@pytest.mark.parametrize("seeds", [2, 3, 6, 12])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_seeds_alone_give_the_power_of_the_t_test(seeds: int, power: float):
    """Half of the interval's misses are on the other side, which counts as no success here as there."""
    difference = Plan((found(3, 1e-4),), seeds).detectable(power)
    noncentrality = difference / math.sqrt(1e-4 / seeds)
    expected = stats.nct.sf(stats.t.ppf(0.975, seeds - 1), seeds - 1, noncentrality)
    assert expected == pytest.approx(power, abs=2e-3)


def test_texts_alone_give_the_two_quantiles_of_the_normal():
    difference = Plan((found(3, 0.0, examples=4e-6),)).detectable()
    quantiles = [NormalDist().inv_cdf(p) for p in (0.975, 0.8)]
    assert difference == pytest.approx(sum(quantiles) * 0.002, rel=1e-6)
    # No number of seeds makes up for too few texts.
    assert seeds_needed(Plan((found(3, 1e-6, examples=4e-6),)), 0.005) is None


def test_one_fold_more_or_less_is_a_t_test_over_folds():
    plan = Plan((found(3, 0.0, folds=Part(1e-6, 4)),))
    expected = stats.nct.sf(stats.t.ppf(0.975, 4), 4, plan.detectable() / 1e-3)
    assert expected == pytest.approx(0.8, abs=5e-3)


def test_more_seeds_divide_the_seeds_part_and_the_floor_alone():
    three = found(3, 3e-5, examples=2e-6, floor=4e-6, folds=Part(3e-6, 4))
    ((seeds, folds, examples, floor),) = Plan((three,), 6).parts
    assert (seeds.variance, seeds.degrees) == (pytest.approx(5e-6), 5)
    assert (folds, examples, floor) == (three.folds_part, three.examples_part, pytest.approx(2e-6))
    assert Plan((three,)).parts[0][0] == three.seeds_part


def test_a_spread_below_that_of_independent_answers_is_an_accident():
    """Two accuracies that agree have no spread; the plan takes that which their disagreements have."""
    plan = Plan((found(2, 0.0, floor=4e-6),))
    assert plan.standard_error == pytest.approx(0.002)
    assert plan.power(0.0) < 0.025
    assert (plan.half_widths >= NormalDist().inv_cdf(0.975) * 0.002 - 1e-12).all()


def test_the_widths_are_those_of_the_average_of_what_may_be_found():
    """Drawn at random instead of evenly, and through `average`: one distribution (Kolmogorov-Smirnov)."""
    own = (found(3, 1e-4, 1e-6, 2e-6), found(3, 4e-5, 3e-6, 1e-6))
    rng = np.random.default_rng(3)
    widths = []
    for _ in range(3000):
        drawn = [replace(e, seeds_part=Part(e.seeds_part.variance * rng.chisquare(2) / 2, 2)) for e in own]
        mean = average(drawn)
        widths.append((mean.high - mean.low) / 2)
    plan = Plan(own)
    assert plan.half_widths.shape == (POINTS,)
    # 1e-4 of repeats lie beyond 2.2 / sqrt(3000) = 0.04; the even points add less than 0.02.
    assert stats.ks_2samp(widths, plan.half_widths).statistic < 0.06


def plan_of(corpora: list[Corpus], seeds: int) -> Plan:
    """From the true parts of the simulated answers."""
    estimates = []
    for c in corpora:
        text, rest = KEPT**2 * c.disagree, (1 - KEPT**2) * c.disagree
        variance = c.seed_sd**2 + rest / c.texts
        estimates.append(found(seeds, variance, text / c.texts, c.disagree / c.texts / seeds))
    return Plan(tuple(estimates))


# Two seeds tell large differences only, which must stay below the share of disagreements.
STEADY = Corpus(25_000, 0.16, 0.001)


@pytest.mark.parametrize(
    ("seeds", "corpora"),
    [(2, [STEADY]), (3, [CORPORA["iflytek"]]), (6, [CORPORA["tnews"]]), (3, [*CORPORA.values()])],
    ids=["2", "3", "6", "3, average"],
)
def test_four_in_five_simulated_experiments_tell_the_detectable_difference(
    seeds: int, corpora: list[Corpus], monkeypatch: pytest.MonkeyPatch
):
    """Through the answers and the printed interval, whose parts are estimated anew in each experiment.

    500 draws: 80 % has a standard error of 1.8 points; beyond 7 points lie 1e-4 of repeats.
    """
    difference = plan_of(corpora, seeds).detectable(0.8)
    monkeypatch.setattr(coverage, "DIFFERENCE", difference)
    rng = np.random.default_rng(4)
    told = 0
    for _ in range(500):
        estimates = []
        for c in corpora:
            means = difference + rng.normal(0, c.seed_sd, (seeds, 1))
            estimates.append(by_run_and_example(answers(rng, c, means, kept(rng, c))))
        told += average(estimates).low > 0
    assert told / 500 == pytest.approx(0.8, abs=0.07)


def test_seeds_needed_is_the_first_number_that_is_enough():
    plan = Plan((found(3, 1e-4, 1e-6),))
    for difference in (0.007, 0.008, 0.009, 0.01, 0.011, 0.012, 0.015, 0.02, 0.03):
        needed = seeds_needed(plan, difference)
        assert Plan(plan.estimates, needed).power(difference) >= 0.8
        assert needed == 2 or Plan(plan.estimates, needed - 1).power(difference) < 0.8
    assert seeds_needed(plan, 0.0) is None
    assert seeds_needed(plan, 1.0) == 2
    assert seeds_needed(plan, Plan(plan.estimates, MOST_SEEDS + 1).detectable()) is None


def test_what_a_spread_is_known_within_covers_by_simulation():
    """20,000 samples of three: 95 % has a standard error of 0.15 points."""
    low, high = known_within(2)
    assert (low, high) == (pytest.approx(0.5207, abs=1e-4), pytest.approx(6.2847, abs=1e-4))
    sds = np.random.default_rng(5).normal(size=(20_000, 3)).std(axis=1, ddof=1)
    assert np.mean((low * sds <= 1) & (high * sds >= 1)) == pytest.approx(0.95, abs=0.006)


def test_one_seed_plans_nothing():
    one = by_example(np.array([1, 0, -1, 0]))
    several = by_run(np.array([[0.01], [0.02]]), 0.0)
    for estimates, seeds in (((one,), None), ((several, one), 3), ((several,), 1), ((), None)):
        with pytest.raises(ValueError, match="expected two or more"):
            Plan(estimates, seeds)
    with pytest.raises(ValueError, match="power is 1"):
        Plan((several,)).detectable(1)
