"""Properties of the drop rates and of dropout itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ...support.checks import Bools, Floats
from ...theorem1 import enumerate_masks
from .law import Function, agree, holds, is_gradient, law
from .strategies import binomial_alarm, dtypes, gradients, rngs, seeds, tensors

one_norm = st.one_of(st.just(0.0), st.floats(1e-9, 1e9), st.sampled_from([1.0, 2.0, 1e-300, 1e300]))
norms = st.integers(1, 30).flatmap(lambda n: arrays(np.float64, n, elements=one_norm, fill=st.nothing()))
gammas = st.sampled_from([0.0, 0.5, 1.0, 2.0])
bounds = st.sampled_from([(0.0, 0.95), (0.05, 0.5), (0.0, 0.3)])


@st.composite
def cases(draw: Function) -> tuple[Floats, float, dict[str, float]]:
    """Norms, a base rate and the bounds that it lies in."""
    q_min, q_max = draw(bounds)
    share = draw(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)))
    base_rate = min(q_min + share * (q_max - q_min), q_max)
    return draw(norms), base_rate, {"gamma": draw(gammas), "q_min": q_min, "q_max": q_max}


@law(gradients())
def gradient_norm_is_the_rms_over_real_positions(gradient_norm: Function, case: tuple[Floats, Bools]) -> None:
    """The root mean square of each unit over real tokens; 0 without one; padding counts for nothing."""
    g, mask = case
    real = [g[b, t] ** 2 for b, t in np.ndindex(mask.shape) if mask[b, t]]
    wanted = np.sqrt(sum(real) / len(real)) if real else np.zeros(g.shape[2])
    agree("the gradient norm", gradient_norm(g, mask), wanted)
    junk = np.where(mask[:, :, None], g, np.nan)
    agree("the gradient norm with NaN at padding", gradient_norm(junk, mask), wanted)
    agree("the norm without a mask", gradient_norm(g), gradient_norm(g.reshape(-1, g.shape[2])))
    flat = gradient_norm(g.reshape(-1, g.shape[2]), mask.ravel())
    agree("the norm of the same gradient as (B, U), with a mask (B,),", flat, wanted)


@law(st.sampled_from([(0, 3, 4), (2, 0, 4), (0, 4)]))
def the_norm_of_an_empty_batch_is_zero(gradient_norm: Function, shape: tuple[int, ...]) -> None:
    """Nothing to average: 0."""
    agree("the gradient norm of an empty batch", gradient_norm(np.zeros(shape)), np.zeros(4), 0, 0)


@law(cases())
def the_mean_drop_rate_is_the_base_rate(
    drop_rates: Function, case: tuple[Floats, float, dict[str, float]]
) -> None:
    """The mean over the units is the base rate, exactly, also where rates end at q_min or q_max."""
    n, base_rate, options = case
    agree("the mean drop rate", drop_rates(n, base_rate, **options).mean(), base_rate, 0, 1e-9)


@law(cases())
def drop_rates_stay_within_their_bounds(
    drop_rates: Function, case: tuple[Floats, float, dict[str, float]]
) -> None:
    """No rate is below q_min or above q_max."""
    n, base_rate, options = case
    q = drop_rates(n, base_rate, **options)
    holds((q >= options["q_min"]).all(), f"no drop rate should be below q_min, the least is {q.min():g}")
    holds((q <= options["q_max"]).all(), f"no drop rate should be above q_max, the largest is {q.max():g}")


@law(cases())
def drop_rates_rise_with_the_norm(
    drop_rates: Function, sign: int, case: tuple[Floats, float, dict[str, float]]
) -> None:
    """A larger norm never has a smaller rate (of the control, a larger one); equal norms share theirs."""
    n, base_rate, options = case
    q = drop_rates(n, base_rate, **options)
    words = f"a larger norm should not have a {'smaller' if sign > 0 else 'larger'} drop rate"
    holds((sign * np.diff(q[np.argsort(n)]) >= -1e-12).all(), words)
    for value in n:
        same = q[n == value]
        agree("the drop rate of units with equal norms", same, np.full_like(same, same[0]), atol=1e-12)


@law(norms, st.floats(0.01, 0.2), st.sampled_from([0.5, 1.0, 2.0]))
def unclipped_rates_are_proportional_to_the_normalised_norm(
    drop_rates: Function, n: Floats, base_rate: float, gamma: float
) -> None:
    """Far from the bounds a rate is base_rate * a_u, a_u = n_u^gamma over its mean."""
    assume(n.any())
    a = (n / n.max()) ** gamma
    a = a / a.mean()
    assume(base_rate * a.max() <= 0.95)
    what = f"the drop rates for the base rate {base_rate:.3g} and gamma = {gamma:g}"
    agree(what, drop_rates(n, base_rate, gamma), base_rate * a, rtol=1e-9, atol=1e-15)


@law()
def clipped_rates_are_the_same_multiple_of_the_norm_wherever_they_are_free(drop_rates: Function) -> None:
    """Between the bounds all rates are one multiple of the norm; the others sit on a bound."""
    n = np.array([0.1, 1.0, 2.0, 3.0, 50.0, 60.0])
    q = drop_rates(n, 0.45, q_min=0.05, q_max=0.9)
    agree("the drop rate of the least norm, which is clipped,", q[0], 0.05, 0, 0)
    agree("the drop rates of the two largest norms, which are clipped,", q[4:], np.full(2, 0.9), 0, 0)
    ratio = q[1:4] / n[1:4]
    agree("the drop rate over the norm, where no bound is met,", ratio, np.full(3, ratio[0]), 0, 1e-12)


@law()
def units_without_a_gradient_are_dropped_only_when_the_others_cannot_make_up_the_mean(
    drop_rates: Function,
) -> None:
    """A norm of 0 gets 0, unless all others stand at q_max and the mean is not yet met."""
    one, two = np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0])
    agree("the drop rates for norms 0, 1, 1 and the base rate 0.5", drop_rates(one, 0.5), [0, 0.75, 0.75])
    wanted = [0.275, 0.275, 0.95]
    agree("the drop rates for norms 0, 0, 1 and the base rate 0.5", drop_rates(two, 0.5), wanted)


@law(norms, st.floats(0, 0.95))
def gamma_zero_no_gradient_and_broken_gradients_give_ordinary_dropout(
    drop_rates: Function, n: Floats, base_rate: float
) -> None:
    """With gamma = 0, norms all zero, or a norm that is not finite, each rate is the base rate."""
    uniform = np.full_like(n, base_rate)
    agree("the drop rates with gamma = 0", drop_rates(n, base_rate, 0.0), uniform, 0, 0)
    agree("the drop rates of norms all zero", drop_rates(np.zeros_like(n), base_rate), uniform, 0, 0)
    for bad in (np.nan, np.inf):
        broken = np.append(bad, n[1:])
        agree(f"the drop rates with a norm that is {bad}", drop_rates(broken, base_rate), uniform, 0, 0)


@law(cases(), rngs)
def rates_follow_their_units_and_ignore_the_scale_of_the_loss(
    drop_rates: Function, case: tuple[Floats, float, dict[str, float]], rng: np.random.Generator
) -> None:
    """A unit's rate depends neither on its place nor on the scale of the loss."""
    n, base_rate, options = case
    q, order = drop_rates(n, base_rate, **options), rng.permutation(len(n))
    agree("the rates of the permuted units", drop_rates(n[order], base_rate, **options), q[order], atol=1e-9)
    agree("the rates at norms 1024 times as small", drop_rates(n / 1024, base_rate, **options), q, atol=1e-9)


@law()
def the_mask_keeps_each_unit_with_its_own_probability_and_independently(dropout_mask: Function) -> None:
    """Unit u is kept with probability 1 - q_u, apart from other units and positions (false alarm: 4e-9)."""
    q, draws = np.array([0.0, 0.05, 0.3, 0.5, 0.95]), 200_000
    m = dropout_mask(q, (draws // 2, 2, 5), np.random.default_rng(0))
    holds(getattr(m, "dtype", None) == np.bool_, "the mask should be an array of bools")
    agree("the shape of the mask", np.array(m.shape), np.array([draws // 2, 2, 5]), 0, 0)
    m = m.reshape(-1, 5)
    kept = m.mean(axis=0).round(3).tolist()
    words = f"units with q = {q.tolist()} should be kept with 1 - q, yours are kept: {kept}"
    holds(m[:, 0].all() and not binomial_alarm(m[:, 1:].sum(axis=0), draws, 1 - q[1:], 1e-9), words)
    pairs = [(i, k) for i in range(1, 5) for k in range(i + 1, 5)]
    together = np.array([np.sum(m[:, i] & m[:, k]) for i, k in pairs])
    both = np.array([(1 - q[i]) * (1 - q[k]) for i, k in pairs])
    holds(not binomial_alarm(together, draws, both, 1e-9), "two units should be kept independently")
    neighbours = np.sum(m[:-1:2, 1:] & m[1::2, 1:], axis=0)
    holds(
        not binomial_alarm(neighbours, draws // 2, (1 - q[1:]) ** 2, 1e-9),
        "two positions of a text should not share a mask",
    )
    rng = np.random.default_rng(1)
    alone = np.sum([dropout_mask(q, (1, 5), rng)[0] for _ in range(2000)], axis=0)
    words = f"drawn a position at a time they should be kept with 1 - q too, yours are kept: {alone / 2000}"
    holds(not binomial_alarm(alone[1:], 2000, 1 - q[1:], 1e-9), words)


@law(seeds, st.floats(0.2, 0.8))
def masks_differ_from_pass_to_pass_and_repeat_with_the_seed(
    dropout_mask: Function, seed: int, rate: float
) -> None:
    """Each draw from a generator is another mask; the same generator draws the same ones."""

    def draw(rng: np.random.Generator) -> Any:
        return dropout_mask(np.full(40, rate), (5, 40), rng)

    rng = np.random.default_rng(seed)
    first, second = draw(rng), draw(rng)
    holds((first != second).any(), "the second draw from a generator should be another mask")
    again = draw(np.random.default_rng(seed))
    holds(np.array_equal(first, again), "the same generator should draw the same mask")


@law(tensors(1, 5), arrays(np.float64, 5, elements=st.floats(0, 0.99)))
def dropout_keeps_the_expectation(apply_dropout: Function, h: Floats, q: Floats) -> None:
    """Over all 2^5 masks, weighed by their probabilities, the mean of h' is h."""
    masks, weights = enumerate_masks(1 - q)
    every = np.stack([apply_dropout(h, m[None], q) for m in masks])
    mean = np.tensordot(weights, every, 1)
    agree("the mean of dropout's output over all masks", mean, h, atol=1e-10)


@law(gradients(), dtypes)
def no_dropout_changes_nothing_bit_for_bit(
    apply_dropout: Function, case: tuple[Floats, Bools], dtype: Any
) -> None:
    """With rates 0 and everything kept, h' is h, in its precision."""
    h = case[0].astype(dtype)
    off, everything = np.zeros(h.shape[-1], dtype), np.ones(h.shape, dtype=bool)
    got = apply_dropout(h, everything, off)
    agree("dropout's output at rates 0", got, h, 0, 0)
    holds(got.dtype == dtype, f"h of {np.dtype(dtype)} should stay {np.dtype(dtype)}")


@law(gradients(), rngs)
def apply_dropout_grad_is_its_gradient(
    apply_dropout: Function, apply_dropout_grad: Function, case: tuple[Floats, Bools],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """The gradient agrees with differences of a weighed sum of h'."""
    h = case[0]
    q = rng.uniform(0, 0.9, h.shape[-1])
    m, outward = rng.random(h.shape) >= q, rng.normal(size=h.shape)
    is_gradient(
        lambda h: apply_dropout_grad(outward, m, q),
        lambda h: float(np.sum(outward * apply_dropout(h, m, q))),
        h,
        rng,
    )
