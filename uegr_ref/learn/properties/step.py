"""Properties of the step of Algorithm 1, against its parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...divergence import js
from ...dropout import drop_rates, gradient_norm
from ...gradcheck import gradient_error
from ...losses import cross_entropy, cross_entropy_grad, total_loss
from ...mask import keep_probability
from ...model import SITES, backward, embed, forward
from ...optimizer import Moments
from ...perturb import fgm, fgsm, relative_epsilon
from ...saliency import rank_normalise
from ...settings import Settings
from ...stages import flatten, unflatten
from ...support.checks import Floats
from .law import Function, agree, holds, law, percent
from .small_model import CLASSES, case
from .small_step import SGD, averages, exact_gradient, gradient_of_step, masks_of, start, step, uniform
from .strategies import rngs, seeds


@law(rngs, seeds, st.sampled_from([1, 2, 3]))
def a_step_without_selection_is_the_gradient_of_the_total_loss(
    train_step: Function, divergence: str, attack: str, rng: np.random.Generator, seed: int, k: int
) -> None:
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
    rates = [(drop_rates(norms[0], r), drop_rates(norms[1], r)) for r in rates_asked]
    drops = masks_of(seed, one, [uniform(0.1), *rates])

    def loss(flat: Floats) -> float:
        there = unflatten(flat, theta)
        at = embed(there, one.tokens)
        z_0 = forward(there, at, one.mask, drops[0])[0]
        z = np.stack([forward(there, at + delta, one.mask, drop)[0] for drop in drops[1:]])
        return total_loss(z_0, z, one.labels, 2.0, divergence)

    error = gradient_error(loss, flatten(theta), gradient_of_step(one, settings, seed, train_step), rng)
    holds(
        error < 1e-5,
        f"with K = {k} and update='all', an SGD step of rate 1 should subtract the gradient of the total "
        f"loss; along a random direction it is off by {percent(error)} of its size",
    )
    report = step(one, settings, seed, train_step=train_step)[1]
    agree("the loss reported", report.loss, loss(flatten(theta)))
    terms = report.loss_clean + report.loss_adversarial + 2.0 * report.divergence
    agree("L_clean + L_adv + alpha JS, of the terms reported,", terms, report.loss)
    agree("the clean loss reported", report.loss_clean, cross_entropy(logits, one.labels))
    moved = relative_epsilon(delta, 1, one.mask) / relative_epsilon(x, 1, one.mask)
    agree("the perturbation reported, RMS of delta over RMS of x,", report.perturbation, moved)
    holds(tuple(report.drop_rate) == SITES, f"drop_rate should have an entry for each site of {SITES}")
    for site, wanted in zip(SITES, rates[-1], strict=True):
        agree(f"the drop rates reported of the last pass at the {site} site", report.drop_rate[site], wanted)


@law(seeds)
def selection_divides_the_kept_entries_of_that_gradient_by_their_p(
    train_step: Function, settings: Settings, seed: int
) -> None:
    """Lines 9-11: p from the ranks of the *total* gradient, the mask from the second child of rng."""
    one = case(np.random.default_rng(seed))
    settings = settings._replace(dropout="uniform")
    g = exact_gradient(one, settings._replace(update="all"), seed)
    a, b = settings.threshold, settings.sharpness
    p = keep_probability(rank_normalise(g * g), a, b, settings.p_floor)
    m = np.random.default_rng(seed).spawn(2)[1].random(g.shape) < p
    ghat = np.where(m, g / p if settings.rescale else g, 0)
    moved = gradient_of_step(one, settings, seed, train_step)
    ours = f"{'m / p g' if settings.rescale else 'm g (no rescale)'} at a = {a:g}, b = {b:g}"
    what = f"what an SGD step of rate 1 subtracts, {ours}, p_floor = {settings.p_floor:g},"
    agree(what, moved, ghat, 1e-9, 1e-12)
    report = step(one, settings, seed, train_step=train_step)[1]
    agree("the share reported of entries that were kept", report.kept_share, m[g != 0].mean())
    agree("the mean keep probability reported", report.mean_keep_probability, p[g != 0].mean())


@law(seeds)
def the_mask_on_the_update_scales_the_optimizers_own_step(
    train_step: Function, options: dict[str, Any], seed: int
) -> None:
    """p comes from the gradient; m and 1/p act on theta_new - theta_old; the moments stay unmasked."""
    one = case(np.random.default_rng(seed))
    settings = Settings(learning_rate=0.1, mask_on="update", steps=4, **options)
    state = start(one)
    for batch in range(3):
        after, report = step(one, settings, seed + batch, state, train_step)
        plain, _ = step(one, settings._replace(update="all"), seed + batch, state)
        g = exact_gradient(one, settings, seed + batch, state)
        p = keep_probability(rank_normalise(g * g), 0.6, 1.0)
        m = np.random.default_rng(seed + batch).spawn(2)[1].random(g.shape) < p
        move = flatten(plain.parameters) - flatten(state.parameters)
        kept = np.where(g == 0, 1, 1 / p if settings.rescale else 1) * move
        what = f"the move of the parameters in step {batch + 1} under AdamW"
        moved = flatten(after.parameters) - flatten(state.parameters)
        agree(what, moved, np.where(m | (g == 0), kept, 0), atol=1e-9)
        agree("the share reported of entries that were kept", report.kept_share, m[g != 0].mean())
        agree("the step in the new State", after.step, batch + 1, 0, 0)
        holds(isinstance(after.moments, Moments), "the new State should have the moments that optimise gives")
        agree("the steps of AdamW's moments in the new State", after.moments.steps, batch + 1, 0, 0)
        for name in ("first", "second"):
            ours, theirs = (flatten(getattr(one.moments, name)) for one in (after, plain))
            agree(f"AdamW's {name} moment in the new State after step {batch + 1}", ours, theirs, atol=1e-12)
        state = after


@law(seeds)
def the_clean_pass_uses_the_running_mean_of_earlier_norms(train_step: Function, seed: int) -> None:
    """At first the rates of m_0 are uniform; then they come from the running mean of the norms before."""
    one = case(np.random.default_rng(seed))
    settings = SGD._replace(adversarial=0, update="all", learning_rate=0.0)
    first, report = step(one, settings, seed, train_step=train_step)
    for q in report.drop_rate.values():
        agree("a drop rate of the first clean pass", q, np.full_like(q, 0.1), 0, 0)  # nothing is known yet
    second, report = step(one, settings, seed + 1, first, train_step)
    for q, n in zip(report.drop_rate.values(), averages(first), strict=True):
        agree("a drop rate of the second clean pass", q, drop_rates(n, 0.1), 0, 0)
    alone, _ = step(one, settings._replace(statistics_decay=0.0), seed + 1, first)
    for running, old, now in zip(averages(second), averages(first), averages(alone), strict=True):
        agree("the running mean of the norms after two steps", running, 0.9 * old + 0.1 * now)


@law(seeds)
def without_perturbation_and_dropout_the_passes_agree(train_step: Function, seed: int) -> None:
    """With epsilon = 0 and rates 0 the adversarial passes are the clean one."""
    one = case(np.random.default_rng(seed))
    _, report = step(one, Settings(epsilon=0.0, base_rates=(0.0,)), seed, train_step=train_step)
    agree("the divergence of passes without dropout", report.divergence, 0.0, 0, 0)
    agree("the perturbation at epsilon = 0", report.perturbation, 0.0, 0, 0)
    agree("the adversarial loss at epsilon = 0", report.loss_adversarial, report.loss_clean)


@law()
def the_divergence_reported_is_js_of_the_passes(train_step: Function) -> None:
    """JS of the K passes, each with a mask of its own."""
    one = case(np.random.default_rng(0))
    settings = Settings(dropout="uniform", base_rates=(0.1,))
    x = embed(one.parameters, one.tokens)
    drops = masks_of(5, one, [uniform(0.1)] * 3)
    logits, trace = forward(one.parameters, x, one.mask, drops[0])
    clean = backward(one.parameters, trace, cross_entropy_grad(logits, one.labels))
    x_adv = x + fgm(clean.vectors, relative_epsilon(x, Settings().epsilon, one.mask, "norm"), one.mask)
    z = np.stack([forward(one.parameters, x_adv, one.mask, drop)[0] for drop in drops[1:]])
    assert z.shape == (2, len(x), CLASSES)
    agree("the divergence reported", step(one, settings, 5, train_step=train_step)[1].divergence, js(z))


@law(st.sampled_from(["sgd", "adamw"]), seeds)
def keep_probability_one_is_training_without_selection(
    train_step: Function, optimizer: str, seed: int
) -> None:
    """With p_floor = 1 three steps end where they end with update="all", bit for bit."""
    one = case(np.random.default_rng(seed))
    on = off = start(one)
    settings = Settings(optimizer=optimizer, learning_rate=0.1)
    for batch in range(3):
        on, report = step(one, settings._replace(p_floor=1.0), seed + batch, on, train_step)
        off, _ = step(one, settings._replace(update="all"), seed + batch, off, train_step)
        agree("the share kept with p = 1", report.kept_share, 1.0, 0, 0)
    for name in one.parameters:
        what = f"{name} after three steps with p = 1, against update='all',"
        agree(what, on.parameters[name], off.parameters[name], 0, 0)
