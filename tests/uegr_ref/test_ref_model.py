from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uegr_ref.gradcheck import check_gradient, gradient_error
from uegr_ref.learn.properties.small_model import CLASSES, DIMENSIONS, HIDDEN, WORDS, case, dropout
from uegr_ref.learn.properties.strategies import refused, rngs
from uegr_ref.losses import cross_entropy, cross_entropy_grad
from uegr_ref.model import backward, embed, embed_grad, forward, initialise, pool, predict
from uegr_ref.stages import flatten, unflatten

poolings = st.sampled_from(["mean", "max"])


@given(rngs, poolings)
def test_all_parameter_gradients_are_the_gradients(rng, pooling):
    theta, tokens, mask, y = case(rng)
    drop = dropout(rng, tokens)

    def loss(flat):
        there = unflatten(flat, theta)
        return cross_entropy(forward(there, embed(there, tokens), mask, drop, pooling)[0], y)

    def grad(flat):
        there = unflatten(flat, theta)
        logits, trace = forward(there, embed(there, tokens), mask, drop, pooling)
        got = backward(there, trace, cross_entropy_grad(logits, y))
        return flatten({"embedding": embed_grad(there, tokens, got.vectors), **got.parameters})

    check_gradient(loss, grad, flatten(theta), rng)
    assert gradient_error(loss, flatten(theta), 1.001 * grad(flatten(theta)), rng) > 1e-5


@given(rngs, poolings)
def test_the_gradient_of_the_input_is_the_gradient(rng, pooling):
    theta, tokens, mask, y = case(rng)
    drop = dropout(rng, tokens)

    def grad(x):
        logits, trace = forward(theta, x, mask, drop, pooling)
        return backward(theta, trace, cross_entropy_grad(logits, y)).vectors

    x = rng.normal(size=(*tokens.shape, DIMENSIONS))  # no two alike: a maximum has no kink here
    x[~mask] = 0
    check_gradient(lambda x: cross_entropy(forward(theta, x, mask, drop, pooling)[0], y), grad, x, rng)
    assert not grad(x)[~mask].any()


@given(rngs, poolings)
def test_the_gradients_at_the_sites_are_those_of_their_outputs(rng, pooling):
    """Without dropout a site's output is the only way up from the layer below: it can be moved by hand."""
    theta, tokens, mask, y = case(rng)
    logits, trace = forward(theta, embed(theta, tokens), mask, pooling=pooling)
    clean = backward(theta, trace, cross_entropy_grad(logits, y))
    assert np.array_equal(clean.sites[0], clean.vectors)

    def from_hidden(h):
        return cross_entropy(h @ theta["output_weight"] + theta["output_bias"], y)

    check_gradient(from_hidden, lambda h: clean.sites[1], trace.hidden, rng)


@given(rngs)
def test_site_gradients_of_dropped_units_exist_and_carry_no_scaling(rng):
    theta, tokens, mask, y = case(rng)
    drop = dropout(rng, tokens, 0.6)
    logits, trace = forward(theta, embed(theta, tokens), mask, drop)
    got = backward(theta, trace, cross_entropy_grad(logits, y))
    m, q = drop[0]
    assert np.allclose(got.vectors, np.where(m, got.sites[0] / (1 - q), 0))
    alive = got.sites[1].any(axis=1) & got.sites[0].any(axis=(1, 2))  # some hidden unit was kept
    assert got.sites[0][alive][mask[alive]].all()
    assert np.allclose(got.sites[1], cross_entropy_grad(logits, y) @ theta["output_weight"].T)


@given(rngs, poolings)
def test_what_stands_on_padding_does_not_matter(rng, pooling):
    theta, tokens, mask, _ = case(rng)
    x = embed(theta, tokens)
    junk = np.where(mask[:, :, None], x, 1e6)
    assert np.array_equal(
        forward(theta, junk, mask, pooling=pooling)[0], forward(theta, x, mask, pooling=pooling)[0]
    )
    longer = np.pad(x, ((0, 0), (0, 3), (0, 0)))
    padded = np.pad(mask, ((0, 0), (0, 3)))
    assert np.allclose(
        forward(theta, longer, padded, pooling=pooling)[0], forward(theta, x, mask, pooling=pooling)[0]
    )


@given(rngs)
def test_pooling_follows_its_definition(rng):
    _, tokens, mask, _ = case(rng)
    x = rng.normal(size=(*tokens.shape, DIMENSIONS))
    for b, real in enumerate(mask):
        assert np.allclose(pool(x, mask, "mean")[0][b], x[b, real].mean(axis=0))
        assert np.allclose(pool(x, mask, "max")[0][b], x[b, real].max(axis=0))


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_text_without_words_and_a_batch_without_texts_work(pooling):
    rng = np.random.default_rng(0)
    theta = case(rng).parameters
    x = rng.normal(size=(2, 3, DIMENSIONS))
    logits, trace = forward(theta, x, np.array([[True, True, False], [False] * 3]), pooling=pooling)
    assert np.isfinite(logits).all()
    assert not backward(theta, trace, np.ones((2, CLASSES))).vectors[1].any()
    logits, trace = forward(theta, x[:0], np.zeros((0, 3), bool), pooling=pooling)
    assert logits.shape == (0, CLASSES)
    assert backward(theta, trace, logits).vectors.shape == (0, 3, DIMENSIONS)


@given(rngs, poolings)
def test_permuting_the_examples_permutes_the_logits(rng, pooling):
    theta, tokens, mask, _ = case(rng)
    order = rng.permutation(len(tokens))
    logits = forward(theta, embed(theta, tokens), mask, pooling=pooling)[0]
    assert np.allclose(
        forward(theta, embed(theta, tokens[order]), mask[order], pooling=pooling)[0], logits[order]
    )
    assert np.array_equal(predict(theta, tokens, mask, pooling), np.argmax(logits, axis=1))


@given(rngs)
def test_embed_grad_adds_up_the_places_of_a_word(rng):
    theta, tokens, _, _ = case(rng)
    g = rng.normal(size=(*tokens.shape, DIMENSIONS))
    table = embed_grad(theta, tokens, g)
    for word in range(WORDS):
        assert np.allclose(table[word], g[tokens == word].sum(axis=0))


@given(rngs)
def test_no_dropout_is_dropout_at_rate_zero_bit_for_bit(rng):
    theta, tokens, mask, _ = case(rng)
    off = dropout(rng, tokens, 0.0)
    x = embed(theta, tokens)
    assert np.array_equal(forward(theta, x, mask, off)[0], forward(theta, x, mask)[0])


def test_single_precision_parameters_compute_in_single_precision():
    theta, tokens, mask, _ = case(np.random.default_rng(0))
    theta = {name: value.astype(np.float32) for name, value in theta.items()}
    drop = dropout(np.random.default_rng(0), tokens)
    logits, trace = forward(theta, embed(theta, tokens), mask, drop)
    assert logits.dtype == np.float32
    got = backward(theta, trace, np.ones_like(logits))
    assert {value.dtype for value in got.parameters.values()} == {np.dtype(np.float32)}
    assert got.vectors.dtype == np.float32


def test_bad_input_is_refused():
    rng = np.random.default_rng(0)
    theta, tokens, mask, _ = case(rng)
    x = embed(theta, tokens)
    refused("tokens", lambda: embed(theta, tokens + WORDS))
    refused("tokens", lambda: embed(theta, tokens - 1))
    refused("tokens", lambda: embed(theta, tokens[0]))
    refused("vectors", lambda: forward(theta, x[:, :, :-1], mask))
    refused("vectors", lambda: forward(theta, np.full_like(x, np.nan), mask))
    refused("mask", lambda: forward(theta, x, mask[:, :1]))
    refused("dropout", lambda: forward(theta, x, mask, ()))
    drop = dropout(rng, tokens)
    refused("rates", lambda: forward(theta, x, mask, [drop[0], (drop[1][0], np.ones(HIDDEN))]))
    refused("mask", lambda: forward(theta, x, mask, [(drop[0][0][:, :1], drop[0][1]), drop[1]]))
    refused("pooling", lambda: forward(theta, x, mask, pooling="last"))
    refused("grad_logits", lambda: backward(theta, forward(theta, x, mask)[1], np.ones((1, CLASSES))))
    refused("rng", lambda: initialise(WORDS, DIMENSIONS, HIDDEN, CLASSES, 0))
