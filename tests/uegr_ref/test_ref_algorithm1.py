from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ref_model import CLASSES, DIMENSIONS, HIDDEN, case
from ref_strategies import refused, rngs, seeds

from uegr_ref.algorithm1 import State, algorithm1, train_step
from uegr_ref.divergence import js
from uegr_ref.dropout import drop_rates, dropout_mask, gradient_norm
from uegr_ref.gradcheck import gradient_error
from uegr_ref.losses import cross_entropy, cross_entropy_grad, total_loss, total_loss_grad
from uegr_ref.mask import keep_probability, mean_keep, unbiased_gradient
from uegr_ref.model import SITES, backward, embed, embed_grad, forward
from uegr_ref.optimizer import adamw, no_moments
from uegr_ref.perturb import fgm, fgsm, perturbation, relative_epsilon
from uegr_ref.saliency import NORMALISERS, log_minmax_normalise, rank_normalise
from uegr_ref.settings import SETTINGS, Settings
from uegr_ref.stages import flatten, unflatten

SGD = Settings(optimizer="sgd", learning_rate=1.0, base_rates=(0.1,))
AT = {"adversarial": 1, "alpha": 0.0, "dropout": "uniform", "update": "all"}


def start(one) -> State:
    return State(0, one.parameters, no_moments(one.parameters))


def step(one, settings: Settings, seed: int, state: State | None = None):
    return train_step(state or start(one), one[1:], settings, np.random.default_rng(seed))


def gradient_of_step(one, settings: Settings, seed: int) -> np.ndarray:
    """What an SGD step at rate 1 subtracted."""
    return flatten(one.parameters) - flatten(step(one, settings, seed)[0].parameters)


def exact_gradient(one, settings: Settings, seed: int, state: State | None = None) -> np.ndarray:
    """The gradient of the total loss as the step has it: with its ties and zeros, which ranks mind."""
    return step(one, settings._replace(saliency="epoch"), seed, state)[0].epoch_gradients[-1]


def probabilities(one, settings: Settings, seed: int, state: State | None = None) -> np.ndarray:
    """The p that a step used (not one that it holds from earlier in its epoch)."""
    fresh = (state or start(one))._replace(epoch_mask=None)
    return step(one, settings._replace(resample="epoch"), seed, fresh)[0].epoch_mask[1]


def masks_of(seed: int, one, rates):
    """The dropout masks that a step draws, pass by pass: `rates` is a list of (site 0, site 1)."""
    rng = np.random.default_rng(seed).spawn(2)[0]
    shapes = ((*one.tokens.shape, DIMENSIONS), (len(one.tokens), HIDDEN))
    return [[(dropout_mask(q, s, rng), q) for q, s in zip(pair, shapes, strict=True)] for pair in rates]


def uniform(rate: float):
    return np.full(DIMENSIONS, rate), np.full(HIDDEN, rate)


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
    epsilon = relative_epsilon(x, 0.1, one.mask)
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
    delta = fgsm(passes[0].vectors, relative_epsilon(x, 0.1, one.mask), one.mask)
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
    settings = Settings(attack=attack, learning_rate=0.1, **AT)
    got, report = step(one, settings, seed)

    # Adversarial training, written out.
    theta, x = one.parameters, embed(one.parameters, one.tokens)
    m_0, m_1 = masks_of(seed, one, [uniform(0.2), uniform(0.2)])
    logits, trace = forward(theta, x, one.mask, m_0)
    clean = backward(theta, trace, cross_entropy_grad(logits, one.labels))
    delta = perturbation(clean.vectors, relative_epsilon(x, 0.1, one.mask), one.mask, attack)
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


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(optimizer="sgd"),
        Settings(dropout="rank", adversarial=3, divergence="js_pairwise", base_rates=(0.1, 0.1, 0.2, 0.3)),
        Settings(dropout="logistic", divergence="sym_kl", attack="fgm", normalise="log_minmax", p_floor=0.1),
        Settings(dropout="inverse", attack="token_linf", divergence="none", rescale=False),
        Settings(saliency="ema", steps=150, pooling="max"),
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
    x_adv = x + fgsm(clean.vectors, relative_epsilon(x, 0.1, one.mask), one.mask)
    z = np.stack([forward(one.parameters, x_adv, one.mask, drop)[0] for drop in drops[1:]])
    assert z.shape == (2, len(x), CLASSES)
    assert np.isclose(step(one, settings, 5)[1].divergence, js(z))


def test_every_setting_has_a_contract_that_its_default_keeps():
    assert set(SETTINGS) == set(Settings._fields)
    step(case(np.random.default_rng(0)), Settings(), 0)


def test_parameters_that_are_no_longer_finite_are_refused():
    one = case(np.random.default_rng(0))
    one.parameters["hidden_weight"][0, 0] = np.nan
    refused("hidden_weight", lambda: step(one, Settings(), 0))


@given(seeds, st.booleans())
def test_the_mask_on_the_update_scales_the_optimizers_own_step(seed, rescale):
    """p comes from the gradient; m and 1/p act on theta_new - theta_old, momentum and decay included."""
    one = case(np.random.default_rng(seed))
    settings = Settings(learning_rate=0.1, mask_on="update", rescale=rescale)
    state = start(one)
    for batch in range(3):
        after, report = step(one, settings, seed + batch, state)
        unmasked = settings._replace(update="all", mask_on="gradient")
        plain, _ = step(one, unmasked, seed + batch, state)
        g = exact_gradient(one, settings, seed + batch, state)
        p = keep_probability(rank_normalise(g * g), 0.6, 1.0)
        m = np.random.default_rng(seed + batch).spawn(2)[1].random(g.shape) < p
        move = flatten(plain.parameters) - flatten(state.parameters)
        wanted = np.where(m, move / p if rescale else move, 0)
        assert np.allclose(flatten(after.parameters) - flatten(state.parameters), wanted, atol=1e-9)
        assert np.isclose(report.kept_share, m[g != 0].mean())
        state = after


def test_the_mask_on_the_update_keeps_the_mean_of_adamws_step():
    """Unlike the mask on the gradient: the mean over 1,500 masks of AdamW's step is its unmasked step."""
    one, draws = case(np.random.default_rng(0)), 1500
    settings = Settings(learning_rate=0.1, base_rates=(0.0,), mask_on="update")
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
