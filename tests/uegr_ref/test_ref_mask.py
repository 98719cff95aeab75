from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from uegr_ref import (
    bernoulli_mask,
    enumerate_masks,
    hard_keep_probability,
    keep_probability,
    masked_gradient,
    mean_inverse_keep,
    mean_keep,
    rank_normalise,
    unbiased_gradient,
)
from uegr_ref.learn.properties import mask as laws
from uegr_ref.learn.properties.mask import normalised, probabilities, thresholds
from uegr_ref.learn.properties.strategies import binomial_alarm, dtypes, refused, rngs, tensors

# a, b, smallest p, largest p, mean p, mean 1/p: worked out by hand from Eq. 9
PAPER = [
    (0.6, 1, 0.231, 0.690, 0.454, 2.44),
    (0.6, 5, 2.5e-3, 0.982, 0.402, 41),
    (0.8, 5, 3.4e-4, 0.881, 0.213, 299),
    (0.9, 5, 1.2e-4, 0.731, 0.131, 811),
    (0.9, 10, 1.5e-8, 0.881, 0.106, 3.3e6),
]


def test_keep_probability_is_the_logistic_function():
    laws.keep_probability_is_the_logistic_function(keep_probability)


def test_keep_probability_rises_with_saliency_and_is_one_half_at_the_threshold():
    laws.keep_probability_rises_with_saliency_and_is_one_half_at_the_threshold(keep_probability)


@pytest.mark.parametrize(("a", "b", "smallest", "largest", "mean", "mean_inverse"), PAPER)
def test_the_tabulated_probabilities(a, b, smallest, largest, mean, mean_inverse):
    assert np.allclose(keep_probability([0.0, 1.0], a, b), [smallest, largest], rtol=0.04)
    assert np.isclose(mean_keep(a, b), mean, atol=5e-4)
    assert np.isclose(mean_inverse_keep(a, b), mean_inverse, rtol=0.02)


def test_steep_curves_do_not_overflow():
    laws.steep_curves_do_not_overflow(mean_keep, mean_inverse_keep)


def test_mean_keep_and_mean_inverse_keep_are_the_integrals():
    laws.mean_keep_and_mean_inverse_keep_are_the_integrals(mean_keep, mean_inverse_keep)


def test_ranks_make_the_kept_share_a_function_of_a_and_b_alone():
    s = np.exp(np.random.default_rng(0).normal(0, 4, 50_000))
    for a, b, *_ in PAPER:
        assert np.isclose(keep_probability(rank_normalise(s), a, b).mean(), mean_keep(a, b), atol=1e-4)


@given(normalised, thresholds)
def test_the_hard_limit_is_the_limit(s, a):
    away = np.abs(s - a) > 1e-3
    hard = hard_keep_probability(s, a)
    assert np.allclose(keep_probability(s, a, 1e5)[away], hard[away])
    assert (hard == (s > a)).all()


def test_the_floor_lifts_small_probabilities_and_no_others():
    laws.the_floor_lifts_small_probabilities_and_no_others(keep_probability)


def test_the_masked_gradient_is_unbiased_by_enumeration():
    laws.the_masked_gradient_is_unbiased_by_enumeration(unbiased_gradient)


@given(tensors(6), probabilities)
def test_without_rescaling_the_mean_is_p_times_the_gradient(g, p):
    masks, weights = enumerate_masks(p)
    mean = sum(w * masked_gradient(g, m) for m, w in zip(masks, weights, strict=True))
    assert np.allclose(mean, p * g, rtol=1e-9, atol=1e-9)


def test_probability_one_is_the_plain_gradient_bit_for_bit():
    laws.probability_one_is_the_plain_gradient_bit_for_bit(unbiased_gradient)


def test_entries_are_either_dropped_or_divided_by_p():
    laws.entries_are_either_dropped_or_divided_by_p(unbiased_gradient)


@given(tensors(6), rngs)
def test_without_rescaling_entries_are_dropped_or_left(g, rng):
    m = rng.random(6) < 0.5
    assert np.array_equal(masked_gradient(g, m), g * m)


def test_the_mask_is_bernoulli_with_independent_entries():
    laws.the_mask_is_bernoulli_with_independent_entries(bernoulli_mask)


def test_the_alarm_on_binomial_counts_catches_a_bias_of_five_per_cent():
    p, draws, rng = np.array([0.4]), 100_000, np.random.default_rng(0)
    assert binomial_alarm(rng.binomial(draws, 1.05 * p), draws, p, 1e-9)
    assert not binomial_alarm(rng.binomial(draws, p), draws, p, 1e-9)


def test_probabilities_zero_and_one_are_never_and_always():
    laws.probabilities_zero_and_one_are_never_and_always(bernoulli_mask)


def test_the_mask_repeats_with_its_generator():
    laws.the_mask_repeats_with_its_generator(bernoulli_mask)


@given(normalised, dtypes)
def test_the_precision_is_kept(s, dtype):
    s = s.astype(dtype)
    for p in (keep_probability(s, 0.9, 10), keep_probability(s, 0.9, 10, 0.1), hard_keep_probability(s, 0.5)):
        assert p.dtype == dtype
    assert unbiased_gradient(s, s > 0.5, np.full_like(s, 0.5)).dtype == dtype


def test_bad_input_is_refused():
    g, m, p, rng = np.ones(3), np.ones(3, bool), np.ones(3), np.random.default_rng(0)
    for bad in ([1.1], [-0.1], [np.nan]):
        refused("normalised", lambda bad=bad: keep_probability(bad, 0.5, 1))
        refused("normalised", lambda bad=bad: hard_keep_probability(bad, 0.5))
        refused("p", lambda bad=bad: bernoulli_mask(bad, rng))
    for function in (lambda a, b: keep_probability([0.5], a, b), mean_keep, mean_inverse_keep):
        refused("threshold", lambda function=function: function(1.1, 1))
        refused("threshold", lambda function=function: function(np.nan, 1))
        refused("sharpness", lambda function=function: function(0.5, 0))
        refused("sharpness", lambda function=function: function(0.5, -1))
    refused("p_floor", lambda: keep_probability([0.5], 0.5, 1, 1.1))
    refused("rng", lambda: bernoulli_mask(p, 0))
    laws.a_probability_of_zero_is_refused(unbiased_gradient)
    for function in (lambda g, m: unbiased_gradient(g, m, p), masked_gradient):
        refused("mask", lambda function=function: function(g, np.ones(3)))
        refused("mask", lambda function=function: function(g, np.ones(1, bool)))
        refused("gradient", lambda function=function: function([1.0, 2.0, np.nan], m))
