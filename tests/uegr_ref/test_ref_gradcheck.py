from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from uegr_ref.gradcheck import check_gradient, gradient_error
from uegr_ref.learn.properties.strategies import dtypes, refused, rngs, sizes


def smooth(x: np.ndarray) -> float:
    return float(np.sum(np.sin(x) * np.arange(1, x.size + 1)) + np.sum(x) ** 2 / 10)


def smooth_grad(x: np.ndarray) -> np.ndarray:
    return np.cos(x) * np.arange(1, x.size + 1) + np.sum(x) / 5


def slightly_wrong(x: np.ndarray) -> np.ndarray:
    return 1.001 * smooth_grad(x)


@given(sizes(1, 50), rngs)
def test_the_right_gradient_passes(n, rng):
    check_gradient(smooth, smooth_grad, rng.normal(size=n), rng)


@given(sizes(1, 50), rngs)
def test_an_error_of_a_tenth_of_a_per_cent_is_caught(n, rng):
    x = rng.normal(size=n)
    with pytest.raises(AssertionError, match=r"slightly_wrong: off by .* of its size"):
        check_gradient(smooth, slightly_wrong, x, rng)
    assert gradient_error(smooth, x, 1.001 * smooth_grad(x), rng) > 1e-5


@given(sizes(2, 50), rngs)
def test_one_wrong_sign_and_one_missing_term_are_caught(n, rng):
    x = rng.normal(size=n)
    flipped, missing = smooth_grad(x), smooth_grad(x)
    flipped[-1] *= -1
    missing[0] -= 0.1
    assert gradient_error(smooth, x, flipped, rng) > 1e-5
    assert gradient_error(smooth, x, missing, rng) > 1e-5


@given(dtypes, rngs)
def test_the_step_suits_the_precision(dtype, rng):
    x = rng.normal(size=20).astype(dtype)
    good = gradient_error(lambda x: float(np.sum(np.sin(x))), x, np.cos(x), rng)
    bad = gradient_error(lambda x: float(np.sum(np.sin(x))), x, 1.1 * np.cos(x), rng)
    assert good < (1e-7 if dtype is np.float64 else 1e-2)
    assert bad > 1e-3


def test_a_flat_function_has_gradient_zero_and_no_other():
    rng = np.random.default_rng(0)
    assert gradient_error(lambda x: 1.0, np.ones(3), np.zeros(3), rng) == 0
    assert gradient_error(lambda x: 1.0, np.ones(3), np.full(3, 1e-3), rng) > 0.01


def test_bad_input_is_refused():
    rng = np.random.default_rng(0)
    refused("x", lambda: gradient_error(smooth, [np.nan], [1.0], rng))
    refused("gradient", lambda: gradient_error(smooth, [1.0, 2.0], [1.0], rng))
    refused("rng", lambda: gradient_error(smooth, [1.0], [1.0], 0))
    refused("directions", lambda: gradient_error(smooth, [1.0], [1.0], rng, 0))
