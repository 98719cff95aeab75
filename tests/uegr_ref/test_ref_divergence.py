from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from uegr_ref import js, js_pairwise, sym_kl
from uegr_ref.divergence import DIVERGENCES as ALL
from uegr_ref.learn.properties import divergence as laws
from uegr_ref.learn.properties.divergence import entropy, stacks
from uegr_ref.learn.properties.losses import softmax
from uegr_ref.learn.properties.strategies import logits_of, refused, rngs, sizes

DIVERGENCES = {name: ALL[name] for name in ("js", "js_pairwise", "sym_kl")}
divergences = pytest.mark.parametrize(("value", "grad"), DIVERGENCES.values(), ids=DIVERGENCES.keys())


def test_js_is_the_entropy_of_the_mean_less_the_mean_entropy():
    laws.js_is_the_entropy_of_the_mean_less_the_mean_entropy(js)


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
def test_every_divergence_is_symmetric_and_not_negative(value, grad):
    laws.every_divergence_is_symmetric_and_not_negative(value, grad)


def test_js_is_at_most_ln_k():
    laws.js_is_at_most_ln_k(js)


def test_js_reaches_ln_k_where_the_models_are_sure_of_different_classes():
    laws.js_reaches_ln_k_where_the_models_are_sure_of_different_classes(js)


@divergences
def test_every_divergence_of_equal_models_is_exactly_zero(value, grad):
    laws.every_divergence_of_equal_models_is_exactly_zero(value, grad)


@divergences
def test_every_divergence_of_different_models_is_positive(value, grad):
    laws.every_divergence_of_different_models_is_positive(value, grad)


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


@pytest.mark.parametrize("k", [2, 3, 5])
def test_js_of_k_close_models_is_that_share_of_the_symmetric_kl(k):
    rng = np.random.default_rng(k)
    z = rng.normal(size=(4, 3)) + 1e-3 * rng.normal(size=(k, 4, 3))
    assert js(z) / sym_kl(z) == pytest.approx((k - 1) / (2 * k), rel=1e-3)
    assert js_pairwise(z) / sym_kl(z) == pytest.approx(0.25, rel=1e-3)


@divergences
def test_divergence_grads_are_the_gradients(value, grad):
    laws.divergence_grads_are_the_gradients(value, grad)


@divergences
def test_every_divergence_is_a_mean_over_the_examples(value, grad):
    laws.every_divergence_is_a_mean_over_the_examples(value, grad)


@divergences
def test_all_is_finite_for_one_hot_predictions(value, grad):
    laws.all_is_finite_for_one_hot_predictions(value, grad)


@divergences
def test_an_empty_batch_does_not_diverge(value, grad):
    laws.an_empty_batch_does_not_diverge(value, grad)


@divergences
@given(z=stacks, rng=rngs)
def test_permuting_the_examples_permutes_the_gradients(value, grad, z, rng):
    order = rng.permutation(z.shape[1])
    assert np.isclose(value(z[:, order]), value(z), atol=1e-12)
    assert np.allclose(grad(z[:, order]), grad(z)[:, order], rtol=1e-12)


@divergences
def test_bad_input_is_refused(value, grad):
    for function in (value, grad):
        for bad in (
            np.zeros((2, 3)),
            np.full((2, 2, 2), np.nan),
            np.full((2, 2, 2), np.inf),
            np.zeros((2, 2, 0)),
        ):
            refused("logits", lambda function=function, bad=bad: function(bad))
        refused("logits: got shape (0, 2, 3)", lambda function=function: function(np.zeros((0, 2, 3))))
