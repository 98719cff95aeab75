from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uegr_ref import keep_probability, masked_gradient
from uegr_ref.learn.properties.strategies import refused, rngs
from uegr_ref.theorem1 import sampling
from uegr_ref.theorem1.sampling import (
    ONE,
    Entry,
    entry,
    limits,
    mgf_of_product,
    mgf_of_square,
    sampled_moments,
)

MU = np.array([0.8, -0.5, 1.2, 0.3])
P = keep_probability(np.linspace(0, 1, 4), 0.6, 1)
DRAWS = 200_000
FALSE_ALARM_RATE = 1e-9
# The smallest bias of the mean that this test misses with no more than that chance: 3 to 6 % of the mean.
SMALLEST_DETECTABLE = np.array([0.051, 0.027, 0.038, 0.0146])

# Gauss-Hermite nodes: an oracle for the Gaussian integrals.
NODES, _MASSES = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = _MASSES / _MASSES.sum()


def expectation(x: Entry, function) -> np.ndarray:
    return sum(w * np.sum(WEIGHTS * function(m + s * NODES)) for w, m, s in x.parts)


def test_theorem_1_holds_for_gaussian_gradients_by_sampling():
    means, covariances = sampled_moments(MU, 1.0, 8, P, DRAWS, FALSE_ALARM_RATE, np.random.default_rng(0))
    assert len(means) == 4
    assert len(covariances) == 10
    assert not any(e.alarm for e in means + covariances)
    assert all(e.share_of_limit < 1 for e in means + covariances)


def test_the_stated_smallest_bias_is_what_the_limits_say():
    means, _ = sampled_moments(MU, 1.0, 8, P, DRAWS, FALSE_ALARM_RATE, np.random.default_rng(0))
    assert np.allclose([e.detectable for e in means], SMALLEST_DETECTABLE, rtol=0.01)


def biased(gradient, mask, p):
    return np.where(mask, gradient / p, 0) + SMALLEST_DETECTABLE * 1.02


def shared(p, rng):
    return rng.random((len(p), 1)) < p


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("unbiased_gradient", biased),
        ("unbiased_gradient", lambda g, m, p: masked_gradient(g, m)),
        ("unbiased_gradient", lambda g, m, p: np.where(m, g / p**2, 0)),
        ("unbiased_gradient", lambda g, m, p: np.where(m, g / p.mean(), 0)),
        ("bernoulli_mask", shared),
        ("bernoulli_mask", lambda p, rng: rng.random(p.shape) < 1.1 * p),
    ],
)
def test_sampling_catches_what_is_wrong(monkeypatch, name, wrong):
    monkeypatch.setattr(sampling, name, wrong)
    means, covariances = sampled_moments(MU, 1.0, 8, P, DRAWS, FALSE_ALARM_RATE, np.random.default_rng(0))
    assert any(e.alarm for e in means + covariances)


@given(st.floats(-2, 2), st.floats(0.01, 1), st.floats(0.05, 1))
def test_the_law_of_an_entry_has_the_moments_of_the_theorem(mu, noise, p):
    x = entry(mu, noise, p)
    assert np.isclose(expectation(x, lambda v: v), 0, atol=1e-9)
    assert np.isclose(x.square, noise**2 / p + (1 - p) / p * mu**2)
    assert np.isclose(x.square, expectation(x, lambda v: v**2))
    assert np.isclose(x.fourth, expectation(x, lambda v: v**4))


@given(st.floats(-1, 1), st.floats(0.1, 0.5), st.floats(0.4, 1), st.floats(-0.1, 0.1))
def test_the_generating_functions_are_the_integrals(mu, noise, p, rate):
    x, y = entry(mu, noise, p), entry(0.5, 0.3, 0.7)
    rates = np.array([rate])
    assert np.isclose(mgf_of_square(x, rates)[0], expectation(x, lambda v: np.exp(rate * v * v)), rtol=1e-6)
    inner = lambda v: expectation(y, lambda u: np.exp(rate * u * v))  # noqa: E731
    by_nodes = expectation(x, lambda v: np.array([inner(one) for one in v]))
    assert np.isclose(mgf_of_product(x, y, rates)[0], by_nodes, rtol=1e-6)
    assert np.isclose(mgf_of_product(x, ONE, rates)[0], expectation(x, lambda v: np.exp(rate * v)), rtol=1e-6)


def test_the_generating_functions_are_infinite_where_the_integrals_diverge():
    x = entry(0.0, 1.0, 0.5)  # standard deviation 2 where kept
    assert math.isfinite(mgf_of_square(x, np.array([0.12]))[0])
    assert mgf_of_square(x, np.array([0.13]))[0] == math.inf
    assert math.isfinite(mgf_of_product(x, x, np.array([-0.24]))[0])
    assert mgf_of_product(x, x, np.array([-0.26]))[0] == math.inf


@given(st.floats(0.1, 10), st.integers(100, 10**6))
def test_for_a_gaussian_the_limit_is_the_known_one(spread, draws):
    x = Entry(((1.0, 0.0, spread),))
    low, high = limits(lambda rate: mgf_of_product(x, ONE, rate), spread**2, draws, 1e-9)
    wanted = spread * math.sqrt(2 * math.log(1e9) / draws)
    assert np.allclose([low, high], [-wanted, wanted], rtol=1e-3)
    assert high >= wanted * (1 - 1e-9)  # any grid of lambda gives a valid limit: never a smaller one


@given(rngs)
def test_limits_hold_far_more_often_than_they_claim_to_at_least(rng):
    """At a chance of 0.05 a side, more than 85 of 400 means lie beyond once in 3e9 times (binomial)."""
    x = entry(1.0, 0.5, 0.2)
    low, high = limits(lambda rate: mgf_of_product(x, ONE, rate), x.square, 50, 0.05)
    kept = rng.random((400, 50)) < 0.2
    means = (np.where(kept, rng.normal(1.0, 0.5, (400, 50)) / 0.2, 0) - 1).mean(axis=1)
    assert np.sum((means < low) | (means > high)) <= 85


def test_bad_input_is_refused():
    rng = np.random.default_rng(0)
    refused("mu", lambda: sampled_moments([[1.0]], 1.0, 1, [0.5], 10, 0.1, rng))
    refused("p", lambda: sampled_moments([1.0], 1.0, 1, [0.0], 10, 0.1, rng))
    refused("sigma", lambda: sampled_moments([1.0], 0.0, 1, [0.5], 10, 0.1, rng))
    refused("draws", lambda: sampled_moments([1.0], 1.0, 1, [0.5], 0, 0.1, rng))
    refused("chance", lambda: sampled_moments([1.0], 1.0, 1, [0.5], 10, 0.0, rng))
    refused("rng", lambda: sampled_moments([1.0], 1.0, 1, [0.5], 10, 0.1, 0))
