from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zoo.evidence.statistics import (
    exact_mcnemar,
    holm,
    mean_and_spread,
    mean_if_all,
    paired_variance,
    probability_of_improvement,
    sign_flip,
    smallest_sign_flip,
)

differences = st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=7)
accuracies = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=6)


def test_mean_and_spread():
    spread = mean_and_spread([0.1, 0.2, 0.6])
    assert spread.mean == pytest.approx(0.3)
    assert spread.sd == pytest.approx(stats.tstd([0.1, 0.2, 0.6]))
    assert spread.n == 3
    assert mean_and_spread([0.5]).sd is None
    with pytest.raises(ValueError, match="empty"):
        mean_and_spread([])


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 100))
def test_paired_variance_is_that_of_a_mean_of_signs_with_one_added_to_each(right: int, wrong: int, same: int):
    signs = np.repeat([1, -1, 0], [right, wrong, same])
    added = np.repeat([1, -1, 0], [right + 1, wrong + 1, same])
    assert paired_variance(signs) == pytest.approx(added.var() / len(added))
    assert paired_variance(signs.reshape(1, -1)) == paired_variance(signs) > 0


def test_standard_error_is_about_root_d_over_n():
    # 25,000 texts, of which 4 % are answered differently: 0.13 points.
    signs = np.repeat([1, -1, 0], [500, 500, 24_000])
    assert 100 * math.sqrt(paired_variance(signs)) == pytest.approx(0.13, abs=0.005)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_equals_scipys_binomial_test(right: int, wrong: int):
    expected = stats.binomtest(right, right + wrong).pvalue if right + wrong else 1.0
    assert exact_mcnemar(right, wrong) == pytest.approx(expected, rel=1e-9)


@given(differences)
def test_sign_flip_equals_enumeration(values: list[float]):
    observed = abs(sum(values))
    flips = itertools.product([1, -1], repeat=len(values))
    sums = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in flips]
    assert sign_flip(values) == pytest.approx(np.mean([s >= observed for s in sums]))


@pytest.mark.parametrize(("runs", "p"), [(1, 1.0), (2, 0.5), (5, 0.0625), (6, 0.03125), (10, 0.001953125)])
def test_sign_flip_cannot_go_below_its_floor(runs: int, p: float):
    assert smallest_sign_flip(runs) == p
    assert sign_flip([0.01 * (i + 1) for i in range(runs)]) == p


def test_sign_flip_counts_ties_in_spite_of_rounding():
    tenths = [-3, -3, -2, 2]
    assert sign_flip(tenths) == 0.375
    assert sign_flip([value / 10 for value in tenths]) == 0.375


def test_sign_flip_is_exact_or_nothing():
    values = np.random.default_rng(0).normal(0.4, 1, 17).tolist()
    assert sign_flip(values) is None
    sums = np.zeros(1)
    for value in values[:14]:
        sums = np.concatenate([sums + value, sums - value])
    assert sign_flip(values[:14]) == pytest.approx((abs(sums) >= abs(sum(values[:14])) - 1e-9).mean())


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.999))
def test_holm_rejects_what_its_step_down_procedure_rejects(p_values: list[float], level: float):
    adjusted = holm(p_values)
    rejected = set()
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        if min(1.0, (len(p_values) - rank) * p_values[index]) > level:
            break
        rejected.add(int(index))
    assert {i for i, p in enumerate(adjusted) if p <= level} == rejected
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))


@given(accuracies, accuracies)
def test_probability_of_improvement_equals_mann_whitney(first: list[float], second: list[float]):
    u = stats.mannwhitneyu(first, second, method="asymptotic").statistic
    assert probability_of_improvement(first, second) == pytest.approx(u / (len(first) * len(second)))


def test_probability_of_improvement_counts_ties_half():
    assert probability_of_improvement([2, 2], [1, 2]) == 0.75
    with pytest.raises(ValueError, match="empty"):
        probability_of_improvement([], [1])


def test_a_mean_with_a_gap_is_no_mean():
    assert mean_if_all([1.0, 3.0]) == 2
    assert mean_if_all([1.0, None]) is None
    assert mean_if_all([None]) is None
    assert mean_if_all([]) is None
