from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uegr_ref import (
    bernoulli_mask,
    covariance_bound,
    data_dependent_covariance,
    enumerate_masks,
    enumerated_moments,
    keep_probability,
    rank_normalise,
    two_point_batches,
    unbiased_gradient,
    update_covariance,
    update_mean,
)
from uegr_ref.learn.properties.strategies import refused, rngs, sizes

keep = st.one_of(st.sampled_from([1.0, 1e-6, 0.5]), st.floats(1e-6, 1))
entries = st.floats(-10, 10, allow_subnormal=False)


def near(got: np.ndarray, wanted: np.ndarray, scale: float | None = None) -> bool:
    """Equal up to the rounding of a sum, measured by the largest entry."""
    return bool(np.abs(got - wanted).max() <= 1e-10 * (np.abs(wanted).max() if scale is None else scale))


@st.composite
def laws(draw):
    """mu, sigma, batch size, p and eta of a case that is small enough to enumerate."""
    n = draw(sizes(1, 3))
    mu, p = draw(arrays(np.float64, n, elements=entries)), draw(arrays(np.float64, n, elements=keep))
    return mu, draw(st.floats(0.01, 5)), draw(sizes(1, 4)), p, draw(st.sampled_from([1.0, 0.1, 3e-4]))


@given(arrays(np.float64, st.integers(0, 6), elements=st.one_of(keep, st.just(0.0))))
def test_all_masks_are_there_once_with_their_probabilities(p):
    masks, weights = enumerate_masks(p)
    assert sorted(map(tuple, masks.tolist())) == sorted(itertools.product([False, True], repeat=len(p)))
    assert np.isclose(weights.sum(), 1)
    assert np.allclose(weights @ masks, p)
    for m, w in zip(masks, weights, strict=True):
        assert np.isclose(w, math.prod(q if kept else 1 - q for kept, q in zip(m, p, strict=True)))


@given(laws())
def test_two_point_batches_have_the_moments_of_equation_16(law):
    mu, sigma, size, _, _ = law
    gbar, weights = two_point_batches(mu, sigma, size)
    assert len(gbar) == (size + 1) ** len(mu)
    assert np.isclose(weights.sum(), 1)
    assert np.allclose(weights @ gbar, mu)
    off = gbar - mu
    assert np.allclose(off.T @ (weights[:, None] * off), sigma**2 / size * np.eye(len(mu)), atol=1e-12)


@given(laws())
def test_the_mean_of_equation_17_by_enumeration(law):
    mu, sigma, size, p, eta = law
    gbar, weights = two_point_batches(mu, sigma, size)
    mean, _ = enumerated_moments(gbar, weights, np.broadcast_to(p, gbar.shape), eta)
    assert near(mean, update_mean(mu, eta), eta * np.abs(gbar).max())


@given(laws())
def test_the_covariance_of_equation_18_by_enumeration(law):
    mu, sigma, size, p, eta = law
    gbar, weights = two_point_batches(mu, sigma, size)
    _, covariance = enumerated_moments(gbar, weights, np.broadcast_to(p, gbar.shape), eta)
    assert near(covariance, update_covariance(mu, sigma, size, p, eta))


@given(laws(), st.data())
def test_with_p_from_the_batch_the_mean_holds_and_the_covariance_is_the_total_variance(law, data):
    mu, sigma, size, _, eta = law
    gbar, weights = two_point_batches(mu, sigma, size)
    p = data.draw(arrays(np.float64, gbar.shape, elements=keep, fill=st.just(0.5)))
    mean, covariance = enumerated_moments(gbar, weights, p, eta)
    assert near(mean, update_mean(mu, eta), eta * np.abs(gbar).max())
    assert near(covariance, data_dependent_covariance(gbar, weights, p, eta))


@given(laws())
def test_with_p_fixed_the_total_variance_is_equation_18(law):
    mu, sigma, size, p, eta = law
    gbar, weights = two_point_batches(mu, sigma, size)
    total = data_dependent_covariance(gbar, weights, np.broadcast_to(p, gbar.shape), eta)
    assert near(total, update_covariance(mu, sigma, size, p, eta))


def test_with_ranked_p_equation_18_at_the_mean_p_is_off_and_the_total_variance_is_not():
    mu = np.array([0.5, -0.4, 0.3])
    gbar, weights = two_point_batches(mu, 1.0, 3)
    p = np.stack([keep_probability(rank_normalise(g * g), 0.6, 1) for g in gbar])
    _, covariance = enumerated_moments(gbar, weights, p)
    assert near(covariance, data_dependent_covariance(gbar, weights, p))
    assert not np.allclose(covariance, update_covariance(mu, 1.0, 3, weights @ p), rtol=0.02)


@given(laws(), st.floats(0, 1))
def test_the_bound_19_is_never_violated(law, share):
    mu, sigma, size, p, eta = law
    covariance = update_covariance(mu, sigma, size, p, eta)
    bound = covariance_bound(mu, sigma, size, p.min() * (1 - 0.5 * share), eta)
    assert np.linalg.eigvalsh(bound - covariance).min() >= -1e-12 * bound.max()


@given(laws())
def test_the_bound_19_is_reached_where_every_p_is_the_least(law):
    mu, sigma, size, p, eta = law
    least = np.full_like(mu, p.min())
    bound = covariance_bound(mu, sigma, size, float(p.min()), eta)
    assert near(update_covariance(mu, sigma, size, least, eta), bound)
    noise, p_min = sigma**2 / size, p.min()
    wanted = eta**2 * (noise / p_min * np.eye(len(mu)) + (1 - p_min) / p_min * np.diag(mu**2))
    assert near(bound, wanted)


@given(laws())
def test_the_mask_never_lowers_the_variance_and_adds_what_the_note_says(law):
    mu, sigma, size, p, eta = law
    masked = update_covariance(mu, sigma, size, p, eta)
    plain = update_covariance(mu, sigma, size, np.ones_like(mu), eta)
    assert np.linalg.eigvalsh(masked - plain).min() >= -1e-12 * masked.max()
    added = eta**2 * np.diag((1 - p) / p * (sigma**2 / size + mu**2))
    assert near(masked - plain, added, masked.max())


@given(arrays(np.float64, 5, elements=entries), arrays(np.float64, 5, elements=keep))
def test_for_one_fixed_gradient_only_the_mask_varies(g, p):
    mean, covariance = enumerated_moments(g[None], [1.0], p[None])
    assert near(mean, -g, np.abs(g).max() + 1e-300)
    assert np.allclose(
        covariance, np.diag(g * g * (1 - p) / p), rtol=1e-9, atol=1e-9 * (g * g / p).max() + 1e-300
    )


@given(rngs)
def test_the_enumeration_agrees_with_the_update_as_it_is_trained(rng):
    g, p = rng.normal(size=4), rng.uniform(0.1, 1, 4)
    masks, weights = enumerate_masks(p)
    updates = np.array([-0.1 * unbiased_gradient(g, m, p) for m in masks])
    mean, _ = enumerated_moments(g[None], [1.0], p[None], 0.1)
    assert np.allclose(weights @ updates, mean)


def test_with_p_from_the_batch_the_sampled_mean_is_the_batch_gradient():
    """Given the batches, the sum over draws of ghat - gbar has bounded, independent, centred terms.

    Bernstein: P(|sum| >= t) <= 2 exp(-t^2 / 2 / (V + R t / 3)), V its variance, R the largest term. The limit
    is that t for a false alarm rate of 1e-9 over all entries; no normal approximation.
    """
    rng, n, times = np.random.default_rng(0), 6, 100
    gbar = rng.normal(np.linspace(-1, 1, n), 0.5, size=(1000, n))
    p = np.stack([keep_probability(rank_normalise(g * g), 0.6, 1) for g in gbar])
    gbar, p, draws = np.tile(gbar, (times, 1)), np.tile(p, (times, 1)), 1000 * times
    off = np.sum(unbiased_gradient(gbar, bernoulli_mask(p, rng), p) - gbar, axis=0)
    variance = np.sum((1 - p) / p * gbar**2, axis=0)
    largest = np.max(np.abs(gbar) * np.maximum(1 / p - 1, 1), axis=0)
    nats = math.log(2 * n / 1e-9)
    limit = largest * nats / 3 + np.sqrt((largest * nats / 3) ** 2 + 2 * variance * nats)
    assert (np.abs(off) <= limit).all()
    assert (
        limit / draws < 0.03 * np.sqrt(np.mean(gbar**2, axis=0))
    ).all()  # a bias of 3 % of the RMS would show


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_batch_sizes_are_whole_and_positive(size):
    refused("batch_size", lambda: update_covariance([1.0], 1.0, size, [0.5]))
    refused("batch_size", lambda: two_point_batches([1.0], 1.0, size))


def test_bad_input_is_refused():
    refused("mu", lambda: update_mean([[1.0]]))
    refused("mu", lambda: update_mean([np.nan]))
    refused("learning_rate", lambda: update_mean([1.0], -0.1))
    refused("sigma", lambda: update_covariance([1.0], -1.0, 2, [0.5]))
    for p in ([0.0], [1.1], [np.nan], [0.5, 0.5]):
        refused("p", lambda p=p: update_covariance([1.0], 1.0, 2, p))
    for p_min in (0.0, 1.1, np.nan):
        refused("p_min", lambda p_min=p_min: covariance_bound([1.0], 1.0, 2, p_min))
    refused("p", lambda: enumerate_masks([1.5]))
    refused("p: got shape (21,), wanted shape (n <= 20,)", lambda: enumerate_masks(np.full(21, 0.5)))
    for moments in (enumerated_moments, data_dependent_covariance):
        refused("gradients", lambda moments=moments: moments([1.0], [1.0], [0.5]))
        refused("weights", lambda moments=moments: moments([[1.0]], [0.5], [[0.5]]))
        refused("weights", lambda moments=moments: moments([[1.0]], [1.0, 0.0], [[0.5]]))
        refused("p", lambda moments=moments: moments([[1.0]], [1.0], [0.5]))
        refused("p", lambda moments=moments: moments([[1.0]], [1.0], [[0.0]]))
    refused("gradients", lambda: enumerated_moments(np.ones((1, 21)), [1.0], np.ones((1, 21))))
