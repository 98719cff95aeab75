from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ref_strategies import binomial_alarm, dtypes, gradients, refused, rngs, seeds, tensors

from uegr_ref import apply_dropout, apply_dropout_grad, drop_rates, dropout_mask, gradient_norm, layer_rates
from uegr_ref.dropout import KINDS
from uegr_ref.gradcheck import check_gradient
from uegr_ref.theorem1 import enumerate_masks

kinds = st.sampled_from(KINDS)
one_norm = st.one_of(st.just(0.0), st.floats(1e-9, 1e9), st.sampled_from([1.0, 2.0, 1e-300, 1e300]))
norms = st.integers(1, 30).flatmap(lambda n: arrays(np.float64, n, elements=one_norm, fill=st.nothing()))
gammas = st.sampled_from([0.0, 0.5, 1.0, 2.0])
bounds = st.sampled_from([(0.0, 0.95), (0.05, 0.5), (0.0, 0.3)])


@st.composite
def cases(draw):
    q_min, q_max = draw(bounds)
    share = draw(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)))
    base_rate = min(q_min + share * (q_max - q_min), q_max)
    options = {"gamma": draw(gammas), "kind": draw(kinds), "q_min": q_min, "q_max": q_max}
    return draw(norms), base_rate, options


@given(cases())
def test_the_mean_drop_rate_is_the_base_rate(case):
    n, base_rate, options = case
    assert abs(drop_rates(n, base_rate, **options).mean() - base_rate) < 1e-9


@given(cases())
def test_drop_rates_stay_within_their_bounds(case):
    n, base_rate, options = case
    q = drop_rates(n, base_rate, **options)
    assert (q >= options["q_min"]).all()
    assert (q <= options["q_max"]).all()


@given(cases())
def test_drop_rates_rise_with_the_norm_and_fall_for_the_control(case):
    n, base_rate, options = case
    q = drop_rates(n, base_rate, **options)
    steps = np.diff(q[np.argsort(n)])
    assert ((-steps if options["kind"] == "inverse" else steps) >= -1e-12).all()
    for value in n:
        same = q[n == value]
        assert np.allclose(same, same[0], atol=1e-12)


@given(norms, st.floats(0.01, 0.2), st.sampled_from([0.5, 1.0, 2.0]))
def test_unclipped_rates_are_proportional_to_the_normalised_norm(n, base_rate, gamma):
    assume(n.any())
    a = (n / n.max()) ** gamma
    a = a / a.mean()
    assume(base_rate * a.max() <= 0.95)
    assert np.allclose(drop_rates(n, base_rate, gamma), base_rate * a, rtol=1e-9, atol=1e-15)


def test_clipped_rates_are_the_same_multiple_of_the_norm_wherever_they_are_free():
    n = np.array([0.1, 1.0, 2.0, 3.0, 50.0, 60.0])
    q = drop_rates(n, 0.45, q_min=0.05, q_max=0.9)
    free = (q > 0.05) & (q < 0.9)
    assert free.sum() == 3
    assert q[0] == 0.05
    assert (q[4:] == 0.9).all()
    assert np.ptp(q[free] / n[free]) < 1e-12


def test_units_without_a_gradient_are_dropped_only_when_the_others_cannot_make_up_the_mean():
    assert np.allclose(drop_rates([0.0, 1.0, 1.0], 0.5), [0, 0.75, 0.75])
    assert np.allclose(drop_rates([0.0, 0.0, 1.0], 0.5), [0.275, 0.275, 0.95])


@given(norms, st.floats(0.01, 0.2))
def test_rank_rates_follow_the_mid_ranks(n, base_rate):
    assume(n.any())
    assume(n.min() < n.max())
    rank = np.array([np.sum(n < x) + (np.sum(n == x) - 1) / 2 for x in n])
    wanted = base_rate * 2 * rank / (len(n) - 1)
    assert np.allclose(drop_rates(n, base_rate, kind="rank"), wanted, rtol=1e-9)
    assert np.array_equal(drop_rates(n, base_rate, kind="rank"), drop_rates(n, base_rate, 2.0, "rank"))


@given(
    arrays(np.float64, st.integers(2, 20), elements=st.floats(0.1, 10)),
    st.floats(0.05, 0.8),
    st.floats(0.1, 1),
)
def test_logistic_rates_have_logits_affine_in_the_zscore(n, base_rate, gamma):
    assume(np.std(n / n.max()) > 1e-6)
    q = drop_rates(n, base_rate, gamma, "logistic", q_max=1 - 1e-9)
    z = (n - n.mean()) / n.std()
    logit = np.log(q) - np.log1p(-q)
    assert np.ptp(logit - gamma * z) < 1e-6


@given(norms, st.floats(0.01, 0.2))
def test_inverse_rates_mirror_the_norm(n, base_rate):
    assume(n.any())
    a = (n.max() - n) / n.max() + n.min() / n.max()
    assume(base_rate * a.max() / a.mean() <= 0.95)
    assert np.allclose(
        drop_rates(n, base_rate, kind="inverse"), base_rate * a / a.mean(), rtol=1e-9, atol=1e-15
    )


@given(norms, st.floats(0, 0.95), kinds)
def test_gamma_zero_no_gradient_and_broken_gradients_give_ordinary_dropout(n, base_rate, kind):
    uniform = np.full_like(n, base_rate)
    assert np.array_equal(drop_rates(n, base_rate, 0.0, kind), uniform)
    assert np.array_equal(drop_rates(np.zeros_like(n), base_rate, 1.0, kind), uniform)
    for bad in (np.nan, np.inf):
        broken = n.copy()
        broken[0] = bad
        assert np.array_equal(drop_rates(broken, base_rate, 1.0, kind), uniform)
    assert np.array_equal(drop_rates(n, base_rate, kind="uniform"), uniform)


@given(cases(), rngs)
def test_rates_follow_their_units_and_ignore_the_scale_of_the_loss(case, rng):
    n, base_rate, options = case
    q, order = drop_rates(n, base_rate, **options), rng.permutation(len(n))
    assert np.allclose(drop_rates(n[order], base_rate, **options), q[order], atol=1e-9)
    assert np.allclose(drop_rates(n / 1024, base_rate, **options), q, atol=1e-9)


def test_layer_rates_give_one_rate_a_site_by_its_mean_norm():
    sites = [np.array([1.0, 3.0]), np.array([4.0, 4.0, 4.0]), np.array([0.0, 6.0])]
    assert np.allclose(layer_rates(sites, 0.1), 0.1 * np.array([2, 4, 3]) / 3)


@given(gradients())
def test_gradient_norm_is_the_rms_over_real_positions(case):
    g, mask = case
    for u, got in enumerate(gradient_norm(g, mask)):
        entries = [g[b, t, u] ** 2 for b, t in np.ndindex(mask.shape) if mask[b, t]]
        assert np.isclose(got, np.sqrt(sum(entries) / len(entries)) if entries else 0.0)
    junk = np.where(mask[:, :, None], g, np.nan)
    assert np.array_equal(gradient_norm(junk, mask), gradient_norm(g, mask))
    assert np.allclose(gradient_norm(g), gradient_norm(g.reshape(-1, g.shape[2])))


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (0, 4)])
def test_the_norm_of_an_empty_batch_is_zero(shape):
    assert np.array_equal(gradient_norm(np.zeros(shape)), np.zeros(4))


def test_the_mask_keeps_each_unit_with_its_own_probability_and_independently():
    q, draws = np.array([0.0, 0.05, 0.3, 0.5, 0.95]), 200_000
    m = dropout_mask(q, (draws // 2, 2, 5), np.random.default_rng(0)).reshape(-1, 5)
    assert m[:, 0].all()
    assert not binomial_alarm(m[:, 1:].sum(axis=0), draws, 1 - q[1:], 1e-9)
    pairs = [(i, k) for i in range(1, 5) for k in range(i + 1, 5)]
    together = np.array([np.sum(m[:, i] & m[:, k]) for i, k in pairs])
    assert not binomial_alarm(together, draws, np.array([(1 - q[i]) * (1 - q[k]) for i, k in pairs]), 1e-9)
    neighbours = np.sum(m[:-1:2, 1:] & m[1::2, 1:], axis=0)  # positions do not share a mask
    assert not binomial_alarm(neighbours, draws // 2, (1 - q[1:]) ** 2, 1e-9)


@given(seeds, st.floats(0.2, 0.8))
def test_masks_differ_from_pass_to_pass_and_repeat_with_the_seed(seed, rate):
    def draw(rng):
        return dropout_mask([rate] * 40, (5, 40), rng)

    rng = np.random.default_rng(seed)
    first, second = draw(rng), draw(rng)
    assert (first != second).any()
    assert np.array_equal(first, draw(np.random.default_rng(seed)))


@given(tensors(1, 5), arrays(np.float64, 5, elements=st.floats(0, 0.99)))
def test_dropout_keeps_the_expectation(h, q):
    masks, weights = enumerate_masks(1 - q)
    mean = sum(w * apply_dropout(h, m[None], q) for m, w in zip(masks, weights, strict=True))
    assert np.allclose(mean, h, atol=1e-10)


@given(gradients(), dtypes)
def test_no_dropout_changes_nothing_bit_for_bit(case, dtype):
    h = case[0].astype(dtype)
    off, everything = np.zeros(h.shape[-1], dtype), np.ones(h.shape, dtype=bool)
    assert np.array_equal(apply_dropout(h, everything, off), h)
    assert apply_dropout(h, everything, off).dtype == dtype
    assert dropout_mask(off, h.shape, np.random.default_rng(0)).all()


@given(gradients(), rngs)
def test_apply_dropout_grad_is_its_gradient(case, rng):
    h = case[0]
    q = rng.uniform(0, 0.9, h.shape[-1])
    m, outward = dropout_mask(q, h.shape, rng), rng.normal(size=h.shape)
    check_gradient(
        lambda h: float(np.sum(outward * apply_dropout(h, m, q))),
        lambda h: apply_dropout_grad(outward, m, q),
        h,
        rng,
    )


@given(norms, kinds, dtypes)
def test_the_precision_is_kept(n, kind, dtype):
    n = np.clip(n, 0, 1e30).astype(dtype)
    q = drop_rates(n, 0.1, kind=kind)
    assert q.dtype == dtype
    assert abs(float(q.mean()) - 0.1) < (1e-9 if dtype is np.float64 else 1e-6)
    assert gradient_norm(np.ones((2, 3, 4), dtype)).dtype == dtype


def test_bad_input_is_refused():
    h, m, rng = np.ones((2, 3)), np.ones((2, 3), bool), np.random.default_rng(0)
    refused("gradient", lambda: gradient_norm(np.ones(3)))
    refused("mask", lambda: gradient_norm(np.ones((2, 3, 4)), np.ones((2, 4), bool)))
    refused("norms", lambda: drop_rates(h, 0.1))
    refused("norms", lambda: drop_rates([-1.0, 1.0], 0.1))
    for rate in (-0.1, 0.96, 1.0, np.nan):
        refused("base_rate", lambda rate=rate: drop_rates([1.0], rate))
    refused("base_rate", lambda: drop_rates([1.0], 0.1, q_min=0.2))
    refused("q_max", lambda: drop_rates([1.0], 0.1, q_max=1.0))
    refused("q_min", lambda: drop_rates([1.0], 0.1, q_min=0.96))
    refused("gamma", lambda: drop_rates([1.0], 0.1, gamma=-1))
    refused("kind", lambda: drop_rates([1.0], 0.1, kind="max"))
    refused("norms_of_sites", lambda: layer_rates([h], 0.1))
    refused("rates", lambda: dropout_mask([0.1], (2, 3), rng))
    refused("rates", lambda: dropout_mask([0.1, 0.1, 1.0], (2, 3), rng))
    refused("rng", lambda: dropout_mask([0.1] * 3, (2, 3), 0))
    refused("shape", lambda: dropout_mask([0.1] * 3, (), rng))
    refused("mask", lambda: apply_dropout(h, m[:1], [0.1] * 3))
    refused("mask", lambda: apply_dropout(h, np.ones((2, 3)), [0.1] * 3))
    refused("rates", lambda: apply_dropout(h, m, [0.1]))
    refused("rates", lambda: apply_dropout(h, m, [0.1, 0.1, 1.0]))
    refused("h", lambda: apply_dropout(np.full((2, 3), np.nan), m, [0.1] * 3))
    refused("gradient", lambda: apply_dropout_grad(np.full((2, 3), np.nan), m, [0.1] * 3))
