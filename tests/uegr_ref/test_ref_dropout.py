from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uegr_ref import apply_dropout, apply_dropout_grad, drop_rates, dropout_mask, gradient_norm, layer_rates
from uegr_ref.dropout import KINDS
from uegr_ref.learn.properties import dropout as laws
from uegr_ref.learn.properties.dropout import norms
from uegr_ref.learn.properties.strategies import (
    dtypes,
    refused,
)

kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_the_mean_drop_rate_is_the_base_rate(kind):
    laws.the_mean_drop_rate_is_the_base_rate(partial(drop_rates, kind=kind))


@kinds
def test_drop_rates_stay_within_their_bounds(kind):
    laws.drop_rates_stay_within_their_bounds(partial(drop_rates, kind=kind))


@kinds
def test_drop_rates_rise_with_the_norm_and_fall_for_the_control(kind):
    laws.drop_rates_rise_with_the_norm(partial(drop_rates, kind=kind), -1 if kind == "inverse" else 1)


def test_unclipped_rates_are_proportional_to_the_normalised_norm():
    laws.unclipped_rates_are_proportional_to_the_normalised_norm(drop_rates)


def test_clipped_rates_are_the_same_multiple_of_the_norm_wherever_they_are_free():
    laws.clipped_rates_are_the_same_multiple_of_the_norm_wherever_they_are_free(drop_rates)


def test_units_without_a_gradient_are_dropped_only_when_the_others_cannot_make_up_the_mean():
    laws.units_without_a_gradient_are_dropped_only_when_the_others_cannot_make_up_the_mean(drop_rates)


@given(norms, st.floats(0.01, 0.2))
def test_rank_rates_follow_the_mid_ranks(n, base_rate):
    assume(n.any())
    assume(n.min() < n.max())
    rank = np.array([np.sum(n < x) + (np.sum(n == x) - 1) / 2 for x in n])
    wanted = base_rate * 2 * rank / (len(n) - 1)
    assert np.allclose(drop_rates(n, base_rate, kind="rank"), wanted, rtol=1e-9)
    assert np.array_equal(drop_rates(n, base_rate, kind="rank"), drop_rates(n, base_rate, 2.0, "rank"))


@given(
    arrays(np.float64, st.integers(2, 20), elements=st.floats(0.1, 10)),
    st.floats(0.05, 0.8),
    st.floats(0.1, 1),
)
def test_logistic_rates_have_logits_affine_in_the_zscore(n, base_rate, gamma):
    assume(np.std(n / n.max()) > 1e-6)
    q = drop_rates(n, base_rate, gamma, "logistic", q_max=1 - 1e-9)
    z = (n - n.mean()) / n.std()
    logit = np.log(q) - np.log1p(-q)
    assert np.ptp(logit - gamma * z) < 1e-6


@given(norms, st.floats(0.01, 0.2))
def test_inverse_rates_mirror_the_norm(n, base_rate):
    assume(n.any())
    a = (n.max() - n) / n.max() + n.min() / n.max()
    assume(base_rate * a.max() / a.mean() <= 0.95)
    assert np.allclose(
        drop_rates(n, base_rate, kind="inverse"), base_rate * a / a.mean(), rtol=1e-9, atol=1e-15
    )


@kinds
def test_gamma_zero_no_gradient_and_broken_gradients_give_ordinary_dropout(kind):
    laws.gamma_zero_no_gradient_and_broken_gradients_give_ordinary_dropout(partial(drop_rates, kind=kind))


@given(norms, st.floats(0, 0.95))
def test_uniform_rates_are_the_base_rate(n, base_rate):
    assert np.array_equal(drop_rates(n, base_rate, kind="uniform"), np.full_like(n, base_rate))


@kinds
def test_rates_follow_their_units_and_ignore_the_scale_of_the_loss(kind):
    laws.rates_follow_their_units_and_ignore_the_scale_of_the_loss(partial(drop_rates, kind=kind))


def test_layer_rates_give_one_rate_a_site_by_its_mean_norm():
    sites = [np.array([1.0, 3.0]), np.array([4.0, 4.0, 4.0]), np.array([0.0, 6.0])]
    assert np.allclose(layer_rates(sites, 0.1), 0.1 * np.array([2, 4, 3]) / 3)


def test_gradient_norm_is_the_rms_over_real_positions():
    laws.gradient_norm_is_the_rms_over_real_positions(gradient_norm)


def test_the_norm_of_an_empty_batch_is_zero():
    laws.the_norm_of_an_empty_batch_is_zero(gradient_norm)


def test_the_mask_keeps_each_unit_with_its_own_probability_and_independently():
    laws.the_mask_keeps_each_unit_with_its_own_probability_and_independently(dropout_mask)


def test_masks_differ_from_pass_to_pass_and_repeat_with_the_seed():
    laws.masks_differ_from_pass_to_pass_and_repeat_with_the_seed(dropout_mask)


def test_dropout_keeps_the_expectation():
    laws.dropout_keeps_the_expectation(apply_dropout)


def test_no_dropout_changes_nothing_bit_for_bit():
    laws.no_dropout_changes_nothing_bit_for_bit(apply_dropout)
    assert dropout_mask(np.zeros(4), (2, 3, 4), np.random.default_rng(0)).all()


def test_apply_dropout_grad_is_its_gradient():
    laws.apply_dropout_grad_is_its_gradient(apply_dropout, apply_dropout_grad)


@given(norms, st.sampled_from(KINDS), dtypes)
def test_the_precision_is_kept(n, kind, dtype):
    n = np.clip(n, 0, 1e30).astype(dtype)
    q = drop_rates(n, 0.1, kind=kind)
    assert q.dtype == dtype
    assert abs(float(q.mean()) - 0.1) < (1e-9 if dtype is np.float64 else 1e-6)
    assert gradient_norm(np.ones((2, 3, 4), dtype)).dtype == dtype


def test_bad_input_is_refused():
    h, m, rng = np.ones((2, 3)), np.ones((2, 3), bool), np.random.default_rng(0)
    refused("gradient", lambda: gradient_norm(np.ones(3)))
    refused("mask", lambda: gradient_norm(np.ones((2, 3, 4)), np.ones((2, 4), bool)))
    refused("norms", lambda: drop_rates(h, 0.1))
    refused("norms", lambda: drop_rates([-1.0, 1.0], 0.1))
    for rate in (-0.1, 0.96, 1.0, np.nan):
        refused("base_rate", lambda rate=rate: drop_rates([1.0], rate))
    refused("base_rate", lambda: drop_rates([1.0], 0.1, q_min=0.2))
    refused("q_max", lambda: drop_rates([1.0], 0.1, q_max=1.0))
    refused("q_min", lambda: drop_rates([1.0], 0.1, q_min=0.96))
    refused("gamma", lambda: drop_rates([1.0], 0.1, gamma=-1))
    refused("kind", lambda: drop_rates([1.0], 0.1, kind="max"))
    refused("norms_of_sites", lambda: layer_rates([h], 0.1))
    refused("rates", lambda: dropout_mask([0.1], (2, 3), rng))
    refused("rates", lambda: dropout_mask([0.1, 0.1, 1.0], (2, 3), rng))
    refused("rng", lambda: dropout_mask([0.1] * 3, (2, 3), 0))
    refused("shape", lambda: dropout_mask([0.1] * 3, (), rng))
    refused("mask", lambda: apply_dropout(h, m[:1], [0.1] * 3))
    refused("mask", lambda: apply_dropout(h, np.ones((2, 3)), [0.1] * 3))
    refused("rates", lambda: apply_dropout(h, m, [0.1]))
    refused("rates", lambda: apply_dropout(h, m, [0.1, 0.1, 1.0]))
    refused("h", lambda: apply_dropout(np.full((2, 3), np.nan), m, [0.1] * 3))
    refused("gradient", lambda: apply_dropout_grad(np.full((2, 3), np.nan), m, [0.1] * 3))
