"""Properties of the attacks of Eq. 2 and of the relative epsilon."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...support.checks import Bools, Floats
from .law import Function, agree, law
from .strategies import gradients, rngs

epsilons = st.floats(1e-3, 10)
SCOPES: dict[str, Any] = {
    "example": np.s_[0],
    "token": np.s_[0, 1],
    "batch": np.s_[:],
}  # what one bad entry spoils


@law(gradients(), epsilons)
def fgsm_moves_every_coordinate_with_a_gradient_by_epsilon_uphill(
    fgsm: Function, case: tuple[Floats, Bools], epsilon: float
) -> None:
    """Every coordinate of a real token moves by epsilon along the sign of its gradient, others by 0."""
    g, mask = case
    delta = fgsm(g, epsilon, mask)
    real = np.broadcast_to(mask[:, :, None], g.shape)
    agree("the perturbation", delta, np.where(real & (g != 0), epsilon * np.sign(g), 0), 0, 0)


@law(gradients())
def padding_gets_no_perturbation_and_counts_for_nothing(attack: Function, case: tuple[Floats, Bools]) -> None:
    """Padding is not moved, and whatever gradient stands there, even NaN, changes nothing."""
    g, mask = case
    delta = attack(g, 0.5, mask)
    agree("the perturbation of padding", delta[~mask], np.zeros_like(g)[~mask], 0, 0)
    for junk in (1e3, np.nan, np.inf):
        with_junk = attack(np.where(mask[:, :, None], g, junk), 0.5, mask)
        agree(f"the perturbation with {junk} at padding", with_junk, delta, 0, 0)


@law()
def a_zero_gradient_gives_no_perturbation(attack: Function) -> None:
    """Where the gradient is zero there is no direction: delta is zero."""
    agree(
        "the perturbation by a gradient of zeros", attack(np.zeros((2, 3, 2)), 0.5), np.zeros((2, 3, 2)), 0, 0
    )


@law(st.sampled_from([np.nan, np.inf, -np.inf]))
def a_gradient_that_is_not_finite_gives_no_perturbation_in_its_scope(
    attack: Function, scope: str, bad: float
) -> None:
    """NaN or infinity at a real token: no perturbation of its example (token, batch); others as ever."""
    g = np.ones((2, 3, 2))
    g[0, 1, 0] = bad
    spoiled = np.zeros((2, 3, 2), dtype=bool)
    spoiled[SCOPES[scope]] = True
    delta = attack(g, 0.5)
    agree(
        f"the perturbation in the {scope} with {bad} in its gradient", delta[spoiled], np.zeros(spoiled.sum())
    )
    others = f"the perturbation of the others, with {bad} in the gradient of one {scope},"
    agree(others, delta[~spoiled], attack(np.ones(g.shape), 0.5)[~spoiled])


@law(gradients(), rngs)
def permuting_the_examples_permutes_the_perturbations(
    attack: Function, case: tuple[Floats, Bools], rng: np.random.Generator
) -> None:
    """An example's perturbation does not depend on its place in the batch."""
    g, mask = case
    order = rng.permutation(len(g))
    permuted = attack(g[order], 0.5, mask[order])
    agree("the perturbation of the permuted batch", permuted, attack(g, 0.5, mask)[order], 0, 0)


@law(gradients(), st.sampled_from([1e-250, 1e-30, 7.0, 1e250]))
def the_scale_of_the_loss_cancels(attack: Function, case: tuple[Floats, Bools], scale: float) -> None:
    """A loss many times as large has the same perturbation."""
    g, mask = case
    g = np.round(g, 3)  # so that the scaled gradient has not vanished
    scaled, plain = attack(scale * g, 0.5, mask), attack(g, 0.5, mask)
    agree(f"the perturbation by {scale:g} times the gradient", scaled, plain, 1e-12, 1e-8)


@law(gradients(), epsilons)
def fgm_by_example_has_norm_epsilon_and_points_along_the_gradient(
    fgm: Function, case: tuple[Floats, Bools], epsilon: float
) -> None:
    """An example's perturbation is epsilon times the unit vector along its gradient at real tokens."""
    g, mask = case
    g = np.where(mask[:, :, None], np.round(g, 3), 0)
    norms = np.array([np.sqrt(np.sum(one * one)) for one in g])
    delta = fgm(g, epsilon, mask)
    wanted = [epsilon * one / norm if norm > 0 else one for one, norm in zip(g, norms, strict=True)]
    agree("the perturbation", delta, np.array(wanted), 1e-9, 1e-12)
    lengths = np.sqrt(np.sum(delta * delta, axis=(1, 2)))
    agree("the norm of each example's perturbation", lengths, np.where(norms > 0, epsilon, 0.0), 1e-9)


@law(gradients(), epsilons)
def relative_epsilon_by_norm_is_a_share_of_the_norms_of_the_words(
    relative_epsilon: Function, case: tuple[Floats, Bools], epsilon: float
) -> None:
    """With unit="norm": epsilon times the root mean square of the real words' norms."""
    x, mask = case
    squares = [sum(entry**2 for entry in word) for word in x[mask]]
    wanted = epsilon * np.sqrt(sum(squares) / len(squares)) if squares else 0.0
    agree("the relative epsilon by norm", relative_epsilon(x, epsilon, mask, "norm"), wanted)


@law(gradients(), epsilons)
def relative_epsilon_is_a_share_of_the_rms_at_real_tokens(
    relative_epsilon: Function, case: tuple[Floats, Bools], epsilon: float
) -> None:
    """epsilon times the root mean square of the entries at real tokens; 0 where there is none."""
    x, mask = case
    entries = x[mask].ravel()
    wanted = epsilon * np.sqrt(np.sum(entries**2) / entries.size) if entries.size else 0.0
    agree("the relative epsilon", relative_epsilon(x, epsilon, mask), wanted)
    agree(
        "the relative epsilon of three times the vectors", relative_epsilon(3 * x, epsilon, mask), 3 * wanted
    )
