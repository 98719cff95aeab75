from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ref_strategies import dtypes, logits_of, refused, rngs, seeds, sizes

from uegr_ref import (
    adversarial_loss,
    adversarial_loss_grad,
    cross_entropy,
    cross_entropy_grad,
    divergence_loss,
    divergence_loss_grad,
    js_grad,
    log_softmax,
    total_loss,
    total_loss_grad,
)
from uegr_ref.divergence import DIVERGENCES
from uegr_ref.gradcheck import check_gradient


def softmax(z: np.ndarray) -> np.ndarray:
    """The textbook formula: an oracle for moderate logits."""
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def labels_for(z: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, z.shape[-1], z.shape[-2])


@given(logits_of(sizes(0, 4)))
def test_log_softmax_is_the_log_of_a_distribution(z):
    log_p = log_softmax(z)
    assert np.allclose(np.exp(log_p).sum(axis=-1), 1)
    assert np.allclose(log_p, np.log(softmax(z)))
    assert np.allclose(log_softmax(z + 1000), log_p, atol=1e-9)


@given(logits_of(sizes(0, 5)), seeds)
def test_cross_entropy_is_the_mean_of_minus_log_p(z, seed):
    y = labels_for(z, seed)
    wanted = sum(-math.log(softmax(row)[label]) for row, label in zip(z, y, strict=True)) / max(len(z), 1)
    assert np.isclose(cross_entropy(z, y), wanted)
    assert np.isclose(cross_entropy(np.tile(z, (3, 1)), np.tile(y, 3)), wanted)  # a mean, not a sum


@given(logits_of(sizes()), seeds, rngs)
def test_cross_entropy_grad_is_its_gradient(z, seed, rng):
    y = labels_for(z, seed)
    check_gradient(lambda z: cross_entropy(z, y), lambda z: cross_entropy_grad(z, y), z, rng)
    assert np.allclose(cross_entropy_grad(z, y).sum(axis=-1), 0)


@given(st.integers(0, 2), sizes(0, 3), sizes(), sizes(2, 4), rngs)
def test_the_total_loss_is_made_of_its_terms(k, n, c, alpha, rng):
    clean, adversarial, y = rng.normal(size=(n, c)), rng.normal(size=(k, n, c)), rng.integers(0, c, n)
    each = [cross_entropy(z, y) for z in adversarial]
    for name in ("js", "js_pairwise", "sym_kl"):
        value, _ = DIVERGENCES[name]
        apart = value(adversarial) if k else 0.0
        for reduction, times in (("mean", 1), ("sum", n)):
            for over_k, l_adv in (("mean", sum(each) / max(k, 1)), ("sum", sum(each))):
                got = total_loss(clean, adversarial, y, alpha, name, reduction, over_k)
                assert np.isclose(got, cross_entropy(clean, y) + l_adv + alpha * times * apart)
                assert np.isclose(adversarial_loss(adversarial, y, over_k), l_adv)
            assert np.isclose(divergence_loss(adversarial, name, reduction), times * apart)
    assert np.isclose(
        total_loss(clean, adversarial, y, alpha, "none"), cross_entropy(clean, y) + sum(each) / max(k, 1)
    )


@pytest.mark.parametrize("divergence", [*DIVERGENCES])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("over_k", ["mean", "sum"])
def test_total_loss_grad_is_its_gradient(divergence, reduction, over_k):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(4, 5, 3)), rng.integers(0, 3, 5)
    options = (0.7, divergence, reduction, over_k)

    def grad(z):
        clean, adversarial = total_loss_grad(z[0], z[1:], y, *options)
        return np.concatenate([clean[None], adversarial])

    check_gradient(lambda z: total_loss(z[0], z[1:], y, *options), grad, z, rng)


@given(logits_of(sizes(1, 3), sizes()), seeds, st.floats(0, 4))
def test_alpha_moves_the_gradient_by_that_many_js_gradients(z, seed, alpha):
    y = labels_for(z, seed)
    off, on = total_loss_grad(z[0], z, y, 0.0), total_loss_grad(z[0], z, y, alpha)
    assert np.array_equal(on[0], off[0])
    assert np.allclose(on[1], off[1] + alpha * js_grad(z))
    assert np.array_equal(off[1], adversarial_loss_grad(z, y))


def test_alpha_zero_is_the_loss_without_divergence_bit_for_bit():
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(3, 4, 3)), rng.integers(0, 3, 4)
    assert total_loss(z[0], z, y, 0.0) == total_loss(z[0], z, y, 1.0, "none")
    assert np.array_equal(total_loss_grad(z[0], z, y, 0.0)[1], total_loss_grad(z[0], z, y, 1.0, "none")[1])


@given(dtypes, rngs)
def test_all_is_finite_for_one_hot_predictions(dtype, rng):
    z = rng.choice([-1e4, 0.0, 1e4], size=(3, 5, 4)).astype(dtype)
    y = rng.integers(0, 4, 5)
    assert math.isfinite(cross_entropy(z[0], y))
    assert math.isfinite(total_loss(z[0], z, y, 0.5))
    for grad in (cross_entropy_grad(z[0], y), *total_loss_grad(z[0], z, y, 0.5)):
        assert np.isfinite(grad).all()
        assert grad.dtype == dtype


def test_an_empty_batch_has_loss_zero():
    z = np.zeros((2, 0, 3))
    assert cross_entropy(z[0], []) == 0
    assert cross_entropy_grad(z[0], []).shape == (0, 3)
    assert total_loss(z[0], z, [], 0.5) == 0
    assert total_loss_grad(z[0], z, [], 0.5)[1].shape == z.shape


def test_a_single_class_costs_nothing():
    assert cross_entropy([[3.0], [-2.0]], [0, 0]) == 0
    assert not cross_entropy_grad([[3.0], [-2.0]], [0, 0]).any()


def test_bad_input_is_refused():
    z, y = np.zeros((2, 3)), np.zeros(2, int)
    refused("logits", lambda: log_softmax(np.zeros((2, 0))))
    refused("logits", lambda: log_softmax(1.0))
    for loss in (cross_entropy, cross_entropy_grad):
        for bad in ([[np.nan, 0]], [[np.inf, 0]], z[0]):
            refused("logits", lambda loss=loss, bad=bad: loss(bad, [0]))
        for labels in ([0, 3], [-1, 0], [0], [[0, 1]], [0.0, 1.0], [True, False], ["a", "b"]):
            refused("labels", lambda loss=loss, labels=labels: loss(z, labels))
    for loss in (total_loss, total_loss_grad):
        refused("adversarial_logits", lambda loss=loss: loss(z, np.zeros((2, 2, 4)), y, 0.5))
        refused("adversarial_logits", lambda loss=loss: loss(z, z, y, 0.5))
        refused("alpha", lambda loss=loss: loss(z, z[None], y, -1))
        refused("alpha", lambda loss=loss: loss(z, z[None], y, np.nan))
        refused("divergence", lambda loss=loss: loss(z, z[None], y, 1, "kl"))
        refused("divergence_reduction", lambda loss=loss: loss(z, z[None], y, 1, "js", "batchmean"))
        refused("adversarial_reduction", lambda loss=loss: loss(z, z[None], y, 1, "js", "mean", "max"))
    refused("divergence", lambda: divergence_loss_grad(z[None], "kl"))
