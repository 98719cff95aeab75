from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from uegr_ref.learn.properties.strategies import rngs
from uegr_ref.optimizer import adamw, learning_rate_factor, no_moments, sgd


@given(rngs, st.floats(0, 2))
def test_sgd_takes_the_step_of_its_formula(rng, rate):
    theta, g = {"weight": rng.normal(size=(2, 3))}, {"weight": rng.normal(size=(2, 3))}
    before = theta["weight"].copy()
    assert np.array_equal(sgd(theta, g, rate)["weight"], before - rate * g["weight"])
    assert np.array_equal(theta["weight"], before)


@given(rngs)
def test_adamw_follows_the_scalar_recursion(rng):
    gradients = rng.normal(size=5)
    theta, moments = {"weight": np.array([0.7]), "bias": np.array([0.7])}, None
    moments = no_moments(theta)
    weight, bias, u, v = 0.7, 0.7, 0.0, 0.0
    for t, g in enumerate(gradients, start=1):
        both = {"weight": np.array([g]), "bias": np.array([g])}
        theta, moments = adamw(theta, both, moments, 0.1, 0.2, 0.8, 0.9, 1e-3)
        u, v = 0.8 * u + 0.2 * g, 0.9 * v + 0.1 * g * g
        step = (u / (1 - 0.8**t)) / (math.sqrt(v / (1 - 0.9**t)) + 1e-3)
        weight, bias = weight - 0.1 * step - 0.1 * 0.2 * weight, bias - 0.1 * step
        assert np.isclose(theta["weight"][0], weight)
        assert np.isclose(theta["bias"][0], bias)


def test_both_reach_the_bottom_of_a_bowl():
    start = {"weight": np.array([3.0, -2.0])}
    theta = start
    for _ in range(200):
        theta = sgd(theta, {"weight": 2 * (theta["weight"] - 1)}, 0.1)
    assert np.allclose(theta["weight"], 1, atol=1e-6)
    theta, moments = start, no_moments(start)
    for step in range(2000):
        rate = 0.1 * learning_rate_factor(step, 2000, 0.06)
        theta, moments = adamw(theta, {"weight": 2 * (theta["weight"] - 1)}, moments, rate, weight_decay=0.0)
    assert np.allclose(theta["weight"], 1, atol=1e-3)


def test_decay_moves_what_the_mask_left_out():
    theta = {"weight": np.array([2.0])}
    moved, _ = adamw(theta, {"weight": np.zeros(1)}, no_moments(theta), 0.1, weight_decay=0.01)
    assert np.isclose(moved["weight"][0], 2.0 - 0.1 * 0.01 * 2.0)


@given(st.integers(1, 500))
def test_the_schedule_rises_for_six_per_cent_and_falls_to_zero(steps):
    factors = np.array([learning_rate_factor(step, steps, 0.06) for step in range(steps)])
    assert ((factors > 0) & (factors <= 1)).all()
    top = int(np.argmax(factors))
    assert top <= math.ceil(0.06 * steps)
    assert (np.diff(factors[: top + 1]) >= 0).all()
    assert (np.diff(factors[top:]) <= 0).all()
    assert factors[-1] <= 2 / steps + 1e-12 or steps < 3


def test_the_schedule_in_numbers():
    """6 % of 24 steps are 1.44: two steps up, so that the second one is the first at the full rate."""
    factors = [learning_rate_factor(step, 24, 0.06) for step in range(24)]
    assert factors[:2] == [1 / 2, 1.0]
    assert factors[2:] == [(24 - step) / 23 for step in range(2, 24)]
    assert [learning_rate_factor(step, 3, 0.0) for step in range(3)] == [1.0, 2 / 3, 1 / 3]
    assert [learning_rate_factor(step, 3, 1.0) for step in range(3)] == [1 / 3, 2 / 3, 1.0]
    assert learning_rate_factor(0, 1, 0.06) == 1.0
