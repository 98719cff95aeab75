from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ref_strategies import dtypes, refused, rngs, seeds, tensors

from uegr_ref import (
    batch_saliency,
    ema_saliency,
    epoch_saliency,
    log_minmax_normalise,
    minmax_normalise,
    per_sample_saliency,
    rank_normalise,
)
from uegr_ref.saliency import NORMALISERS

one_saliency = st.one_of(st.just(0.0), st.sampled_from([1.0, 2.0, 1e-12]), st.floats(1e-12, 1e6))
saliencies = arrays(np.float64, st.integers(0, 25), elements=one_saliency, fill=st.nothing())
normalisers = pytest.mark.parametrize("normalise", NORMALISERS.values(), ids=NORMALISERS.keys())


@given(tensors(6), tensors(6), st.floats(0, 1))
def test_saliency_is_the_squared_batch_gradient_now_or_averaged(g, older, rho):
    assert np.array_equal(batch_saliency(g), np.array([x * x for x in g]))
    average = ema_saliency(batch_saliency(older), g, rho)
    assert np.allclose(average, [rho * y**2 + (1 - rho) * x**2 for x, y in zip(g, older, strict=True)])
    assert np.array_equal(ema_saliency(batch_saliency(older), g, 0.0), batch_saliency(g))


@given(tensors(4, 6))
def test_the_saliency_of_an_epoch_and_of_samples_averages_squares_not_gradients(g):
    wanted = [sum(x * x for x in column) / 4 for column in g.T]
    assert np.allclose(epoch_saliency(g), wanted)
    assert np.allclose(per_sample_saliency(g), wanted)
    assert (per_sample_saliency(g) >= batch_saliency(g.mean(axis=0)) - 1e-9).all()


def test_per_sample_saliency_exceeds_that_of_the_batch_by_the_variance():
    g = np.random.default_rng(0).normal(0.3, 1.0, size=(50, 4))
    assert np.allclose(per_sample_saliency(g) - batch_saliency(g.mean(axis=0)), g.var(axis=0))


@given(saliencies)
def test_ranks_count_the_non_zero_entries_below(s):
    others = [x for x in s if x > 0]
    for x, got in zip(s, rank_normalise(s), strict=True):
        if x == 0:
            assert got == 0
        elif len(others) == 1:
            assert got == 0.5
        else:
            below, equal = sum(y < x for y in others), sum(y == x for y in others)
            assert np.isclose(got, (below + (equal - 1) / 2) / (len(others) - 1))


@given(saliencies)
def test_ranks_lie_in_the_unit_interval_with_mean_one_half(s):
    ranks = rank_normalise(s)
    assert ((ranks >= 0) & (ranks <= 1)).all()
    if s.any():
        assert np.isclose(ranks[s > 0].mean(), 0.5)


@given(saliencies, st.integers(0, 30))
def test_absent_words_do_not_shift_the_ranks_of_the_others(s, zeros):
    padded = rank_normalise(np.concatenate([s, np.zeros(zeros)]))
    assert np.array_equal(padded[: len(s)], rank_normalise(s))
    assert not padded[len(s) :].any()


@normalisers
@given(s=saliencies)
def test_every_normalisation_keeps_the_order_and_the_unit_interval(normalise, s):
    got = normalise(s)
    assert ((got >= 0) & (got <= 1)).all()
    order = np.argsort(s)
    assert (np.diff(got[order]) >= 0).all()


@given(saliencies, st.floats(0.2, 3))
def test_ranks_and_log_minmax_survive_powers_and_scales(s, power):
    s = np.round(s, 6)
    assert np.array_equal(rank_normalise(3 * s), rank_normalise(s))
    assert np.array_equal(rank_normalise(np.sqrt(s)), rank_normalise(s))
    assert np.allclose(log_minmax_normalise(7 * s**power), log_minmax_normalise(s), atol=1e-9)


@normalisers
@given(s=saliencies, rng=rngs)
def test_permuting_the_parameters_permutes_the_result(normalise, s, rng):
    order = rng.permutation(len(s))
    assert np.array_equal(normalise(s[order]), normalise(s)[order])


@normalisers
@given(value=st.floats(1e-6, 1e6), n=st.integers(1, 5))
def test_equal_entries_get_one_half(normalise, value, n):
    assert np.array_equal(normalise(np.full(n, value)), np.full(n, 0.5))


def test_minmax_and_log_minmax_follow_their_formulas():
    s = np.array([0.0, 1.0, 10.0, 100.0])
    assert np.allclose(minmax_normalise(s), [0, 0.01, 0.1, 1])
    assert np.allclose(log_minmax_normalise(s), [0, 0, 0.5, 1])


def test_minmax_is_degenerate_on_squared_gradients_and_rank_is_not():
    s = np.exp(np.random.default_rng(0).normal(0, 4, 100_000))
    assert np.median(minmax_normalise(s)) < 1e-6
    assert np.isclose(np.median(rank_normalise(s)), 0.5)


@normalisers
@given(dtype=dtypes, seed=seeds)
def test_the_precision_is_kept(normalise, dtype, seed):
    s = np.random.default_rng(seed).random(5).astype(dtype)
    assert normalise(s).dtype == dtype
    assert batch_saliency(s).dtype == dtype
    assert ema_saliency(s, s, 0.9).dtype == dtype
    assert epoch_saliency(s[None]).dtype == dtype


def test_bad_input_is_refused():
    refused("gradient", lambda: batch_saliency([np.nan]))
    refused("previous", lambda: ema_saliency([1.0, 2.0], [1.0], 0.5))
    refused("previous", lambda: ema_saliency([-1.0], [1.0], 0.5))
    refused("rho", lambda: ema_saliency([1.0], [1.0], 1.5))
    refused("batch_gradients", lambda: epoch_saliency([1.0]))
    refused("batch_gradients", lambda: epoch_saliency(np.ones((0, 2))))
    refused("sample_gradients", lambda: per_sample_saliency([1.0]))
    refused("sample_gradients", lambda: per_sample_saliency(np.ones((0, 2))))
    for normalise in NORMALISERS.values():
        for bad in ([-1.0], [np.nan], [np.inf], [[1.0]], ["a"]):
            refused("saliency", lambda normalise=normalise, bad=bad: normalise(bad))
