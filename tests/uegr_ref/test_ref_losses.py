from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ref_strategies import dtypes, logits_of, refused, rngs, seeds, sizes

from uegr_ref import (
    adversarial_loss,
    adversarial_loss_grad,
    consistency_loss,
    consistency_loss_grad,
    cross_entropy,
    cross_entropy_grad,
    js,
    js_grad,
    js_pairwise,
    js_pairwise_grad,
    log_softmax,
    sym_kl,
    sym_kl_grad,
    total_loss,
    total_loss_grad,
)
from uegr_ref.gradcheck import check_gradient

DIVERGENCES = {
    "js": (js, js_grad),
    "js_pairwise": (js_pairwise, js_pairwise_grad),
    "sym_kl": (sym_kl, sym_kl_grad),
}
divergences = pytest.mark.parametrize(("value", "grad"), DIVERGENCES.values(), ids=DIVERGENCES.keys())
stacks = logits_of(sizes(1, 5), sizes())  # (K, N, C)


def labels_for(z: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, z.shape[-1], z.shape[-2])


def softmax(z: np.ndarray) -> np.ndarray:
    """The textbook formula: an oracle for moderate logits."""
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def entropy(p: np.ndarray) -> np.ndarray:
    return -np.sum(p * np.log(p), axis=-1)


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


@given(stacks)
def test_js_is_the_entropy_of_the_mean_less_the_mean_entropy(z):
    p = softmax(z)
    wanted = np.mean(entropy(p.mean(axis=0)) - entropy(p).mean(axis=0))
    assert np.isclose(js(z), wanted, atol=1e-12)


@given(logits_of(sizes(2, 4), sizes()))
def test_pairwise_js_and_symmetric_kl_are_means_over_pairs(z):
    p = softmax(z)
    pairs = list(itertools.combinations(p, 2))
    by_pair = [entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2 for p, q in pairs]
    assert np.isclose(js_pairwise(z), np.mean(by_pair), atol=1e-12)
    kl = [np.sum(p * np.log(p / q) + q * np.log(q / p), axis=-1) / 2 for p, q in pairs]
    assert np.isclose(sym_kl(z), np.mean(kl), atol=1e-10)


@given(logits_of(st.just(2), sizes()))
def test_for_two_models_pairwise_js_is_js(z):
    assert js_pairwise(z) == js(z)


@divergences
@given(z=stacks, rng=rngs)
def test_every_divergence_is_symmetric_and_not_negative(value, grad, z, rng):
    order = rng.permutation(len(z))
    assert np.isclose(value(z[order]), value(z), atol=1e-12)
    assert np.allclose(grad(z[order]), grad(z)[order], atol=1e-12)
    assert value(z) >= -1e-15


@given(stacks)
def test_js_is_at_most_ln_k(z):
    assert js(z) <= math.log(len(z)) + 1e-12


@pytest.mark.parametrize("k", [2, 3, 5])
def test_js_reaches_ln_k_where_the_models_are_sure_of_different_classes(k):
    assert np.isclose(js(1e4 * np.eye(k)[:, None, :]), math.log(k))


@divergences
@given(z=logits_of(sizes()), k=sizes(1, 5))
def test_every_divergence_of_equal_models_is_exactly_zero(value, grad, z, k):
    same = np.broadcast_to(z, (k, *z.shape))
    assert value(same) == 0
    assert not grad(same).any()


@divergences
@given(z=logits_of(sizes(2, 4), sizes(), limit=5), rng=rngs)
def test_every_divergence_of_different_models_is_positive(value, grad, z, rng):
    assume(z.shape[2] > 1)
    z = z[:1] + rng.normal(size=z.shape)
    assert value(z) > 0


@divergences
def test_a_single_model_and_a_single_class_do_not_diverge(value, grad):
    z = np.random.default_rng(0).normal(size=(1, 4, 3))
    assert value(z) == 0
    assert not grad(z).any()
    assert value(np.arange(6.0).reshape(2, 3, 1)) == 0


@given(logits_of(sizes(), limit=3), rngs)
def test_js_over_symmetric_kl_tends_to_a_quarter(z, rng):
    assume(z.shape[1] > 1)
    gap = rng.normal(size=z.shape)
    ratios = []
    for size in (1e-1, 1e-2):
        pair = np.stack([z, z + size * gap])
        ratios.append(js(pair) / sym_kl(pair))
    assert abs(ratios[1] - 0.25) < 1e-4
    assert abs(ratios[1] - 0.25) <= abs(ratios[0] - 0.25) + 1e-6


@divergences
@given(z=logits_of(sizes(1, 4), sizes(), limit=5), rng=rngs)
def test_divergence_grads_are_the_gradients(value, grad, z, rng):
    check_gradient(value, grad, z, rng)
    assert np.allclose(grad(z).sum(axis=-1), 0)


@divergences
@given(z=stacks)
def test_every_divergence_is_a_mean_over_the_examples(value, grad, z):
    twice = np.concatenate([z, z], axis=1)
    assert np.isclose(value(twice), value(z), atol=1e-12)
    assert np.allclose(grad(twice)[:, : z.shape[1]], grad(z) / 2, atol=1e-12)


@divergences
@given(dtype=dtypes, k=sizes(1, 4), rng=rngs)
def test_all_is_finite_for_one_hot_predictions(value, grad, dtype, k, rng):
    z = rng.choice([-1e4, 0.0, 1e4], size=(k, 5, 3)).astype(dtype)
    y = rng.integers(0, 3, 5)
    assert math.isfinite(value(z))
    assert np.isfinite(grad(z)).all()
    assert grad(z).dtype == dtype
    assert math.isfinite(cross_entropy(z[0], y))
    assert np.isfinite(cross_entropy_grad(z[0], y)).all()
    assert cross_entropy_grad(z[0], y).dtype == dtype
    assert js(z) <= math.log(k) + 1e-6


@given(st.integers(0, 2), sizes(0, 3), sizes(), sizes(2, 4), rngs)
def test_the_total_loss_is_made_of_its_terms(k, n, c, alpha, rng):
    clean, adversarial, y = rng.normal(size=(n, c)), rng.normal(size=(k, n, c)), rng.integers(0, c, n)
    each = [cross_entropy(z, y) for z in adversarial]
    for name, (value, _) in DIVERGENCES.items():
        divergence = value(adversarial) if k else 0.0
        for reduction, times in (("mean", 1), ("sum", n)):
            for over_k, l_adv in (("mean", sum(each) / max(k, 1)), ("sum", sum(each))):
                got = total_loss(clean, adversarial, y, alpha, name, reduction, over_k)
                assert np.isclose(got, cross_entropy(clean, y) + l_adv + alpha * times * divergence)
                assert np.isclose(adversarial_loss(adversarial, y, over_k), l_adv)
            assert np.isclose(consistency_loss(adversarial, name, reduction), times * divergence)
    assert np.isclose(
        total_loss(clean, adversarial, y, alpha, "none"), cross_entropy(clean, y) + sum(each) / max(k, 1)
    )


@pytest.mark.parametrize("consistency", [*DIVERGENCES, "none"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("over_k", ["mean", "sum"])
def test_total_loss_grad_is_its_gradient(consistency, reduction, over_k):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(4, 5, 3)), rng.integers(0, 3, 5)
    options = (0.7, consistency, reduction, over_k)

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


@divergences
def test_an_empty_batch_has_loss_zero(value, grad):
    z = np.zeros((2, 0, 3))
    assert value(z) == 0
    assert grad(z).shape == z.shape
    assert cross_entropy(z[0], []) == 0
    assert cross_entropy_grad(z[0], []).shape == (0, 3)
    assert total_loss(z[0], z, [], 0.5) == 0


@divergences
@given(z=stacks, rng=rngs)
def test_permuting_the_examples_permutes_the_gradients(value, grad, z, rng):
    order = rng.permutation(z.shape[1])
    assert np.isclose(value(z[:, order]), value(z), atol=1e-12)
    assert np.allclose(grad(z[:, order]), grad(z)[:, order], rtol=1e-12)


def test_bad_input_is_refused():
    z, y = np.zeros((2, 3)), np.zeros(2, int)
    refused("logits", lambda: log_softmax(np.zeros((2, 0))))
    refused("logits", lambda: log_softmax(1.0))
    refused("logits", lambda: cross_entropy([[np.nan, 0]], [0]))
    refused("logits", lambda: cross_entropy([[np.inf, 0]], [0]))
    refused("logits", lambda: cross_entropy(z[0], y))
    for labels in ([0, 3], [-1, 0], [0], [[0, 1]], [0.0, 1.0], [True, False], ["a", "b"]):
        for loss in (cross_entropy, cross_entropy_grad):
            refused("labels", lambda loss=loss, labels=labels: loss(z, labels))
    for value, grad in DIVERGENCES.values():
        for bad in (z, np.full((2, 2, 2), np.nan)):
            refused("logits", lambda value=value, bad=bad: value(bad))
            refused("logits", lambda grad=grad, bad=bad: grad(bad))
        refused("K, the first axis of logits", lambda value=value: value(np.zeros((0, 2, 3))))
    for loss in (total_loss, total_loss_grad):
        refused("adversarial_logits", lambda loss=loss: loss(z, np.zeros((2, 2, 4)), y, 0.5))
        refused("adversarial_logits", lambda loss=loss: loss(z, z, y, 0.5))
        refused("alpha", lambda loss=loss: loss(z, z[None], y, -1))
        refused("alpha", lambda loss=loss: loss(z, z[None], y, np.nan))
        refused("consistency", lambda loss=loss: loss(z, z[None], y, 1, "kl"))
        refused("reduction", lambda loss=loss: loss(z, z[None], y, 1, "js", "batchmean"))
        refused("adversarial_reduction", lambda loss=loss: loss(z, z[None], y, 1, "js", "mean", "max"))
    refused("consistency", lambda: consistency_loss_grad(z[None], "kl"))
