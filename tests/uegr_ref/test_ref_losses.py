from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from uegr_ref import (
    adversarial_loss,
    adversarial_loss_grad,
    cross_entropy,
    cross_entropy_grad,
    divergence_loss,
    divergence_loss_grad,
    log_softmax,
    total_loss,
    total_loss_grad,
)
from uegr_ref.divergence import DIVERGENCES
from uegr_ref.learn.properties import losses as laws
from uegr_ref.learn.properties.strategies import dtypes, refused, rngs


def test_log_softmax_is_the_log_of_a_distribution():
    laws.log_softmax_is_the_log_of_a_distribution(log_softmax)


def test_cross_entropy_is_the_mean_of_minus_log_p():
    laws.cross_entropy_is_the_mean_of_minus_log_p(cross_entropy)


def test_cross_entropy_grad_is_its_gradient():
    laws.cross_entropy_grad_is_its_gradient(cross_entropy, cross_entropy_grad)


@pytest.mark.parametrize("divergence", [*DIVERGENCES])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("over_k", ["mean", "sum"])
def test_the_total_loss_is_made_of_its_terms(divergence, reduction, over_k):
    laws.the_total_loss_is_made_of_its_terms(total_loss, (divergence, reduction, over_k))


@pytest.mark.parametrize("over_k", ["mean", "sum"])
def test_the_adversarial_loss_is_the_mean_of_the_cross_entropies(over_k):
    laws.the_adversarial_loss_is_the_mean_of_the_cross_entropies(adversarial_loss, over_k)


def test_adversarial_loss_grad_is_its_gradient():
    laws.adversarial_loss_grad_is_its_gradient(adversarial_loss, adversarial_loss_grad)


@pytest.mark.parametrize("name", [*DIVERGENCES])
def test_the_sum_of_a_divergence_is_the_mean_times_the_examples(name):
    z = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert np.isclose(divergence_loss(z, name), DIVERGENCES[name][0](z))
    assert np.isclose(divergence_loss(z, name, "sum"), 5 * DIVERGENCES[name][0](z))


@pytest.mark.parametrize("divergence", [*DIVERGENCES])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("over_k", ["mean", "sum"])
def test_total_loss_grad_is_its_gradient(divergence, reduction, over_k):
    laws.total_loss_grad_is_its_gradient(total_loss, total_loss_grad, (divergence, reduction, over_k))


def test_alpha_moves_the_gradient_by_that_many_js_gradients():
    laws.alpha_moves_the_gradient_by_that_many_js_gradients(total_loss_grad)


def test_alpha_zero_is_the_loss_without_divergence_bit_for_bit():
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(3, 4, 3)), rng.integers(0, 3, 4)
    assert total_loss(z[0], z, y, 0.0) == total_loss(z[0], z, y, 1.0, "none")
    assert np.array_equal(total_loss_grad(z[0], z, y, 0.0)[1], total_loss_grad(z[0], z, y, 1.0, "none")[1])


def test_cross_entropy_is_finite_for_one_hot_predictions():
    laws.cross_entropy_is_finite_for_one_hot_predictions(cross_entropy, cross_entropy_grad)


@given(dtypes, rngs)
def test_all_is_finite_for_one_hot_predictions(dtype, rng):
    z = rng.choice([-1e4, 0.0, 1e4], size=(3, 5, 4)).astype(dtype)
    y = rng.integers(0, 4, 5)
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
        laws.labels_out_of_range_are_refused(loss)
    for loss in (total_loss, total_loss_grad):
        refused("adversarial_logits", lambda loss=loss: loss(z, np.zeros((2, 2, 4)), y, 0.5))
        refused("adversarial_logits", lambda loss=loss: loss(z, z, y, 0.5))
        refused("alpha", lambda loss=loss: loss(z, z[None], y, -1))
        refused("alpha", lambda loss=loss: loss(z, z[None], y, np.nan))
        refused("divergence", lambda loss=loss: loss(z, z[None], y, 1, "kl"))
        refused("divergence_reduction", lambda loss=loss: loss(z, z[None], y, 1, "js", "batchmean"))
        refused("adversarial_reduction", lambda loss=loss: loss(z, z[None], y, 1, "js", "mean", "max"))
    refused("divergence", lambda: divergence_loss_grad(z[None], "kl"))
