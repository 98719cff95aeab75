from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uegr_ref.algorithm1 import algorithm1, train_step
from uegr_ref.learn.properties import step as laws
from uegr_ref.learn.properties.small_model import case
from uegr_ref.learn.properties.small_step import AT, SGD, gradient_of_step, masks_of, start, step, uniform
from uegr_ref.learn.properties.strategies import seeds
from uegr_ref.losses import cross_entropy, cross_entropy_grad
from uegr_ref.mask import keep_probability, mean_keep
from uegr_ref.model import backward, embed, embed_grad, forward
from uegr_ref.optimizer import adamw, no_moments
from uegr_ref.perturb import perturbation, relative_epsilon
from uegr_ref.saliency import rank_normalise
from uegr_ref.settings import Settings
from uegr_ref.stages import flatten, unflatten


@pytest.mark.parametrize("divergence", ["js", "sym_kl"])
@pytest.mark.parametrize("attack", ["fgsm", "fgm"])
def test_a_step_without_selection_is_the_gradient_of_the_total_loss(divergence, attack):
    laws.a_step_without_selection_is_the_gradient_of_the_total_loss(train_step, divergence, attack)


@pytest.mark.parametrize("mask_on", ["gradient", "update"])
@pytest.mark.parametrize("rescale", [True, False])
def test_selection_divides_the_kept_entries_of_that_gradient_by_their_p(mask_on, rescale):
    settings = SGD._replace(mask_on=mask_on, rescale=rescale)
    laws.selection_divides_the_kept_entries_of_that_gradient_by_their_p(train_step, settings)


def test_selection_reads_threshold_sharpness_and_floor():
    settings = SGD._replace(mask_on="update", rescale=False, threshold=0.3, sharpness=5.0, p_floor=0.2)
    laws.selection_divides_the_kept_entries_of_that_gradient_by_their_p(train_step, settings)


def test_over_many_masks_a_step_is_the_plain_step_on_average():
    """Dropout off, so that only the gradient's mask varies: the mean of 1,500 steps is the unmasked step."""
    one, draws = case(np.random.default_rng(0)), 1500
    settings = SGD._replace(base_rates=(0.0,))
    plain = gradient_of_step(one, settings._replace(update="all"), 0)
    mean = sum(gradient_of_step(one, settings, seed) for seed in range(draws)) / draws
    p = keep_probability(rank_normalise(plain**2), 0.6, 1.0)
    error = np.abs(plain) * np.sqrt((1 - p) / p / draws)
    # Bernstein's limit for a false alarm rate of 1e-9 over all 89 entries is below 8.5 standard errors here.
    assert (np.abs(mean - plain) <= 8.5 * error + 1e-9).all()


def test_keep_probability_one_is_training_without_selection_bit_for_bit():
    laws.keep_probability_one_is_training_without_selection(train_step)


@given(seeds, st.sampled_from(["fgsm", "fgm", "token_linf"]))
def test_one_pass_no_divergence_uniform_dropout_and_no_mask_is_at_bit_for_bit(seed, attack):
    one = case(np.random.default_rng(seed))
    settings = Settings(attack=attack, epsilon=0.05, epsilon_unit="rms", learning_rate=0.1, **AT)
    got, report = step(one, settings, seed)

    # Adversarial training, written out.
    theta, x = one.parameters, embed(one.parameters, one.tokens)
    m_0, m_1 = masks_of(seed, one, [uniform(0.2), uniform(0.2)])
    logits, trace = forward(theta, x, one.mask, m_0)
    clean = backward(theta, trace, cross_entropy_grad(logits, one.labels))
    delta = perturbation(clean.vectors, relative_epsilon(x, 0.05, one.mask), one.mask, attack)
    adversarial_logits, trace = forward(theta, x + delta, one.mask, m_1)
    adversarial = backward(theta, trace, cross_entropy_grad(adversarial_logits, one.labels))
    gradient = {"embedding": embed_grad(theta, one.tokens, clean.vectors + adversarial.vectors)}
    gradient |= {name: g + adversarial.parameters[name] for name, g in clean.parameters.items()}
    wanted, _ = adamw(theta, gradient, no_moments(theta), 0.1)
    for name in theta:
        assert np.array_equal(got.parameters[name], wanted[name])
    assert report.loss == cross_entropy(logits, one.labels) + cross_entropy(adversarial_logits, one.labels)


@given(seeds)
def test_no_pass_and_no_mask_is_plain_training_bit_for_bit(seed):
    one = case(np.random.default_rng(seed))
    got, report = step(one, Settings(adversarial=0, base_rates=(0.1,), update="all", learning_rate=0.1), seed)
    theta = one.parameters
    [m_0] = masks_of(seed, one, [uniform(0.1)])
    logits, trace = forward(theta, embed(theta, one.tokens), one.mask, m_0)
    clean = backward(theta, trace, cross_entropy_grad(logits, one.labels))
    gradient = {"embedding": embed_grad(theta, one.tokens, clean.vectors), **clean.parameters}
    wanted, _ = adamw(theta, gradient, no_moments(theta), 0.1)
    for name in theta:
        assert np.array_equal(got.parameters[name], wanted[name])
    assert report.loss_adversarial == report.divergence == 0


def test_without_perturbation_and_dropout_the_passes_agree():
    laws.without_perturbation_and_dropout_the_passes_agree(train_step)


def test_the_clean_pass_uses_the_running_mean_of_earlier_norms():
    laws.the_clean_pass_uses_the_running_mean_of_earlier_norms(train_step)


@given(seeds)
def test_a_running_saliency_averages_the_squared_gradients(seed):
    one = case(np.random.default_rng(seed))
    settings = SGD._replace(saliency="ema", saliency_decay=0.5, learning_rate=0.0, update="all")
    first, _ = step(one, settings, seed)
    second, _ = step(one, settings, seed + 1, first)
    alone, _ = step(one, settings._replace(saliency_decay=0.0), seed + 1, first)
    assert np.allclose(second.saliency, 0.5 * first.saliency + 0.5 * alone.saliency)


@given(seeds)
def test_words_that_are_absent_do_not_move_and_do_not_count(seed):
    one = case(np.random.default_rng(seed))
    after, report = step(one, SGD, seed)
    absent = np.setdiff1d(np.arange(len(one.parameters["embedding"])), one.tokens[one.mask])
    table = one.parameters["embedding"]
    assert np.array_equal(after.parameters["embedding"][absent], table[absent])
    assert 0 < report.kept_share <= 1


def test_the_kept_share_is_the_mean_keep_probability():
    one = case(np.random.default_rng(0), examples=16)
    shares = [step(one, SGD, seed)[1].kept_share for seed in range(100)]
    # Hoeffding: 8,700 independent entries lie within 0.035 of their mean but for one time in 1e9.
    assert abs(np.mean(shares) - mean_keep(0.6, 1.0)) < 0.035


def test_the_passes_have_different_masks():
    one = case(np.random.default_rng(0))
    _, report = step(one, Settings(epsilon=0.0, base_rates=(0.5,)), 0)
    assert report.divergence > 0


SIGN = {"attack": "fgsm", "epsilon": 0.05, "epsilon_unit": "rms"}


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(optimizer="sgd"),
        Settings(dropout="rank", adversarial=3, divergence="js_pairwise", base_rates=(0.1, 0.1, 0.2, 0.3)),
        Settings(dropout="logistic", divergence="sym_kl", attack="fgm", normalise="log_minmax", p_floor=0.1),
        Settings(dropout="inverse", divergence="none", rescale=False, **SIGN | {"attack": "token_linf"}),
        Settings(saliency="ema", steps=150, pooling="max", **SIGN),
        Settings(dropout="uniform", adversarial=0, update="all"),
        Settings(dropout="layer", attack="fgm", attack_scope="batch", attack_steps=3, mask_on="update"),
        Settings(dropout="none", saliency="epoch", resample="epoch", epoch_steps=5),
        Settings(statistics="ema", clean_dropout="off", normalise_scope="tensor", saliency="per_sample"),
        Settings(statistics="previous_step", clean_dropout="uniform", keep="constant"),
    ],
)
def test_every_variant_learns_and_repeats_with_its_seed(settings):
    one = case(np.random.default_rng(3), examples=12)
    settings = settings._replace(learning_rate=0.3 if settings.optimizer == "sgd" else 0.03)

    def run():
        batches = [one[1:]] * 150
        *_, (state, _) = algorithm1(one.parameters, batches, settings, np.random.default_rng(7))
        return state.parameters

    def loss(theta):
        logits = forward(theta, embed(theta, one.tokens), one.mask, pooling=settings.pooling)[0]
        return cross_entropy(logits, one.labels)

    theta = run()
    assert loss(theta) < 0.6 * loss(one.parameters)
    again = run()
    assert all(np.array_equal(theta[name], again[name]) for name in theta)


def test_each_step_has_the_rate_of_the_schedule():
    one = case(np.random.default_rng(0))
    settings = SGD._replace(steps=5, warmup=0.4, update="all")
    for number, factor in enumerate((1 / 2, 1.0, 3 / 4, 2 / 4, 1 / 4)):
        state = start(one)._replace(step=number)
        after = flatten(step(one, settings, 0, state)[0].parameters)
        whole = flatten(step(one, settings._replace(steps=0), 0, state)[0].parameters)
        moved = after - flatten(one.parameters)
        assert np.allclose(moved, factor * (whole - flatten(one.parameters)), rtol=1e-9, atol=1e-15)


def test_flatten_and_unflatten_are_inverse():
    theta = case(np.random.default_rng(0)).parameters
    back = unflatten(flatten(theta), theta)
    assert list(back) == list(theta)
    assert all(np.array_equal(back[name], theta[name]) for name in theta)


def test_parameters_given_are_not_changed_in_place():
    one = case(np.random.default_rng(0))
    before = flatten(one.parameters).copy()
    step(one, Settings(), 0)
    assert np.array_equal(flatten(one.parameters), before)


def test_the_divergence_reported_is_js_of_the_passes():
    laws.the_divergence_reported_is_js_of_the_passes(train_step)
