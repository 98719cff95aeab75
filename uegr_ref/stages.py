"""The parts of a step as `Settings` choose them: each option is a call of the file of its equation.

`train_step` calls these, and has checked what it hands them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from .dropout import drop_rates, dropout_mask, layer_rates
from .mask import keep_probability, masked_gradient, unbiased_gradient
from .model import Backward, Dropout, Trace, backward, embed_grad
from .optimizer import Moments, adamw, learning_rate_factor, sgd
from .perturb import perturbation, pgd, relative_epsilon
from .saliency import NORMALISERS, batch_saliency, ema_saliency
from .settings import Settings
from .support.checks import Bools, Floats, Ints, Parameters

Batch: TypeAlias = tuple[Ints, Bools, Ints]  # tokens (B, T), mask (B, T), labels (B,)
Norms: TypeAlias = tuple[Floats, Floats]  # n (U,), or the rates made of it, at either dropout site


# --- forward stage


def average_norms(old: Norms | None, now: Norms, decay: float) -> Norms:
    """The running mean of norms, site by site."""
    if old is None:
        return now
    return decay * old[0] + (1 - decay) * now[0], decay * old[1] + (1 - decay) * now[1]


def clean_rates(average: Norms | None, theta: Parameters, settings: Settings) -> Norms:
    """q of the clean pass at each site, from the running mean of the norms of earlier steps."""
    base_rate = 0.0 if settings.clean_dropout == "off" else settings.base_rate(0)
    return site_rates(average if settings.clean_dropout == "adaptive" else None, base_rate, theta, settings)


def site_rates(norms: Norms | None, base_rate: float, theta: Parameters, settings: Settings) -> Norms:
    """q (U,) at each site; uniform where no norms are known yet."""
    kind, limits = settings.dropout, (settings.q_min, settings.q_max)
    if norms is not None and kind not in ("layer", "none"):
        at_words, at_hidden = (drop_rates(n, base_rate, settings.gamma, kind, *limits) for n in norms)
        return at_words, at_hidden
    at_site = np.full(2, 0.0 if kind == "none" else base_rate)
    if norms is not None and kind == "layer":
        at_site = layer_rates(norms, base_rate, settings.gamma, "mean", *limits)
    return (
        np.full(theta["embedding"].shape[1], at_site[0]),
        np.full(theta["hidden_bias"].shape[0], at_site[1]),
    )


def draw(rates: Norms, tokens: Ints, settings: Settings, rng: np.random.Generator) -> Dropout | None:
    """A fresh mask at each site, beside its rates."""
    if settings.dropout == "none":
        return None
    at_words, at_hidden = rates
    return (
        (dropout_mask(at_words, (*tokens.shape, len(at_words)), rng), at_words),
        (dropout_mask(at_hidden, (len(tokens), len(at_hidden)), rng), at_hidden),
    )


def find_delta(
    x: Floats, gradient_at: Callable[[Floats], Floats], batch: Batch, settings: Settings
) -> Floats:
    """Eq. 2, in one step or several."""
    tokens, mask, _ = batch
    epsilon, unit = settings.epsilon, settings.epsilon_unit
    if unit != "absolute":
        epsilon = relative_epsilon(x, epsilon, mask, unit)
    kind = mask, settings.attack, settings.attack_scope, tokens
    if settings.attack_steps == 1:
        return perturbation(gradient_at(x), epsilon, *kind)
    step_size = 1.5 * epsilon / settings.attack_steps  # reaches the border with a third to spare
    return pgd(gradient_at, x, epsilon, step_size, settings.attack_steps, *kind)


# --- gradients of the parameters


def add_gradients(theta: Parameters, tokens: Ints, backwards: list[Backward]) -> Parameters:
    """The parameter gradients of all passes together; they share x, so one scatter makes the table's."""
    grads = {
        name: sum((b.parameters[name] for b in backwards[1:]), g)
        for name, g in backwards[0].parameters.items()
    }
    vectors = sum((b.vectors for b in backwards[1:]), backwards[0].vectors)
    return {"embedding": embed_grad(theta, tokens, vectors), **grads}


def example_gradients(theta: Parameters, tokens: Ints, grads: list[tuple[Trace, Floats]]) -> Floats:
    """grad_theta L_b of every example, L being the mean of the L_b: by definition, one by one. -> (B, d)."""
    rows = []
    for b in range(len(tokens)):
        only = np.where(np.arange(len(tokens)) == b, float(len(tokens)), 0.0)[:, None]
        passes = [backward(theta, trace, only * g) for trace, g in grads]
        rows.append(flatten(add_gradients(theta, tokens, passes)))
    return np.stack(rows)


def flatten(parameters: Parameters) -> Floats:
    """All entries in one row, so that the ranking of Eq. 8 is joint. -> (d,)."""
    return np.concatenate([value.ravel() for value in parameters.values()])


def unflatten(flat: Floats, like: Parameters) -> Parameters:
    """The inverse of `flatten`, with the names and shapes of `like`."""
    ends = np.cumsum([value.size for value in like.values()])
    pieces = np.split(flat, ends[:-1])
    return {
        name: piece.reshape(value.shape) for (name, value), piece in zip(like.items(), pieces, strict=True)
    }


# --- backward stage


def running_saliency(before: Floats | None, gradient: Floats, settings: Settings) -> Floats:
    """Eq. 7, ema or epoch; as long as there is nothing `before`, of this batch alone. (d,) -> (d,)."""
    if before is None or settings.saliency == "batch":
        return batch_saliency(gradient)
    return ema_saliency(before, gradient, settings.saliency_decay) if settings.saliency == "ema" else before


def keep_probabilities(saliency: Floats, theta: Parameters, settings: Settings) -> Floats:
    """Eq. 8-9, and 1 where every parameter is updated. (d,) -> (d,)."""
    if settings.update == "all":
        return np.ones_like(saliency)
    if settings.keep == "constant":
        return np.full_like(saliency, settings.keep_constant)
    by_tensor = [s.ravel() for s in unflatten(saliency, theta).values()]
    parts = by_tensor if settings.normalise_scope == "tensor" else [saliency]
    normalised = np.concatenate([NORMALISERS[settings.normalise](part) for part in parts])
    return keep_probability(normalised, settings.threshold, settings.sharpness, settings.p_floor)


def select(entries: Floats, m: Bools, p: Floats, settings: Settings) -> Floats:
    """m/p times a gradient or a step (d,); with p = 1 everywhere it stays bit for bit."""
    return unbiased_gradient(entries, m, p) if settings.rescale else masked_gradient(entries, m)


def optimise(
    theta: Parameters,
    gradient: Floats,
    moments: Moments,
    step: int,
    settings: Settings,
    unmasked: Floats | None = None,
) -> tuple[Parameters, Moments]:
    """One step of the optimizer along a flat gradient (d,); `unmasked` is for AdamW's second moment."""
    ghat = unflatten(gradient, theta)
    warming = learning_rate_factor(step, settings.steps, settings.warmup) if settings.steps else 1.0
    eta = settings.learning_rate * warming
    if settings.optimizer == "sgd":
        return sgd(theta, ghat, eta), moments
    adam = settings.weight_decay, settings.beta1, settings.beta2, settings.adam_epsilon
    return adamw(theta, ghat, moments, eta, *adam, None if unmasked is None else unflatten(unmasked, theta))
