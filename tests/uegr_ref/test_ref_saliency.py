from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uegr_ref import (
    batch_saliency,
    ema_saliency,
    epoch_saliency,
    log_minmax_normalise,
    minmax_normalise,
    per_sample_saliency,
    rank_normalise,
)
from uegr_ref.learn.properties import saliency as laws
from uegr_ref.learn.properties.saliency import saliencies
from uegr_ref.learn.properties.strategies import dtypes, refused, seeds
from uegr_ref.saliency import NORMALISERS
from uegr_ref.support.numeric import mid_ranks

normalisers = pytest.mark.parametrize("normalise", NORMALISERS.values(), ids=NORMALISERS.keys())


def test_saliency_is_the_squared_batch_gradient_now_or_averaged():
    laws.saliency_is_the_squared_batch_gradient(batch_saliency)
    laws.the_running_saliency_averages_the_squares(ema_saliency)


@pytest.mark.parametrize("of_rows", [epoch_saliency, per_sample_saliency])
def test_the_saliency_of_an_epoch_and_of_samples_averages_squares_not_gradients(of_rows):
    laws.the_saliency_of_rows_averages_squares_not_gradients(of_rows)


def test_mid_ranks_count_the_entries_below_and_half_of_the_others_that_are_equal():
    laws.mid_ranks_count_the_entries_below_and_half_of_the_others_that_are_equal(mid_ranks)


def test_per_sample_saliency_exceeds_that_of_the_batch_by_the_variance():
    g = np.random.default_rng(0).normal(0.3, 1.0, size=(50, 4))
    assert np.allclose(per_sample_saliency(g) - batch_saliency(g.mean(axis=0)), g.var(axis=0))


def test_ranks_count_the_non_zero_entries_below():
    laws.ranks_count_the_non_zero_entries_below(rank_normalise)


def test_ranks_lie_in_the_unit_interval_with_mean_one_half():
    laws.ranks_lie_in_the_unit_interval_with_mean_one_half(rank_normalise)


def test_absent_words_do_not_shift_the_ranks_of_the_others():
    laws.absent_words_do_not_shift_the_ranks_of_the_others(rank_normalise)


@normalisers
def test_every_normalisation_keeps_the_order_and_the_unit_interval(normalise):
    laws.every_normalisation_keeps_the_order_and_the_unit_interval(normalise)


@given(saliencies, st.floats(0.2, 3))
def test_ranks_and_log_minmax_survive_powers_and_scales(s, power):
    s = np.round(s, 6)
    assert np.array_equal(rank_normalise(3 * s), rank_normalise(s))
    assert np.array_equal(rank_normalise(np.sqrt(s)), rank_normalise(s))
    assert np.allclose(log_minmax_normalise(7 * s**power), log_minmax_normalise(s), atol=1e-9)


@normalisers
def test_permuting_the_parameters_permutes_the_result(normalise):
    laws.permuting_the_parameters_permutes_the_result(normalise)


@normalisers
def test_equal_entries_get_one_half(normalise):
    laws.equal_entries_get_one_half(normalise)


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
