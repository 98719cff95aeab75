from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ref_strategies import binomial_alarm, dtypes, refused, rngs, tensors

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

thresholds, sharpnesses = st.floats(0, 1), st.floats(0.1, 30)
normalised = arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1))
probabilities = arrays(np.float64, 6, elements=st.one_of(st.just(1.0), st.floats(1e-6, 1)))

# a, b, smallest p, largest p, mean p, mean 1/p: worked out by hand from Eq. 9
PAPER = [
    (0.6, 1, 0.231, 0.690, 0.454, 2.44),
    (0.6, 5, 2.5e-3, 0.982, 0.402, 41),
    (0.8, 5, 3.4e-4, 0.881, 0.213, 299),
    (0.9, 5, 1.2e-4, 0.731, 0.131, 811),
    (0.9, 10, 1.5e-8, 0.881, 0.106, 3.3e6),
]


@given(normalised, thresholds, sharpnesses)
def test_keep_probability_is_the_logistic_function(s, a, b):
    wanted = [1 / (1 + math.exp(2 * b * (a - x))) for x in s]
    assert np.allclose(keep_probability(s, a, b), wanted, rtol=1e-12, atol=0)


@given(normalised, thresholds, sharpnesses)
def test_keep_probability_rises_with_saliency_and_is_one_half_at_the_threshold(s, a, b):
    p = keep_probability(np.sort(s), a, b)
    assert ((p > 0) & (p <= 1)).all()
    assert (np.diff(p) >= 0).all()
    assert keep_probability([a], a, b)[0] == 0.5
    assert (keep_probability(s, a, b) > 0.5).tolist() == [bool(2 * b * (x - a) > 1e-16) for x in s]


@pytest.mark.parametrize(("a", "b", "smallest", "largest", "mean", "mean_inverse"), PAPER)
def test_the_tabulated_probabilities(a, b, smallest, largest, mean, mean_inverse):
    assert np.allclose(keep_probability([0.0, 1.0], a, b), [smallest, largest], rtol=0.04)
    assert np.isclose(mean_keep(a, b), mean, atol=5e-4)
    assert np.isclose(mean_inverse_keep(a, b), mean_inverse, rtol=0.02)


@given(thresholds, st.floats(0.1, 5))
def test_mean_keep_and_mean_inverse_keep_are_the_integrals(a, b):
    s = (np.arange(20_000) + 0.5) / 20_000
    p = keep_probability(s, a, b)
    assert np.isclose(mean_keep(a, b), p.mean(), rtol=1e-6)
    assert np.isclose(mean_inverse_keep(a, b), (1 / p).mean(), rtol=1e-5)


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


@given(normalised, thresholds, sharpnesses, st.floats(0, 1))
def test_the_floor_lifts_small_probabilities_and_no_others(s, a, b, floor):
    free, floored = keep_probability(s, a, b), keep_probability(s, a, b, floor)
    assert (floored >= floor).all()
    assert np.array_equal(floored[free >= floor], free[free >= floor])
    assert (keep_probability(s, a, b, 1.0) == 1).all()


@given(tensors(6), probabilities)
def test_the_masked_gradient_is_unbiased_by_enumeration(g, p):
    masks, weights = enumerate_masks(p)
    mean = sum(w * unbiased_gradient(g, m, p) for m, w in zip(masks, weights, strict=True))
    assert np.allclose(mean, g, rtol=1e-9, atol=1e-9)


@given(tensors(6), probabilities)
def test_without_rescaling_the_mean_is_p_times_the_gradient(g, p):
    masks, weights = enumerate_masks(p)
    mean = sum(w * masked_gradient(g, m) for m, w in zip(masks, weights, strict=True))
    assert np.allclose(mean, p * g, rtol=1e-9, atol=1e-9)


@given(tensors(3, 2), dtypes, rngs)
def test_probability_one_is_the_plain_gradient_bit_for_bit(g, dtype, rng):
    g = g.astype(dtype)
    p = np.ones(g.shape, dtype)
    got = unbiased_gradient(g, bernoulli_mask(p, rng), p)
    assert np.array_equal(got, g)
    assert got.dtype == dtype


@given(tensors(6), probabilities, rngs)
def test_entries_are_either_dropped_or_divided_by_p(g, p, rng):
    m = bernoulli_mask(p, rng)
    got = unbiased_gradient(g, m, p)
    assert not got[~m].any()
    assert np.allclose(got[m] * p[m], g[m])
    assert np.array_equal(masked_gradient(g, m), g * m)


def test_the_mask_is_bernoulli_with_independent_entries():
    p, draws, rng = np.array([0.02, 0.23, 0.45, 0.69, 0.98]), 200_000, np.random.default_rng(0)
    m = bernoulli_mask(np.broadcast_to(p, (draws, 5)), rng)
    assert not binomial_alarm(m.sum(axis=0), draws, p, 1e-9)
    pairs = [(i, k) for i in range(5) for k in range(i + 1, 5)]
    together = np.array([np.sum(m[:, i] & m[:, k]) for i, k in pairs])
    assert not binomial_alarm(together, draws, np.array([p[i] * p[k] for i, k in pairs]), 1e-9)
    in_a_row = np.sum(m[:-1:2] & m[1::2], axis=0)
    assert not binomial_alarm(in_a_row, draws // 2, p**2, 1e-9)


def test_the_alarm_on_binomial_counts_catches_a_bias_of_five_per_cent():
    p, draws, rng = np.array([0.4]), 100_000, np.random.default_rng(0)
    assert binomial_alarm(rng.binomial(draws, 1.05 * p), draws, p, 1e-9)
    assert not binomial_alarm(rng.binomial(draws, p), draws, p, 1e-9)


def test_probabilities_zero_and_one_are_never_and_always():
    rng = np.random.default_rng(0)
    assert not bernoulli_mask(np.zeros(1000), rng).any()
    assert bernoulli_mask(np.ones(1000), rng).all()


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
    for bad in ([1.0, 1.0, 0.0], [1.0, 1.0, 1.1], [1.0, 1.0, np.nan], [1.0], np.ones((3, 1))):
        refused("p", lambda bad=bad: unbiased_gradient(g, m, bad))
    for function in (lambda g, m: unbiased_gradient(g, m, p), masked_gradient):
        refused("mask", lambda function=function: function(g, np.ones(3)))
        refused("mask", lambda function=function: function(g, np.ones(1, bool)))
        refused("gradient", lambda function=function: function([1.0, 2.0, np.nan], m))
