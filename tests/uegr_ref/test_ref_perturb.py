from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uegr_ref import fgm, fgsm, perturbation, pgd, relative_epsilon, token_linf
from uegr_ref.learn.properties import perturb as laws
from uegr_ref.learn.properties.strategies import dtypes, gradients, refused, rngs, seeds
from uegr_ref.penalty import gradient_penalty

epsilons = st.floats(1e-3, 10)
BY_EXAMPLE = {
    "fgsm": fgsm,
    "fgm": fgm,
    "fgm_token": lambda g, eps, mask=None: fgm(g, eps, mask, scope="token"),
    "token_linf": token_linf,
}
ALL = {
    **BY_EXAMPLE,
    "fgm_batch": lambda g, eps, mask=None: fgm(g, eps, mask, scope="batch"),
    "fgm_table": lambda g, eps, mask=None: fgm(
        g, eps, mask, "table", np.arange(g[:, :, 0].size).reshape(g.shape[:2])
    ),
    "pgd": lambda g, eps, mask=None: pgd(lambda x: g, np.zeros_like(g), eps, eps / 2, 3, mask),
    "pgd_l2": lambda g, eps, mask=None: pgd(lambda x: g, np.zeros_like(g), eps, eps / 2, 3, mask, "fgm"),
    "pgd_token_linf": lambda g, eps, mask=None: pgd(
        lambda x: g, np.zeros_like(g), eps, eps / 2, 3, mask, "token_linf"
    ),
}
attacks = pytest.mark.parametrize("attack", ALL.values(), ids=ALL.keys())


def test_fgsm_moves_every_coordinate_with_a_gradient_by_epsilon_uphill():
    laws.fgsm_moves_every_coordinate_with_a_gradient_by_epsilon_uphill(fgsm)


@given(gradients(), epsilons)
def test_fgm_has_norm_epsilon_over_each_scope(case, epsilon):
    g, mask = case
    g = np.where(mask[:, :, None], g, 0)
    for scope, axes in (("example", (1, 2)), ("token", 2), ("batch", None)):
        length = np.sqrt(np.sum(fgm(g, epsilon, mask, scope) ** 2, axis=axes))
        largest = np.abs(g).max(axis=axes)
        assert np.allclose(length, np.where(largest > 0, epsilon, 0), rtol=1e-12)


def test_fgm_by_example_points_along_the_gradient():
    laws.fgm_by_example_has_norm_epsilon_and_points_along_the_gradient(fgm)


@given(gradients(), epsilons, seeds)
def test_fgm_by_table_is_the_normalised_gradient_of_the_embedding_table(case, epsilon, seed):
    g, mask = case
    tokens = np.random.default_rng(seed).integers(0, 3, mask.shape)
    table = np.zeros((3, g.shape[2]))
    for place in np.ndindex(mask.shape):
        if mask[place]:
            table[tokens[place]] += g[place]
    norm = np.sqrt(np.sum(table**2))
    wanted = np.where(mask[:, :, None], table[tokens] * (epsilon / norm if norm > 1e-9 else 0), 0)
    got = fgm(g, epsilon, mask, "table", tokens)
    if norm > 1e-9:
        assert np.allclose(got, wanted, atol=1e-9 * epsilon)
    for word in range(3):  # every occurrence of a word is shifted alike
        shifts = got[mask & (tokens == word)]
        assert (shifts == shifts[:1]).all()


@given(gradients(), epsilons)
def test_token_linf_follows_its_formula(case, epsilon):
    g, mask = case
    delta = token_linf(g, epsilon, mask)
    for place in np.ndindex(mask.shape):
        wanted = epsilon * g[place] / (np.abs(g[place]).max() + 1e-8) if mask[place] else 0
        assert np.allclose(delta[place], wanted, rtol=1e-12)


@given(gradients(), epsilons, seeds)
def test_fgsm_and_fgm_gain_most_among_perturbations_of_their_norm(case, epsilon, seed):
    g, _ = case
    other = np.random.default_rng(seed).uniform(-epsilon, epsilon, g.shape)
    assert np.isclose(np.sum(g * fgsm(g, epsilon)), gradient_penalty(g, epsilon, "linf"))
    assert np.sum(g * other) <= np.sum(g * fgsm(g, epsilon)) + 1e-9
    other *= epsilon / np.sqrt(np.sum(other**2, axis=(1, 2), keepdims=True))
    assert np.isclose(np.sum(g * fgm(g, epsilon)), gradient_penalty(g, epsilon, "l2"))
    assert np.sum(g * other) <= np.sum(g * fgm(g, epsilon)) + 1e-9


@attacks
def test_padding_gets_no_perturbation_and_counts_for_nothing(attack):
    laws.padding_gets_no_perturbation_and_counts_for_nothing(attack)


@attacks
def test_a_zero_gradient_gives_no_perturbation(attack):
    laws.a_zero_gradient_gives_no_perturbation(attack)


@pytest.mark.parametrize(
    ("attack", "scope"),
    [(fgsm, "example"), (fgm, "example"), (token_linf, "token"), (BY_EXAMPLE["fgm_token"], "token"),
     (ALL["fgm_batch"], "batch"), (ALL["fgm_table"], "batch")],
)  # fmt: skip
def test_a_gradient_that_is_not_finite_gives_no_perturbation_in_its_scope(attack, scope):
    laws.a_gradient_that_is_not_finite_gives_no_perturbation_in_its_scope(attack, scope)


@pytest.mark.parametrize("attack", BY_EXAMPLE.values(), ids=BY_EXAMPLE.keys())
def test_permuting_the_examples_permutes_the_perturbations(attack):
    laws.permuting_the_examples_permutes_the_perturbations(attack)


@pytest.mark.parametrize("attack", [fgsm, fgm, BY_EXAMPLE["fgm_token"], ALL["fgm_batch"]])
def test_the_scale_of_the_loss_cancels(attack):
    laws.the_scale_of_the_loss_cancels(attack)


@attacks
@given(case=gradients(least=0), dtype=dtypes)
def test_the_precision_of_the_gradient_is_kept(attack, case, dtype):
    g, mask = case
    delta = attack(g.astype(dtype), 0.5, mask)
    assert delta.dtype == dtype
    assert delta.shape == g.shape


@given(gradients(), epsilons)
def test_one_pgd_step_is_fgsm_or_fgm(case, epsilon):
    g, mask = case
    x = np.zeros_like(g)
    assert np.array_equal(pgd(lambda _: g, x, epsilon, epsilon, 1, mask), fgsm(g, epsilon, mask))
    assert np.allclose(pgd(lambda _: g, x, epsilon, epsilon, 1, mask, "fgm"), fgm(g, epsilon, mask))


@given(rngs, st.integers(1, 6), st.floats(0.05, 2))
def test_pgd_stays_in_the_ball_and_climbs_a_curved_loss_at_least_as_high(rng, steps, step_size):
    x, centre = rng.normal(size=(2, 3, 4, 2))
    mask = np.arange(4) < np.array([[4], [2], [1]])

    def loss(y):  # per example; convex, so that the gradient turns along the way
        return np.sum(np.where(mask[:, :, None], np.cosh(y - centre), 0), axis=(1, 2))

    for attack, size in (("fgsm", np.max), ("fgm", lambda d, axis: np.sqrt(np.sum(d * d, axis=axis)))):
        delta = pgd(lambda y: np.sinh(y - centre), x, 0.5, step_size, steps, mask, attack)
        assert (size(np.abs(delta), axis=(1, 2)) <= 0.5 * (1 + 1e-12)).all()
        assert not delta[~mask].any()
        assert (loss(x + delta) >= loss(x)).all()


@given(gradients(), epsilons, seeds)
def test_pgd_by_fgm_reaches_the_border_of_the_ball_of_its_scope_and_no_further(case, epsilon, seed):
    g, mask = case
    g = np.where(mask[:, :, None], np.round(g, 3), 0)
    tokens = np.random.default_rng(seed).integers(0, 3, mask.shape)
    for scope, axes in (("example", (1, 2)), ("token", 2), ("batch", None)):
        delta = pgd(lambda _: g, np.zeros_like(g), epsilon, 0.6 * epsilon, 3, mask, "fgm", scope)
        assert np.allclose(delta, fgm(g, epsilon, mask, scope), atol=1e-9 * epsilon), scope
        assert (np.sqrt(np.sum(delta**2, axis=axes)) <= epsilon * (1 + 1e-12)).all()
    delta = pgd(lambda _: g, np.zeros_like(g), epsilon, 0.6 * epsilon, 3, mask, "fgm", "table", tokens)
    assert np.allclose(delta, fgm(g, epsilon, mask, "table", tokens), atol=1e-9 * epsilon)


def test_the_attack_by_its_name_is_the_attack():
    g, tokens = np.random.default_rng(0).normal(size=(2, 3, 4)), np.array([[1, 2, 1], [2, 2, 3]])
    assert np.array_equal(perturbation(g, 0.5), fgsm(g, 0.5))
    assert np.array_equal(perturbation(g, 0.5, None, "token_linf"), token_linf(g, 0.5))
    assert np.array_equal(
        perturbation(g, 0.5, None, "fgm", "table", tokens), fgm(g, 0.5, None, "table", tokens)
    )


def test_pgd_asks_for_the_gradient_where_it_stands():
    asked = []
    x = np.ones((1, 1, 2))

    def gradient_at(y):
        asked.append(y.copy())
        return np.array([[[1.0, -1.0]]])

    pgd(gradient_at, x, 1.0, 0.25, 3)
    assert np.allclose(np.ravel(asked), [1, 1, 1.25, 0.75, 1.5, 0.5])


def test_relative_epsilon_is_a_share_of_the_rms_at_real_tokens():
    laws.relative_epsilon_is_a_share_of_the_rms_at_real_tokens(relative_epsilon)


def test_relative_epsilon_by_norm_is_a_share_of_the_norms_of_the_words():
    laws.relative_epsilon_by_norm_is_a_share_of_the_norms_of_the_words(relative_epsilon)


def test_bad_input_is_refused():
    g = np.ones((2, 3, 4))
    for attack in (fgsm, fgm, token_linf):
        refused("gradient", lambda attack=attack: attack(g[0], 0.1))
        refused("gradient", lambda attack=attack: attack(g > 0, 0.1))
        for epsilon in (-0.1, np.nan, np.inf, "0.1", True):
            refused("epsilon", lambda attack=attack, epsilon=epsilon: attack(g, epsilon))
        for mask in (np.ones((2, 4), bool), np.ones((2, 1), bool), np.ones((2, 3)), np.ones(3, bool)):
            refused("mask", lambda attack=attack, mask=mask: attack(g, 0.1, mask))
    refused("scope", lambda: fgm(g, 0.1, scope="sentence"))
    refused("tokens", lambda: fgm(g, 0.1, scope="table"))
    refused("tokens", lambda: fgm(g, 0.1, scope="table", tokens=np.zeros((2, 2), int)))
    refused("tokens", lambda: fgm(g, 0.1, scope="table", tokens=np.zeros((2, 3))))
    refused("attack", lambda: pgd(lambda x: x, g, 0.1, 0.1, 1, attack="pgd"))
    refused("gradient_at", lambda: pgd(g, g, 0.1, 0.1, 1))
    refused("steps", lambda: pgd(lambda x: x, g, 0.1, 0.1, 0))
    refused("x", lambda: pgd(lambda x: x, np.full((1, 1, 1), np.nan), 0.1, 0.1, 1))
    refused("gradient_at(x)", lambda: pgd(lambda x: x[0], g, 0.1, 0.1, 1))
    refused("unit", lambda: relative_epsilon(g, 0.1, unit="absolute"))
    refused("vectors", lambda: relative_epsilon(np.full((1, 1, 1), np.nan), 0.1))
