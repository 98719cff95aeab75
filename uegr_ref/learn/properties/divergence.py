"""Properties of the divergences of Eq. 4; `value` is one of them and `grad` its gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from ...support.checks import Floats
from .law import Function, agree, holds, is_gradient, law
from .losses import softmax
from .strategies import dtypes, logits_of, rngs, sizes

stacks = logits_of(sizes(1, 5), sizes())  # (K, N, C)
NUMBERS = ("no", "one", "two", "three", "four", "five")


def entropy(p: Floats) -> Floats:
    """In nats, over the last axis."""
    return np.asarray(-np.sum(p * np.log(p), axis=-1))


@law(logits_of(sizes()), sizes(1, 5))
def every_divergence_of_equal_models_is_exactly_zero(
    value: Function, grad: Function, z: Floats, k: int
) -> None:
    """Equal distributions do not diverge: value and gradient are 0, to the last bit."""
    same = np.broadcast_to(z, (k, *z.shape))
    equal = f"{NUMBERS[k]} equal distributions" if k > 1 else "one distribution alone"
    agree(f"the divergence of {equal}", value(same), 0.0, 0, 0)
    agree(f"the gradient at {equal}", grad(same), np.zeros(same.shape), 0, 0)


@law(stacks)
def js_is_the_entropy_of_the_mean_less_the_mean_entropy(js: Function, z: Floats) -> None:
    """H(M) - (1/K) sum_k H(P_k), by the textbook's softmax and entropy, mean over the examples."""
    p = softmax(z)
    wanted = np.mean(entropy(np.asarray(p.mean(axis=0))) - entropy(p).mean(axis=0))
    k, n, c = z.shape
    agree(f"JS of {NUMBERS[k]} distributions over {c} classes, {n} examples,", js(z), wanted, atol=1e-12)


@law(stacks, rngs)
def every_divergence_is_symmetric_and_not_negative(
    value: Function, grad: Function, z: Floats, rng: np.random.Generator
) -> None:
    """The order of the models does not matter, and no divergence is negative."""
    order = rng.permutation(len(z))
    agree("the divergence in another order of the models", value(z[order]), value(z), atol=1e-12)
    agree("the gradient in another order of the models", grad(z[order]), grad(z)[order], atol=1e-12)
    holds(value(z) >= -1e-15, "no divergence should be negative")


@law(stacks)
def js_is_at_most_ln_k(js: Function, z: Floats) -> None:
    """JS of K models is at most ln K."""
    most = math.log(len(z))
    got = js(z)
    holds(got <= most + 1e-12, f"JS of {NUMBERS[len(z)]} models should be at most {most:.4g}, got {got:.4g}")


@law(st.sampled_from([2, 3, 5]))
def js_reaches_ln_k_where_the_models_are_sure_of_different_classes(js: Function, k: int) -> None:
    """Models that are sure of different classes are as far apart as can be: ln K."""
    what = f"JS of {NUMBERS[k]} models that are sure of different classes"
    agree(what, js(1e4 * np.eye(k)[:, None, :]), math.log(k))


@law(logits_of(sizes(2, 4), sizes(), limit=5), rngs)
def every_divergence_of_different_models_is_positive(
    value: Function, grad: Function, z: Floats, rng: np.random.Generator
) -> None:
    """Different distributions diverge."""
    assume(z.shape[2] > 1)
    z = z[:1] + rng.normal(size=z.shape)
    holds(value(z) > 0, "the divergence of different distributions should be above 0")


@law(logits_of(sizes(1, 4), sizes(), limit=5), rngs)
def divergence_grads_are_the_gradients(
    value: Function, grad: Function, z: Floats, rng: np.random.Generator
) -> None:
    """The gradient agrees with differences of the divergence, and sums to zero over the classes."""
    is_gradient(grad, value, z, rng)
    agree("the sum of the gradient over the classes", grad(z).sum(axis=-1), np.zeros(z.shape[:2]))


@law(stacks)
def every_divergence_is_a_mean_over_the_examples(value: Function, grad: Function, z: Floats) -> None:
    """The batch twice over has the same divergence, and half the gradient for each example."""
    twice = np.concatenate([z, z], axis=1)
    agree("the divergence of the batch twice over (a mean, not a sum)", value(twice), value(z), atol=1e-12)
    first = grad(twice)[:, : z.shape[1]]
    agree("the gradient of an example in the batch twice over", first, grad(z) / 2, atol=1e-12)


@law(dtypes, sizes(1, 4), rngs)
def all_is_finite_for_one_hot_predictions(
    value: Function, grad: Function, dtype: Any, k: int, rng: np.random.Generator
) -> None:
    """Logits of 10,000 give a finite divergence and gradient, in the precision of the logits."""
    z = rng.choice([-1e4, 0.0, 1e4], size=(k, 5, 3)).astype(dtype)
    holds(math.isfinite(value(z)), "the divergence of logits such as 10000 should be finite")
    holds(np.isfinite(grad(z)).all(), "the gradient at logits such as 10000 should be finite")
    holds(grad(z).dtype == dtype, f"the gradient of {np.dtype(dtype)} logits should be {np.dtype(dtype)}")


@law()
def an_empty_batch_does_not_diverge(value: Function, grad: Function) -> None:
    """Without an example the divergence is 0."""
    z = np.zeros((2, 0, 3))
    agree("the divergence of an empty batch", value(z), 0.0, 0, 0)
    agree("the gradient of an empty batch", grad(z), z, 0, 0)
