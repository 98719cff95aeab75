"""Algorithm 1: the whole training step, line by line, on the small classifier of `model.py`.

    input: D, eps, alpha, (a, b), base rates r_1 .. r_K, eta, theta
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
    11      theta <- theta - eta m/p g          (AdamW in practice, which is handed m/p g)
    12  end

The lines are rebuilt: the text names 3-8 and 9-11 as the two stages. Inferred as well: m_0 is drawn before
the gradients of its step exist, so its rates come from a running mean of earlier norms (uniform at first).

Every choice of the method is a field of `Settings`: an ablation is data. `base_rates=()` is K = 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from . import checks
from .checks import Bools, Floats, Ints
from .dropout import drop_rates, dropout_mask, gradient_norm
from .losses import adversarial_loss, consistency_loss, cross_entropy, total_loss_grad
from .mask import bernoulli_mask, keep_probability, masked_gradient, unbiased_gradient
from .model import Backward, Dropout, Parameters, backward, embed, embed_grad, forward
from .optimizer import Moments, adamw, linear_schedule, no_moments, sgd
from .perturb import fgm, fgsm, relative_epsilon, token_linf
from .saliency import batch_saliency, ema_saliency, log_minmax_normalise, minmax_normalise, rank_normalise

Batch: TypeAlias = tuple[Ints, Bools, Ints]  # tokens (B, T), mask (B, T), labels (B,)

ATTACKS = {"fgsm": fgsm, "fgm": fgm, "token_linf": token_linf}
NORMALISATIONS = {"rank": rank_normalise, "minmax": minmax_normalise, "log_minmax": log_minmax_normalise}


class Settings(NamedTuple):
    """The inputs of Algorithm 1 and its options; the defaults are UEGR."""

    epsilon: float = 0.1  # as a share of the embedding's RMS
    attack: str = "fgsm"
    alpha: float = 0.5
    consistency: str = "js"
    clean_rate: float = 0.1  # base rate of the clean pass
    base_rates: tuple[float, ...] = (0.1, 0.1)  # r_1 .. r_K: their number is K
    dropout: str = "mean"  # a kind of `drop_rates`
    gamma: float = 1.0
    norm_decay: float = 0.9  # of the running mean of norms that m_0 is drawn with
    selective: bool = True
    a: float = 0.6
    b: float = 1.0
    p_floor: float = 0.0
    rescale: bool = True  # by 1/p
    saliency_decay: float = 0.0  # 0: this batch alone
    normalisation: str = "rank"
    optimizer: str = "adamw"
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    steps: int = 0  # of the linear schedule; 0: constant rate
    pooling: str = "mean"


class State(NamedTuple):
    """What one step hands to the next."""

    step: int
    parameters: Parameters
    moments: Moments
    norms: tuple[Floats, ...] | None  # running mean of n at each site
    saliency: Floats | None  # of all parameters, flat


class Report(NamedTuple):
    """What one step did: losses in nats, means over the batch."""

    clean: float
    adversarial: float
    consistency: float
    total: float
    kept: float  # share of the entries with a gradient that were updated
    rates: tuple[Floats, ...]  # q at each site, of the last pass
    perturbation: float  # RMS of delta over RMS of x, at real tokens


def algorithm1(
    parameters: Parameters, batches: Iterable[Batch], settings: Settings, rng: np.random.Generator
) -> Iterator[tuple[State, Report]]:
    """Train; yield the new state and the report after every step."""
    state = State(0, parameters, no_moments(parameters), None, None)  # line 1
    for batch in batches:  # line 2
        state, report = train_step(state, batch, settings, rng)
        yield state, report  # line 12


def train_step(
    state: State, batch: Batch, settings: Settings, rng: np.random.Generator
) -> tuple[State, Report]:
    """Lines 3-11. Dropout and gradient masks come from two children of `rng`: neither shifts the other."""
    tokens, mask, labels = batch
    theta, s = state.parameters, settings
    dropout_rng, mask_rng = checks.generator(rng).spawn(2)
    x = embed(theta, tokens)

    # 3  clean pass with mask m_0; L_clean
    rates = _site_rates(state.norms, s.clean_rate, s, theta)
    clean_logits, trace = forward(theta, x, mask, _draw(rates, tokens, dropout_rng), s.pooling)

    # 4  backward: G, the norms n at the dropout sites, delta
    no_passes = np.zeros((0, *clean_logits.shape))
    clean_grad, _ = total_loss_grad(clean_logits, no_passes, labels, s.alpha)
    clean = backward(theta, trace, clean_grad)
    norms = tuple(gradient_norm(g, mask if g.ndim == 3 else None) for g in clean.sites)
    epsilon = relative_epsilon(x, s.epsilon, mask)
    delta = ATTACKS[checks.choice("attack", s.attack, tuple(ATTACKS))](clean.vectors, epsilon, mask)

    # 5  x_adv; drop probabilities for r_1 .. r_K
    x_adv = x + delta
    rates_of_pass = [_site_rates(norms, r, s, theta) for r in s.base_rates]

    # 6  for k = 1 .. K: P_k = softmax f(x_adv; theta, m_k)
    passes = [forward(theta, x_adv, mask, _draw(q, tokens, dropout_rng), s.pooling) for q in rates_of_pass]
    logits = np.stack([z for z, _ in passes]) if passes else no_passes

    # 7  L_adv, L_JS    8  L = L_clean + L_adv + alpha L_JS
    l_clean, l_adv = cross_entropy(clean_logits, labels), adversarial_loss(logits, labels)
    l_js = consistency_loss(logits, s.consistency)
    _, logits_grad = total_loss_grad(clean_logits, logits, labels, s.alpha, s.consistency)

    # 9  g = grad_theta L; s; s~
    backwards = [clean, *(backward(theta, t, g) for (_, t), g in zip(passes, logits_grad, strict=True))]
    gradient = flatten(_add(theta, tokens, backwards))
    saliency = batch_saliency(gradient)
    if s.saliency_decay and state.saliency is not None:
        saliency = ema_saliency(state.saliency, gradient, s.saliency_decay)
    touched = gradient != 0

    # 10  p; m ~ Bernoulli(p)
    if s.selective:
        normalise = NORMALISATIONS[checks.choice("normalisation", s.normalisation, tuple(NORMALISATIONS))]
        p = keep_probability(normalise(saliency), s.a, s.b, s.p_floor)
        m = bernoulli_mask(p, mask_rng)
        gradient = unbiased_gradient(gradient, m, p) if s.rescale else masked_gradient(gradient, m)

    # 11  theta <- theta - eta m/p g
    ghat = unflatten(gradient, theta)
    eta = s.learning_rate * (linear_schedule(state.step, s.steps) if s.steps else 1.0)
    moments = state.moments
    if checks.choice("optimizer", s.optimizer, ("adamw", "sgd")) == "sgd":
        theta = sgd(theta, ghat, eta)
    else:
        theta, moments = adamw(theta, ghat, moments, eta, s.weight_decay)

    share = float(np.mean(gradient[touched] != 0)) if touched.any() else 0.0
    size = relative_epsilon(delta, 1.0, mask) / max(relative_epsilon(x, 1.0, mask), 1e-300)
    report = Report(
        l_clean, l_adv, l_js, l_clean + l_adv + s.alpha * l_js, share, (rates_of_pass or [rates])[-1], size
    )
    old = state.norms or norms
    running = tuple(s.norm_decay * n + (1 - s.norm_decay) * now for n, now in zip(old, norms, strict=True))
    return State(state.step + 1, theta, moments, running, saliency), report


def _site_rates(
    norms: tuple[Floats, ...] | None, base_rate: float, s: Settings, theta: Parameters
) -> tuple[Floats, ...]:
    """q at each site; uniform where no norms are known yet."""
    if norms is None:
        norms = (np.zeros(theta["embedding"].shape[1]), np.zeros(len(theta["hidden_bias"])))
    return tuple(drop_rates(n, base_rate, s.gamma, s.dropout) for n in norms)


def _draw(rates: tuple[Floats, ...], tokens: Ints, rng: np.random.Generator) -> Dropout:
    """A fresh mask at each site, beside its rates."""
    shapes = ((*tokens.shape, len(rates[0])), (len(tokens), len(rates[1])))
    return [(dropout_mask(q, shape, rng), q) for q, shape in zip(rates, shapes, strict=True)]


def _add(theta: Parameters, tokens: Ints, backwards: list[Backward]) -> Parameters:
    """The parameter gradients of all passes together; they share x, so one scatter makes the table's."""
    grads = {
        name: sum((b.parameters[name] for b in backwards[1:]), g)
        for name, g in backwards[0].parameters.items()
    }
    vectors = sum((b.vectors for b in backwards[1:]), backwards[0].vectors)
    return {"embedding": embed_grad(theta, tokens, vectors), **grads}


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
