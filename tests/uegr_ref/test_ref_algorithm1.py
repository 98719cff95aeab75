from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ref_model import CLASSES, case
from ref_steps import AT, SGD, gradient_of_step, masks_of, start, step, uniform
from ref_strategies import rngs, seeds

from uegr_ref.algorithm1 import algorithm1
from uegr_ref.divergence import js
from uegr_ref.dropout import drop_rates, gradient_norm
from uegr_ref.gradcheck import gradient_error
from uegr_ref.losses import cross_entropy, cross_entropy_grad, total_loss, total_loss_grad
from uegr_ref.mask import keep_probability, mean_keep
from uegr_ref.model import SITES, backward, embed, embed_grad, forward
from uegr_ref.optimizer import adamw, no_moments
from uegr_ref.perturb import fgm, fgsm, perturbation, relative_epsilon
from uegr_ref.saliency import rank_normalise
from uegr_ref.settings import Settings
from uegr_ref.stages import flatten, unflatten


@given(
    rngs,
    seeds,
    st.sampled_from(["js", "sym_kl"]),
    st.sampled_from(["fgsm", "fgm"]),
    st.sampled_from([1, 2, 3]),
)
def test_a_step_without_selection_is_the_gradient_of_the_total_loss(rng, seed, divergence, attack, k):
    """Lines 3-9 from the parts: with masks, rates and delta fixed, the total loss has that gradient."""
    one = case(rng)
    rates_asked = (0.1, 0.3, 0.2)[:k]
    settings = SGD._replace(
        update="all",
        divergence=divergence,
        attack=attack,
        adversarial=k,
        base_rates=(0.1, *rates_asked),
        alpha=2.0,
    )
    theta, x = one.parameters, embed(one.parameters, one.tokens)
    [m_0] = masks_of(seed, one, [uniform(0.1)])
    logits, trace = forward(theta, x, one.mask, m_0)
    clean = backward(theta, trace, cross_entropy_grad(logits, one.labels))
    norms = [gradient_norm(clean.sites[0], one.mask), gradient_norm(clean.sites[1])]
    epsilon = relative_epsilon(x, Settings().epsilon, one.mask, "norm")
    delta = {"fgsm": fgsm, "fgm": fgm}[attack](clean.vectors, epsilon, one.mask)
    rates = [tuple(drop_rates(n, r) for n in norms) for r in rates_asked]
    drops = masks_of(seed, one, [uniform(0.1), *rates])

    def loss(flat):
        there = unflatten(flat, theta)
        at = embed(there, one.tokens)
        z_0 = forward(there, at, one.mask, drops[0])[0]
        z = np.stack([forward(there, at + delta, one.mask, drop)[0] for drop in drops[1:]])
        return total_loss(z_0, z, one.labels, 2.0, divergence)

    got = gradient_of_step(one, settings, seed)
    assert gradient_error(loss, flatten(theta), got, rng) < 1e-5
    report = step(one, settings, seed)[1]
    assert np.isclose(report.loss, loss(flatten(theta)))
    assert np.isclose(report.loss, report.loss_clean + report.loss_adversarial + 2.0 * report.divergence)
    assert tuple(report.drop_rate) == SITES
    for q, wanted in zip(report.drop_rate.values(), rates[-1], strict=True):
        assert np.array_equal(q, wanted)


@given(seeds)
def test_selection_divides_the_kept_entries_of_that_gradient_by_their_p(seed):
    """Lines 9-11, bit for bit: p from the ranks of the *total* gradient, the mask from its own stream."""
    one = case(np.random.default_rng(seed))
    theta, x = one.parameters, embed(one.parameters, one.tokens)
    drops = masks_of(seed, one, [uniform(0.1)] * 3)
    logits, trace = forward(theta, x, one.mask, drops[0])
    passes = [backward(theta, trace, cross_entropy_grad(logits, one.labels))]
    delta = fgm(passes[0].vectors, relative_epsilon(x, Settings().epsilon, one.mask, "norm"), one.mask)
    logits_and_traces = [forward(theta, x + delta, one.mask, drop) for drop in drops[1:]]
    stack = np.stack([z for z, _ in logits_and_traces])
    _, grads = total_loss_grad(logits, stack, one.labels, 0.5)
    passes += [backward(theta, t, g) for (_, t), g in zip(logits_and_traces, grads, strict=True)]
    total = {
        "embedding": embed_grad(theta, one.tokens, passes[0].vectors + passes[1].vectors + passes[2].vectors)
    }
    for name in passes[0].parameters:
        total[name] = passes[0].parameters[name] + passes[1].parameters[name] + passes[2].parameters[name]
    g = flatten(total)

    p = keep_probability(rank_normalise(g * g), 0.6, 1.0)
    m = np.random.default_rng(seed).spawn(2)[1].random(g.shape) < p
    for rescale, ghat in ((True, np.where(m, g / p, 0)), (False, np.where(m, g, 0))):
        got, report = step(one, SGD._replace(dropout="uniform", rescale=rescale), seed)
        assert np.array_equal(flatten(got.parameters), flatten(theta) - ghat)
        assert np.isclose(report.kept_share, m[g != 0].mean())
        assert np.isclose(report.mean_keep_probability, p[g != 0].mean())


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


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@given(seed=seeds)
def test_keep_probability_one_is_training_without_selection_bit_for_bit(optimizer, seed):
    one = case(np.random.default_rng(seed))
    on = off = start(one)
    settings = Settings(optimizer=optimizer, learning_rate=0.1)
    for batch in range(3):
        on, report = step(one, settings._replace(p_floor=1.0), seed + batch, on)
        off, _ = step(one, settings._replace(update="all"), seed + batch, off)
        assert report.kept_share == report.mean_keep_probability == 1
    for name in one.parameters:
        assert np.array_equal(on.parameters[name], off.parameters[name])


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


@given(seeds)
def test_without_perturbation_and_dropout_the_passes_agree(seed):
    one = case(np.random.default_rng(seed))
    _, report = step(one, Settings(epsilon=0.0, base_rates=(0.0,)), seed)
    assert report.divergence == 0
    assert report.perturbation == 0
    assert np.isclose(report.loss_adversarial, report.loss_clean)


@given(seeds)
def test_the_clean_pass_uses_the_running_mean_of_earlier_norms(seed):
    one = case(np.random.default_rng(seed))
    settings = SGD._replace(adversarial=0, update="all", learning_rate=0.0)
    first, report = step(one, settings, seed)
    for q in report.drop_rate.values():
        assert np.array_equal(q, np.full_like(q, 0.1))  # nothing is known yet
    second, report = step(one, settings, seed + 1, first)
    for q, n in zip(report.drop_rate.values(), first.average_norms, strict=True):
        assert np.array_equal(q, drop_rates(n, 0.1))
    alone, _ = step(one, settings._replace(statistics_decay=0.0), seed + 1, first)
    for running, old, now in zip(second.average_norms, first.average_norms, alone.average_norms, strict=True):
        assert np.allclose(running, 0.9 * old + 0.1 * now)


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
    one = case(np.random.default_rng(0))
    settings = Settings(dropout="uniform", base_rates=(0.1,))
    x = embed(one.parameters, one.tokens)
    drops = masks_of(5, one, [uniform(0.1)] * 3)
    logits, trace = forward(one.parameters, x, one.mask, drops[0])
    clean = backward(one.parameters, trace, cross_entropy_grad(logits, one.labels))
    x_adv = x + fgm(clean.vectors, relative_epsilon(x, Settings().epsilon, one.mask, "norm"), one.mask)
    z = np.stack([forward(one.parameters, x_adv, one.mask, drop)[0] for drop in drops[1:]])
    assert z.shape == (2, len(x), CLASSES)
    assert np.isclose(step(one, settings, 5)[1].divergence, js(z))
