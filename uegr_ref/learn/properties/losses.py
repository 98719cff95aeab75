"""Properties of the cross-entropy and of the total loss, Eq. 3, 5 and 6."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...divergence import DIVERGENCES, js_grad
from ...losses import adversarial_loss_grad as reference_adversarial_loss_grad
from ...losses import cross_entropy as reference_cross_entropy
from ...support.checks import Floats, Ints
from .law import Broken, Function, agree, holds, is_gradient, law
from .strategies import logits_of, refused, rngs, seeds, sizes


def softmax(z: Floats) -> Floats:
    """The textbook formula: an oracle for moderate logits."""
    p: Floats = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    return p


def labels_for(z: Floats, seed: int) -> Ints:
    """A class for each row of logits."""
    return np.asarray(np.random.default_rng(seed).integers(0, z.shape[-1], z.shape[-2]))


@law(st.lists(sizes(0, 3), max_size=3).flatmap(lambda leading: logits_of(*map(st.just, leading))))
def log_softmax_is_the_log_of_a_distribution(log_softmax: Function, z: Floats) -> None:
    """ln P is the log of the textbook softmax over the last axis; 1000 more on all logits changes nothing."""
    log_p = np.log(softmax(z))
    agree("ln P", log_softmax(z), log_p)
    agree("ln P with 1000 added to every logit", log_softmax(z + 1000), log_p, atol=1e-9)


@law(logits_of(sizes(0, 5)), seeds)
def cross_entropy_is_the_mean_of_minus_log_p(cross_entropy: Function, z: Floats, seed: int) -> None:
    """The mean over the examples of -ln of the probability of the label; 0 for an empty batch."""
    y = labels_for(z, seed)
    wanted = sum(-math.log(softmax(row)[label]) for row, label in zip(z, y, strict=True)) / max(len(z), 1)
    agree("the cross-entropy", cross_entropy(z, y), wanted)
    tripled = cross_entropy(np.tile(z, (3, 1)), np.tile(y, 3))
    agree("the cross-entropy of the batch three times over (a mean, not a sum)", tripled, wanted)


@law(logits_of(sizes()), seeds, rngs)
def cross_entropy_grad_is_its_gradient(
    cross_entropy: Function, cross_entropy_grad: Function, z: Floats, seed: int, rng: np.random.Generator
) -> None:
    """The gradient agrees with differences of the loss, and sums to zero over the classes."""
    y = labels_for(z, seed)
    is_gradient(lambda z: cross_entropy_grad(z, y), lambda z: cross_entropy(z, y), z, rng)
    agree("the sum of the gradient over the classes", cross_entropy_grad(z, y).sum(axis=-1), np.zeros(len(z)))


@law(rngs)
def cross_entropy_is_finite_for_one_hot_predictions(
    cross_entropy: Function, cross_entropy_grad: Function, rng: np.random.Generator
) -> None:
    """Logits of 10,000 give a finite loss and a finite gradient."""
    z, y = rng.choice([-1e4, 0.0, 1e4], size=(5, 4)), rng.integers(0, 4, 5)
    holds(math.isfinite(cross_entropy(z, y)), "the cross-entropy of logits such as 10000 should be finite")
    holds(np.isfinite(cross_entropy_grad(z, y)).all(), "the gradient at logits of 10000 should be finite")


@law()
def labels_out_of_range_are_refused(cross_entropy: Function) -> None:
    """A label that is no class is refused, and does not wrap around to the last class."""
    for labels in ([0, 3], [-1, 0], [0], [[0, 1]], [0.0, 1.0], [True, False], ["a", "b"]):
        refused("labels", partial(cross_entropy, np.zeros((2, 3)), labels))


@law(st.integers(0, 2), sizes(0, 3), sizes(), sizes(2, 4), rngs)
def the_total_loss_is_made_of_its_terms(
    total_loss: Function, options: tuple[str, ...], k: int, n: int, c: int, alpha: int,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """L_clean + L_adv + alpha L_JS, with what the options ask for; without a pass L_clean alone."""
    clean, adversarial, y = rng.normal(size=(n, c)), rng.normal(size=(k, n, c)), rng.integers(0, c, n)
    name, reduction, over_k = (*options, *("js", "mean", "mean")[len(options) :])
    value, _ = DIVERGENCES[name]
    l_adv = sum(reference_cross_entropy(z, y) for z in adversarial) / (max(k, 1) if over_k == "mean" else 1)
    apart = (value(adversarial) if k else 0.0) * (n if reduction == "sum" else 1)
    wanted = reference_cross_entropy(clean, y) + l_adv + alpha * apart
    what = f"the total loss with K = {k} passes, {n} examples, {c} classes and alpha = {alpha}"
    agree(what, total_loss(clean, adversarial, y, alpha, *options), wanted)


@law(st.integers(0, 3), sizes(0, 3), sizes(), rngs)
def the_adversarial_loss_is_the_mean_of_the_cross_entropies(
    adversarial_loss: Function, over_k: str, k: int, n: int, c: int, rng: np.random.Generator
) -> None:
    """The mean (or, asked for, the sum) over the K passes of their cross-entropies; 0 without a pass."""
    z, y = rng.normal(size=(k, n, c)), rng.integers(0, c, n)
    wanted = sum(reference_cross_entropy(z_k, y) for z_k in z) / (max(k, 1) if over_k == "mean" else 1)
    got = adversarial_loss(z, y) if over_k == "mean" else adversarial_loss(z, y, over_k)
    agree(f"the adversarial loss of K = {k} passes", got, wanted)


@law(st.integers(0, 3), rngs)
def adversarial_loss_grad_is_its_gradient(
    adversarial_loss: Function, adversarial_loss_grad: Function, k: int, rng: np.random.Generator
) -> None:
    """The gradient agrees with differences of the adversarial loss, and has no entry without a pass."""
    z, y = rng.normal(size=(k, 4, 3)), rng.integers(0, 3, 4)
    is_gradient(lambda z: adversarial_loss_grad(z, y), lambda z: adversarial_loss(z, y), z, rng)


@law(st.integers(0, 3), rngs)
def total_loss_grad_is_its_gradient(
    total_loss: Function, total_loss_grad: Function, options: tuple[Any, ...], k: int,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """The two gradients agree with differences of the total loss, also without a pass."""
    z, y = rng.normal(size=(1 + k, 5, 3)), rng.integers(0, 3, 5)

    def grad(z: Floats) -> Any:
        pair = total_loss_grad(z[0], z[1:], y, 0.7, *options)
        shapes = [np.shape(one) for one in pair] if isinstance(pair, tuple) else type(pair).__name__
        if shapes != [z[0].shape, z[1:].shape]:
            wanted = f"a pair of arrays of the shapes {z[0].shape} and {z[1:].shape}"
            raise Broken(f"what total_loss_grad returns for K = {k} passes", wanted, f"{shapes}")
        return np.concatenate([pair[0][None], pair[1]])

    is_gradient(grad, lambda z: total_loss(z[0], z[1:], y, 0.7, *options), z, rng)


@law(logits_of(sizes(1, 3), sizes()), seeds, st.floats(0, 4))
def alpha_moves_the_gradient_by_that_many_js_gradients(
    total_loss_grad: Function, z: Floats, seed: int, alpha: float
) -> None:
    """The gradient at alpha is that at 0 plus alpha times the JS gradient; the clean one does not move."""
    y = labels_for(z, seed)
    off, on = total_loss_grad(z[0], z, y, 0.0), total_loss_grad(z[0], z, y, alpha)
    agree(f"the clean gradient at alpha = {alpha:g}", on[0], off[0], 0, 0)
    agree(f"the adversarial gradient at alpha = {alpha:g}", on[1], off[1] + alpha * js_grad(z))
    agree("the adversarial gradient at alpha = 0", off[1], reference_adversarial_loss_grad(z, y))
