"""Algorithm 1: the whole training step, line by line, on the small classifier of `model.py`.

    input: D, eps, alpha, (a, b), base rates r_1 .. r_K, eta, theta                      `settings.py`
    1   initialise theta
    2   for each mini-batch (x, y):
    3       clean pass with mask m_0; L_clean                                            Eq. 5
    4       backward: G = dL_clean/dx, gradients at the dropout sites -> n; delta        Eq. 2
    5       x_adv = x + delta; drop probabilities q for the rates r_1 .. r_K
    6       for k = 1 .. K: P_k = softmax f(x_adv; theta, m_k)
    7       L_adv, L_JS                                                                  Eq. 3, 4
    8       L = L_clean + L_adv + alpha L_JS                                             Eq. 6
    9       g = grad_theta L; s; s~                                                      Eq. 7, 8
    10      p; m ~ Bernoulli(p)                                                          Eq. 9
    11      theta <- theta - eta m/p g          (AdamW in practice: m/p acts on its update, or where asked)
    12  end

The lines are rebuilt: the text names 3-8 and 9-11 as the two stages. Inferred as well: m_0 is drawn before
the gradients of its step exist, so its rates come from a running mean of earlier norms (uniform at first).
What an option of `settings.py` does is in `stages.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from .dropout import gradient_norm
from .losses import (
    adversarial_loss,
    cross_entropy,
    cross_entropy_grad,
    divergence_loss,
    total_loss,
    total_loss_grad,
)
from .mask import bernoulli_mask
from .model import PARAMETERS, SITES, Backward, Trace, backward, embed, forward
from .optimizer import Moments, no_moments
from .perturb import relative_epsilon
from .saliency import epoch_saliency, per_sample_saliency
from .settings import SETTINGS, Settings
from .stages import (
    Batch,
    Norms,
    add_gradients,
    average_norms,
    clean_rates,
    draw,
    example_gradients,
    find_delta,
    flatten,
    keep_probabilities,
    optimise,
    running_saliency,
    select,
    site_rates,
    unflatten,
)
from .support.checks import Bools, Floats, Parameters
from .support.contract import contract

BATCH = {"tokens": "ints (B, T) below V", "mask": "bools (B, T)", "labels": "ints (B) below C"}


class State(NamedTuple):
    """What one step hands to the next."""

    step: int
    parameters: Parameters
    moments: Moments
    average_norms: Norms | None = None  # their running mean
    last_norms: Norms | None = None
    saliency: Floats | None = None  # (d,) running mean, or mean of the epoch before
    epoch_gradients: tuple[Floats, ...] = ()  # (d,) each, of this epoch so far
    epoch_mask: tuple[Bools, Floats] | None = None  # m and p (d,), held for an epoch


class Report(NamedTuple):
    """What one step did: losses in nats, means over the batch."""

    loss: float
    loss_clean: float
    loss_adversarial: float
    divergence: float
    perturbation: float  # RMS of delta over RMS of x, at real tokens
    kept_share: float  # share of the entries with a gradient that were updated
    mean_keep_probability: float  # mean of p over the same
    drop_rate: dict[str, Floats]  # q (U,) at each site, of the last pass


@contract(parameters=PARAMETERS, settings=SETTINGS, rng="generator")
def algorithm1(
    parameters: Parameters, batches: Iterable[Batch], settings: Settings, rng: np.random.Generator
) -> Iterator[tuple[State, Report]]:
    """Train; yield the new state and the report after every step."""
    state = State(0, parameters, no_moments(parameters))  # line 1
    for batch in batches:  # line 2
        state, report = train_step(state, batch, settings, rng)
        yield state, report  # line 12


@contract(state={"parameters": PARAMETERS}, batch=BATCH, settings=SETTINGS, rng="generator")
def train_step(
    state: State, batch: Batch, settings: Settings, rng: np.random.Generator
) -> tuple[State, Report]:
    """Lines 3-11. Dropout and gradient masks come from two children of `rng`: neither shifts the other."""
    (tokens, mask, labels), theta = batch, state.parameters
    dropout_rng, mask_rng = rng.spawn(2)
    if settings.epoch_steps and state.step % settings.epoch_steps == 0:
        state = new_epoch(state)
    x = embed(theta, tokens)

    # 3  clean pass with mask m_0; L_clean
    rates_0 = clean_rates(state.average_norms, theta, settings)

    def clean_pass(vectors: Floats) -> tuple[Floats, Trace, Backward]:
        dropout = draw(rates_0, tokens, settings, dropout_rng)
        z, trace = forward(theta, vectors, mask, dropout, settings.pooling)
        return z, trace, backward(theta, trace, cross_entropy_grad(z, labels))

    clean_logits, clean_trace, clean = clean_pass(x)

    # 4  backward: G, the norms n at the dropout sites, delta
    norms = gradient_norm(clean.sites[0], mask), gradient_norm(clean.sites[1])
    average = average_norms(state.average_norms, norms, settings.statistics_decay)

    def gradient_at(vectors: Floats) -> Floats:  # at x it is known; further steps of PGD draw their own masks
        return clean.vectors if np.array_equal(vectors, x) else clean_pass(vectors)[2].vectors

    delta = find_delta(x, gradient_at, batch, settings)

    # 5  x_adv; drop probabilities for r_1 .. r_K
    x_adv = x + delta
    known = {"same_step": norms, "ema": average, "previous_step": state.last_norms}[settings.statistics]
    base_rates = [settings.base_rate(k) for k in range(1, settings.adversarial + 1)]
    rates = [site_rates(known, r, theta, settings) for r in base_rates]

    # 6  for k = 1 .. K: P_k = softmax f(x_adv; theta, m_k)
    dropouts = [draw(q, tokens, settings, dropout_rng) for q in rates]
    passes = [forward(theta, x_adv, mask, dropout, settings.pooling) for dropout in dropouts]
    logits = np.stack([z for z, _ in passes]) if passes else np.zeros((0, *clean_logits.shape))

    # 7  L_adv, L_JS    8  L = L_clean + L_adv + alpha L_JS
    reductions = settings.divergence_reduction, settings.adversarial_reduction
    weighed = clean_logits, logits, labels, settings.alpha, settings.divergence, *reductions
    loss, (clean_grad, logits_grad) = total_loss(*weighed), total_loss_grad(*weighed)

    # 9  g = grad_theta L; s
    traces = [trace for _, trace in passes]
    backwards = [clean, *(backward(theta, t, g) for t, g in zip(traces, logits_grad, strict=True))]
    gradient = flatten(add_gradients(theta, tokens, backwards))
    saliency = running_saliency(state.saliency, gradient, settings)
    if settings.saliency == "per_sample":
        grads = [(clean_trace, clean_grad), *zip(traces, logits_grad, strict=True)]
        saliency = per_sample_saliency(example_gradients(theta, tokens, grads))

    # 9  s~    10  p; m ~ Bernoulli(p)
    p = keep_probabilities(saliency, theta, settings)
    m = bernoulli_mask(p, mask_rng)
    if settings.resample == "epoch":
        m, p = state.epoch_mask or (m, p)

    # 11  theta <- theta - eta m/p g; or m/p on AdamW's step, or in its first moment alone
    masked, touched = select(gradient, m, p, settings), gradient != 0
    handed = gradient if settings.mask_on == "update" else masked
    unmasked = gradient if settings.mask_on == "first_moment" else None
    after, moments = optimise(theta, handed, state.moments, state.step, settings, unmasked)
    if settings.mask_on == "update":  # without a gradient there is nothing to select by, so nothing is masked
        step = flatten(after) - flatten(theta)
        step = np.where(touched, select(step, m, p, settings), step)
        after = unflatten(flatten(theta) + step, theta)

    report = Report(
        loss=loss,
        loss_clean=cross_entropy(clean_logits, labels),
        loss_adversarial=adversarial_loss(logits, labels, settings.adversarial_reduction),
        divergence=divergence_loss(logits, settings.divergence),
        perturbation=relative_epsilon(delta, 1, mask) / max(relative_epsilon(x, 1, mask), 1e-300),
        kept_share=float(m[touched].mean()) if touched.any() else 0.0,
        mean_keep_probability=float(p[touched].mean()) if touched.any() else 0.0,
        drop_rate=dict(zip(SITES, rates[-1] if rates else rates_0, strict=True)),
    )
    new = State(
        step=state.step + 1,
        parameters=after,
        moments=moments,
        average_norms=average,
        last_norms=norms,
        saliency=saliency if settings.saliency == "ema" else state.saliency,
        epoch_gradients=(*state.epoch_gradients, gradient) if settings.saliency == "epoch" else (),
        epoch_mask=(m, p) if settings.resample == "epoch" else None,
    )
    return new, report


def new_epoch(state: State) -> State:
    """What changes once an epoch: the saliency is the mean of the one that ends, and a new mask is drawn."""
    ended = state.epoch_gradients
    saliency = epoch_saliency(np.stack(ended)) if ended else state.saliency
    return state._replace(saliency=saliency, epoch_gradients=(), epoch_mask=None)
