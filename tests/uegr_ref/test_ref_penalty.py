from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uegr_ref import apply_dropout, enumerate_masks, fgsm, js
from uegr_ref.gradcheck import check_gradient
from uegr_ref.learn.properties.small_model import DIMENSIONS, case, dropout
from uegr_ref.learn.properties.strategies import gradients, logits_of, refused, rngs, sizes
from uegr_ref.losses import cross_entropy, cross_entropy_grad
from uegr_ref.model import backward, forward
from uegr_ref.penalty import (
    dropout_penalty,
    gain,
    gain_across_masks,
    gradient_penalty,
    js_second_order,
    output_curvature,
    remainder,
    steepest,
)

norms = pytest.mark.parametrize("norm", ["linf", "l2"])


def smooth_loss(rng, how_many_masks=1):
    """The input of the tanh classifier, and for each of some dropout masks its loss and the gradient."""
    theta, tokens, mask, y = case(rng)
    x = rng.normal(size=(*tokens.shape, DIMENSIONS))
    pairs = []
    for _ in range(how_many_masks):
        drop = dropout(rng, tokens)

        def loss(x, drop=drop):
            return cross_entropy(forward(theta, x, mask, drop)[0], y)

        def grad(x, drop=drop):
            logits, trace = forward(theta, x, mask, drop)
            return backward(theta, trace, cross_entropy_grad(logits, y)).vectors

        pairs.append((loss, grad))
    return x, pairs


@norms
@given(case=gradients(), epsilon=st.floats(0, 2))
def test_the_penalty_is_the_sum_of_dual_norms_and_the_most_a_linear_loss_can_gain(norm, case, epsilon):
    g, _ = case
    each = [np.abs(one).sum() if norm == "linf" else np.sqrt((one**2).sum()) for one in g]
    assert np.isclose(gradient_penalty(g, epsilon, norm), epsilon * sum(each))
    assert np.isclose(np.sum(g * steepest(g, epsilon, norm)), gradient_penalty(g, epsilon, norm))


@norms
@given(rng=rngs)
def test_statement_a_the_gain_over_the_penalty_tends_to_one(norm, rng):
    x, [(loss, grad)] = smooth_loss(rng)
    g = grad(x)
    ratios = [gain(loss, x, g, eps, norm) / gradient_penalty(g, eps, norm) for eps in (1e-3, 1e-5)]
    assert abs(ratios[1] - 1) < 1e-3
    assert abs(ratios[1] - 1) < abs(ratios[0] - 1) + 1e-6


@norms
def test_statement_b_half_the_epsilon_leaves_a_quarter_of_the_remainder(norm):
    """In the median of 25 models: in a single one the second order may happen to vanish."""
    ratios = []
    for seed in range(25):
        x, [(loss, grad)] = smooth_loss(np.random.default_rng(seed))
        g = grad(x)
        ratios.append(remainder(loss, x, g, 1e-3, norm) / remainder(loss, x, g, 5e-4, norm))
    assert abs(np.median(ratios) - 4) < 0.05


@norms
@given(rng=rngs)
def test_statement_c_a_perturbation_from_another_mask_gains_less(norm, rng):
    x, [(_, grad_0), (loss_k, grad_k)] = smooth_loss(rng, 2)
    g_0, g_k, eps = grad_0(x), grad_k(x), 1e-5
    first_order = gain_across_masks(g_k, g_0, eps, norm)
    assert first_order <= gradient_penalty(g_k, eps, norm) * (1 + 1e-12)
    assert np.isclose(gain_across_masks(g_k, g_k, eps, norm), gradient_penalty(g_k, eps, norm))
    actual = loss_k(x + steepest(g_0, eps, norm)) - loss_k(x)
    assert abs(actual - first_order) < 1e-3 * gradient_penalty(g_k, eps, norm)


@given(rngs)
def test_statement_c_for_l2_the_loss_factor_is_the_cosine(rng):
    g_0, g_k = rng.normal(size=(2, 1, 3, 2))
    cosine = np.sum(g_0 * g_k) / np.sqrt(np.sum(g_0**2) * np.sum(g_k**2))
    quotient = gain_across_masks(g_k, g_0, 0.1, "l2") / gradient_penalty(g_k, 0.1, "l2")
    assert np.isclose(quotient, cosine)


@given(logits_of(sizes(), limit=3), rngs)
def test_statement_d_js_is_quadratic_in_a_small_gap(z, rng):
    gap = rng.normal(size=z.shape)
    assert js_second_order(z, 0 * gap) == 0
    for size in (1e-2, 1e-3):
        pair = np.stack([z, z + size * gap])
        off = abs(js(pair) - js_second_order(z, size * gap))
        assert off < 0.5 * (size * np.abs(gap).max()) ** 3 + 1e-15


@given(rngs)
def test_statement_d_js_second_order_is_the_quadratic_form(rng):
    z, gap = rng.normal(size=(2, 3, 4))
    wanted = 0
    for row, dz in zip(z, gap, strict=True):
        p = np.exp(row) / np.exp(row).sum()
        wanted += dz @ (np.diag(p) - np.outer(p, p)) @ dz / 8 / 3
    assert np.isclose(js_second_order(z, gap), wanted)


def mean_over_masks(loss, h, q):
    masks, weights = enumerate_masks(1 - q)
    return sum(w * loss(apply_dropout(h, m[None], q)) for m, w in zip(masks, weights, strict=True))


@given(rngs, arrays(np.float64, 4, elements=st.floats(0, 0.8)))
def test_statement_e_is_exact_for_a_quadratic_loss(rng, q):
    root, h = rng.normal(size=(4, 4)), rng.normal(size=(1, 4))
    a = root @ root.T

    def loss(h):
        return float(0.5 * h[0] @ a @ h[0] + h[0].sum())

    assert np.isclose(mean_over_masks(loss, h, q) - loss(h), dropout_penalty(h, np.diag(a)[None], q))


@given(rngs)
def test_statement_e_holds_to_second_order_for_the_classifier(rng):
    w, y, q = rng.normal(size=(5, 3)), [1], rng.uniform(0.1, 0.5, 5)
    direction = rng.normal(size=(1, 5))
    for size, allowed in ((1e-2, 0.5), (1e-3, 0.05), (1e-4, 0.005)):
        h = size * direction
        penalty = dropout_penalty(h, output_curvature(h @ w, w), q)
        actual = mean_over_masks(lambda h: cross_entropy(h @ w, y), h, q) - cross_entropy(h @ w, y)
        assert abs(actual - penalty) < allowed * penalty + 1e-14


@given(rngs)
def test_output_curvature_is_the_second_derivative(rng):
    h, w, y = rng.normal(size=(3, 4)), rng.normal(size=(4, 3)), rng.integers(0, 3, 3)
    for u in range(4):

        def slope(h_u, u=u):
            moved = h.copy()
            moved[:, u] = h_u
            return float(np.sum(cross_entropy_grad(moved @ w, y) @ w[u]))

        check_gradient(slope, lambda _, u=u: output_curvature(h @ w, w)[:, u], h[:, u], rng)


def test_raising_the_rate_where_the_curvature_is_large_raises_the_penalty():
    h, c = np.ones((1, 2)), np.array([[1.0, 9.0]])
    assert dropout_penalty(h, c, [0.1, 0.3]) > dropout_penalty(h, c, [0.3, 0.1])


def test_bad_input_is_refused():
    g = np.ones((1, 2, 3))
    refused("norm", lambda: steepest(g, 0.1, "l1"))
    refused("norm", lambda: gradient_penalty(g, 0.1, "l1"))
    refused("epsilon", lambda: gradient_penalty(g, -0.1))
    refused("gradient", lambda: gradient_penalty(fgsm(g, 0.1)[0], 0.1))
    refused("gradient_0", lambda: gain_across_masks(g, np.ones((1, 2, 1)), 0.1))
    refused("gap", lambda: js_second_order(np.ones((2, 3)), np.ones((1, 3))))
    refused("curvature", lambda: dropout_penalty(np.ones((2, 3)), np.ones((1, 3)), [0.1] * 3))
    refused("rates", lambda: dropout_penalty(np.ones((2, 3)), np.ones((2, 3)), [0.1]))
    refused("output_weight", lambda: output_curvature(np.ones((2, 3)), np.ones((4, 2))))
