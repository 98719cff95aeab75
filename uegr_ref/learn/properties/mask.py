"""Properties of the keep probability, of the mask and of the unbiased gradient, Eq. 9."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ...support.checks import Floats
from ...theorem1 import enumerate_masks
from .law import Function, agree, holds, law
from .strategies import binomial_alarm, dtypes, refused, rngs, tensors

thresholds, sharpnesses = st.floats(0, 1), st.floats(0.1, 30)
normalised = arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1))
probabilities = arrays(np.float64, 6, elements=st.one_of(st.sampled_from([1.0, 1e-9]), st.floats(1e-6, 1)))


@law(normalised, thresholds, sharpnesses)
def keep_probability_is_the_logistic_function(
    keep_probability: Function, s: Floats, a: float, b: float
) -> None:
    """p = 1 / (1 + exp(2 b (a - s))), to twelve digits: it is divided by, so small ones count."""
    wanted = [1 / (1 + math.exp(2 * b * (a - x))) for x in s]
    what = f"the keep probability at a = {a:.3g}, b = {b:.3g}"
    agree(what, keep_probability(s, a, b), wanted, rtol=1e-12, atol=0)


@law(normalised, thresholds, sharpnesses)
def keep_probability_rises_with_saliency_and_is_one_half_at_the_threshold(
    keep_probability: Function, s: Floats, a: float, b: float
) -> None:
    """p lies in (0, 1], never falls with the saliency, and is 1/2 exactly where s = a."""
    p = keep_probability(np.sort(s), a, b)
    holds(((p > 0) & (p <= 1)).all(), "every keep probability should lie in (0, 1]")
    holds((np.diff(p) >= 0).all(), "a larger saliency should not have a smaller keep probability")
    agree("the keep probability at the threshold", keep_probability(np.array([a]), a, b)[0], 0.5, 0, 0)
    above = np.array([2 * b * (x - a) > 1e-16 for x in s])
    holds(
        ((keep_probability(s, a, b) > 0.5) == above).all(), "p should be above 1/2 above the threshold alone"
    )


@law(normalised, thresholds, sharpnesses, st.floats(0, 1))
def the_floor_lifts_small_probabilities_and_no_others(
    keep_probability: Function, s: Floats, a: float, b: float, floor: float
) -> None:
    """No probability is below p_floor, and those above it stay as they are."""
    free, floored = keep_probability(s, a, b), keep_probability(s, a, b, floor)
    agree(f"the keep probability with p_floor = {floor:g}", floored, np.maximum(free, floor), 0, 0)
    agree("the keep probability with p_floor = 1", keep_probability(s, a, b, 1.0), np.ones_like(s), 0, 0)


@law(thresholds, st.floats(0.1, 5))
def mean_keep_and_mean_inverse_keep_are_the_integrals(
    mean_keep: Function, mean_inverse_keep: Function, a: float, b: float
) -> None:
    """The means of p and of 1/p over a fine grid of s in [0, 1]."""
    s = (np.arange(20_000) + 0.5) / 20_000
    inverse = 1 + np.exp(2 * b * (a - s))
    agree(f"the mean of p at a = {a:.3g}, b = {b:.3g}", mean_keep(a, b), (1 / inverse).mean(), rtol=1e-6)
    agree(f"the mean of 1/p at a = {a:.3g}, b = {b:.3g}", mean_inverse_keep(a, b), inverse.mean())


@law(thresholds, st.sampled_from([700.0, 1e4]))
def steep_curves_do_not_overflow(
    mean_keep: Function, mean_inverse_keep: Function, a: float, b: float
) -> None:
    """For a steep curve the mean of p is about 1 - a, and that of 1/p is inf beyond 2 b a = 700."""
    agree(f"the mean of p at a = {a:.3g}, b = {b:g}", mean_keep(a, b), 1 - a, 0, 1e-3)
    if 2 * b * a > 1000:
        agree(f"the mean of 1/p at a = {a:.3g}, b = {b:g}", mean_inverse_keep(a, b), math.inf, 0, 0)


@law()
def the_mask_is_bernoulli_with_independent_entries(bernoulli_mask: Function) -> None:
    """Each entry is kept as often as its p says, and apart from every other (false alarm: 3e-9)."""
    p, draws, rng = np.array([0.02, 0.23, 0.45, 0.69, 0.98]), 200_000, np.random.default_rng(0)
    m = bernoulli_mask(np.broadcast_to(p, (draws, 5)), rng)
    holds(getattr(m, "dtype", None) == np.bool_, "the mask should be an array of bools")
    agree("the shape of the mask", np.array(m.shape), np.array([draws, 5]), 0, 0)
    kept = m.sum(axis=0)
    shares = (kept / draws).round(3).tolist()
    words = f"entries with p = {p.tolist()} should be kept that often, yours are: {shares}"
    holds(not binomial_alarm(kept, draws, p, 1e-9), words)
    pairs = [(i, k) for i in range(5) for k in range(i + 1, 5)]
    together = np.array([np.sum(m[:, i] & m[:, k]) for i, k in pairs])
    both = np.array([p[i] * p[k] for i, k in pairs])
    holds(not binomial_alarm(together, draws, both, 1e-9), "two entries should be kept independently")
    in_a_row = np.sum(m[:-1:2] & m[1::2], axis=0)
    holds(not binomial_alarm(in_a_row, draws // 2, p**2, 1e-9), "rows should not share a mask")


@law()
def probabilities_zero_and_one_are_never_and_always(bernoulli_mask: Function) -> None:
    """p = 0 is never kept and p = 1 always."""
    rng = np.random.default_rng(0)
    holds(not bernoulli_mask(np.zeros(1000), rng).any(), "an entry with p = 0 should never be kept")
    holds(bernoulli_mask(np.ones(1000), rng).all(), "an entry with p = 1 should always be kept")


@law(probabilities, rngs)
def the_mask_repeats_with_its_generator(
    bernoulli_mask: Function, p: Floats, rng: np.random.Generator
) -> None:
    """Chance comes from the generator that is handed over and from nowhere else."""
    seed = int(rng.integers(1000))
    first, again = (bernoulli_mask(p, np.random.default_rng(seed)) for _ in range(2))
    holds(np.array_equal(first, again), "the same generator should draw the same mask")
    other = bernoulli_mask(np.full(64, 0.5), rng) != bernoulli_mask(np.full(64, 0.5), rng)
    holds(other.any(), "the second draw from a generator should be another mask")


@law(tensors(6), probabilities)
def the_masked_gradient_is_unbiased_by_enumeration(unbiased_gradient: Function, g: Floats, p: Floats) -> None:
    """Theorem 1: over all 2^6 masks, weighed by their probabilities, the mean is the gradient."""
    masks, weights = enumerate_masks(p)
    every = np.stack([unbiased_gradient(g, m, p) for m in masks])
    agree("the mean of the masked gradient over all masks", weights @ every, g, rtol=1e-9, atol=1e-9)


@law(tensors(3, 2), dtypes)
def probability_one_is_the_plain_gradient_bit_for_bit(
    unbiased_gradient: Function, g: Floats, dtype: Any
) -> None:
    """With every p = 1 nothing changes, not even the precision."""
    g = g.astype(dtype)
    got = unbiased_gradient(g, np.ones(g.shape, bool), np.ones(g.shape, dtype))
    agree("the masked gradient with p = 1", got, g, 0, 0)
    holds(got.dtype == dtype, f"a gradient of {np.dtype(dtype)} should stay {np.dtype(dtype)}")


@law(tensors(6), probabilities, rngs)
def entries_are_either_dropped_or_divided_by_p(
    unbiased_gradient: Function, g: Floats, p: Floats, rng: np.random.Generator
) -> None:
    """g / p where the mask keeps, 0 elsewhere."""
    m = rng.random(6) < p
    agree("the masked gradient", unbiased_gradient(g, m, p), np.where(m, g / p, 0))


@law()
def a_probability_of_zero_is_refused(unbiased_gradient: Function) -> None:
    """Nothing can be divided by p = 0; a p above 1 or of another shape is no probability of the mask's."""
    g, m = np.ones(3), np.ones(3, bool)
    for bad in ([1.0, 1.0, 0.0], [1.0, 1.0, 1.1], [1.0, 1.0, np.nan], [1.0], np.ones((3, 1))):
        refused("p", partial(unbiased_gradient, g, m, bad))
