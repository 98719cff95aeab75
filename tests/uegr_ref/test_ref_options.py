"""Each option of `Settings` in Algorithm 1, against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uegr_ref.algorithm1 import train_step
from uegr_ref.dropout import drop_rates
from uegr_ref.learn.properties import step as laws
from uegr_ref.learn.properties.small_model import CLASSES, case
from uegr_ref.learn.properties.small_step import SGD, exact_gradient, probabilities, start, step
from uegr_ref.learn.properties.strategies import refused, seeds
from uegr_ref.losses import cross_entropy, cross_entropy_grad
from uegr_ref.mask import keep_probability, unbiased_gradient
from uegr_ref.model import backward, embed, forward
from uegr_ref.perturb import fgm
from uegr_ref.saliency import NORMALISERS, log_minmax_normalise
from uegr_ref.settings import SETTINGS, Settings
from uegr_ref.stages import flatten, unflatten


def test_every_setting_has_a_contract_that_its_default_keeps():
    assert set(SETTINGS) == set(Settings._fields)
    step(case(np.random.default_rng(0)), Settings(), 0)


def test_parameters_that_are_no_longer_finite_are_refused():
    one = case(np.random.default_rng(0))
    one.parameters["hidden_weight"][0, 0] = np.nan
    refused("hidden_weight", lambda: step(one, Settings(), 0))


@pytest.mark.parametrize("rescale", [True, False])
def test_the_mask_on_the_update_scales_the_optimizers_own_step(rescale):
    laws.the_mask_on_the_update_scales_the_optimizers_own_step(train_step, {"rescale": rescale})


@pytest.mark.parametrize("place", ["update", "first_moment"])
def test_the_mask_on_the_update_or_its_first_moment_keeps_the_mean_of_adamws_step(place):
    """Unlike the mask on the gradient: the mean over 1,500 masks of AdamW's step is its unmasked step."""
    one, draws = case(np.random.default_rng(0)), 1500
    settings = Settings(learning_rate=0.1, base_rates=(0.0,), mask_on=place)
    plain = flatten(step(one, settings._replace(update="all"), 0)[0].parameters) - flatten(one.parameters)
    steps = [
        flatten(step(one, settings, seed)[0].parameters) - flatten(one.parameters) for seed in range(draws)
    ]
    error = np.abs(plain) * np.sqrt((1 / 0.23 - 1) / draws)  # at the least p of all, that of rank 0
    assert (np.abs(np.mean(steps, axis=0) - plain) <= 8.5 * error + 1e-9).all()


@given(seeds)
def test_saliency_of_an_epoch_is_the_mean_of_the_epoch_before(seed):
    one = case(np.random.default_rng(seed))
    options = {"saliency": "epoch", "epoch_steps": 2, "normalise": "log_minmax"}
    settings = SGD._replace(learning_rate=0.0, **options)
    state, squares = start(one), []
    for batch in range(6):
        g = exact_gradient(one, settings, seed + batch, state)
        squares.append(g * g)
        begun = 2 * (batch // 2)
        used = squares[batch] if begun == 0 else np.mean(squares[begun - 2 : begun], axis=0)
        p = keep_probability(log_minmax_normalise(used), 0.6, 1.0)
        assert np.allclose(probabilities(one, settings, seed + batch, state), p)
        state, _ = step(one, settings, seed + batch, state)
        if batch >= 2:
            assert np.allclose(state.saliency, used)


@given(seeds)
def test_a_mask_of_an_epoch_is_held_until_the_next_one(seed):
    one = case(np.random.default_rng(seed))
    state, masks = start(one), []
    for batch in range(6):
        state, _ = step(one, SGD._replace(resample="epoch", epoch_steps=3), seed + batch, state)
        masks.append(state.epoch_mask[0])
    assert all(np.array_equal(masks[0], m) for m in masks[1:3])
    assert all(np.array_equal(masks[3], m) for m in masks[4:])
    assert not np.array_equal(masks[0], masks[3])


@given(seeds)
def test_the_saliency_of_samples_is_the_mean_of_their_squared_gradients(seed):
    """Each example alone as a batch of one, with the masks and the delta that it has in the batch."""
    one = case(np.random.default_rng(seed))
    settings = SGD._replace(base_rates=(0.0,), epsilon_unit="absolute", learning_rate=1.0, update="all")
    each = []
    for b in range(len(one.tokens)):
        alone = one._replace(
            tokens=one.tokens[b : b + 1], mask=one.mask[b : b + 1], labels=one.labels[b : b + 1]
        )
        each.append(exact_gradient(alone, settings, seed))
    options = {"saliency": "per_sample", "update": "selective", "normalise": "log_minmax"}
    s = np.mean(np.square(each), axis=0)
    wanted = keep_probability(log_minmax_normalise(np.where(s > 1e-25, s, 0)), 0.6, 1.0)
    assert np.allclose(probabilities(one, settings._replace(**options), seed), wanted, atol=1e-6)


@given(seeds, st.sampled_from([*NORMALISERS]))
def test_each_tensor_may_be_normalised_for_itself(seed, normalise):
    one = case(np.random.default_rng(seed))
    settings = SGD._replace(normalise=normalise, normalise_scope="tensor")
    g = exact_gradient(one, settings, seed)
    parts = [NORMALISERS[normalise](piece.ravel() ** 2) for piece in unflatten(g, one.parameters).values()]
    p = keep_probability(np.concatenate(parts), 0.6, 1.0)
    m = np.random.default_rng(seed).spawn(2)[1].random(g.shape) < p
    wanted = flatten(one.parameters) - unbiased_gradient(g, m, p)
    assert np.array_equal(flatten(step(one, settings, seed)[0].parameters), wanted)


@given(seeds)
def test_the_statistics_and_the_mask_of_the_clean_pass_are_those_asked_for(seed):
    one = case(np.random.default_rng(seed))
    settings = SGD._replace(update="all", learning_rate=0.0, base_rates=(0.1, 0.2))
    first, report = step(one, settings._replace(statistics="previous_step"), seed)
    for q in report.drop_rate.values():
        assert np.array_equal(q, np.full_like(q, 0.2))  # there is no step before
    for statistics, norms_of in (
        ("same_step", lambda state: state.last_norms),
        ("ema", lambda state: state.average_norms),
        ("previous_step", lambda state: first.last_norms),
    ):
        second, report = step(one, settings._replace(statistics=statistics), seed + 1, first)
        for q, n in zip(report.drop_rate.values(), norms_of(second), strict=True):
            assert np.array_equal(q, drop_rates(n, 0.2))
    for clean_dropout, rate in (("uniform", 0.1), ("off", 0.0)):
        plain = settings._replace(adversarial=0, clean_dropout=clean_dropout)
        for q in step(one, plain, seed + 1, first)[1].drop_rate.values():
            assert np.array_equal(q, np.full_like(q, rate))


def test_a_layer_has_one_rate_and_no_dropout_has_none():
    one = case(np.random.default_rng(0))
    _, report = step(one, SGD._replace(dropout="layer"), 0)
    embedding, hidden = report.drop_rate.values()
    assert np.ptp(embedding) == np.ptp(hidden) == 0
    assert embedding[0] != hidden[0]
    assert np.isclose((embedding[0] + hidden[0]) / 2, 0.1)
    _, report = step(one, SGD._replace(dropout="none", epsilon=0.0), 0)
    assert report.divergence == 0
    assert not any(q.any() for q in report.drop_rate.values())


def test_pgd_goes_on_from_where_it_stands():
    """Two steps without dropout, written out: gradient at x, then at x + delta, back into the ball."""
    one = case(np.random.default_rng(0))
    theta, x = one.parameters, embed(one.parameters, one.tokens)

    def gradient_at(vectors):
        logits, trace = forward(theta, vectors, one.mask)
        return backward(theta, trace, cross_entropy_grad(logits, one.labels)).vectors

    delta = fgm(gradient_at(x), 0.75 * 0.5, one.mask)
    delta = delta + fgm(gradient_at(x + delta), 0.75 * 0.5, one.mask)
    length = np.sqrt(np.sum(delta**2, axis=(1, 2), keepdims=True))
    delta = delta * np.minimum(1, 0.5 / length)
    logits, _ = forward(theta, x + delta, one.mask)
    options = {"attack": "fgm", "attack_steps": 2, "epsilon": 0.5, "epsilon_unit": "absolute"}
    _, report = step(one, SGD._replace(dropout="none", **options), 0)
    assert np.isclose(report.loss_adversarial, cross_entropy(logits, one.labels), rtol=1e-12)


def test_bad_settings_are_refused():
    one = case(np.random.default_rng(0))
    for name, value in (
        ("adversarial", -1),
        ("attack", "pgd"),
        ("attack_steps", 0),
        ("divergence", "kl"),
        ("dropout", "max"),
        ("base_rates", (1.0,)),
        ("base_rates", ()),
        ("base_rates", 0.1),
        ("base_rates", (0.2, "0.2")),
        ("normalise", "z"),
        ("update", "some"),
        ("optimizer", "adam"),
        ("pooling", "last"),
        ("threshold", 2.0),
        ("sharpness", 0.0),
        ("p_floor", 2.0),
        ("rescale", 1),
        ("alpha", -1.0),
        ("epsilon", -1.0),
        ("gamma", -1.0),
        ("warmup", 5.0),
        ("weight_decay", -1.0),
    ):
        refused(name, lambda name=name, value=value: step(one, Settings(**{name: value}), 0))
    refused("base_rates", lambda: step(one, Settings(q_min=0.3, base_rates=(0.2,)), 0))
    refused("q_min", lambda: step(one, Settings(q_min=0.5, q_max=0.4), 0))
    refused("rng", lambda: train_step(start(one), one[1:], Settings(), 0))
    refused(
        "labels", lambda: train_step(start(one), (*one[1:3], one.labels + CLASSES), Settings(), one_rng())
    )


def one_rng() -> np.random.Generator:
    return np.random.default_rng(0)
