"""Properties of the saliency and of its normalisation, Eq. 7-8."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ...support.checks import Floats
from .law import Function, agree, holds, law
from .strategies import rngs, tensors

one_saliency = st.one_of(st.just(0.0), st.sampled_from([1.0, 2.0, 1e-12, 1e-30]), st.floats(1e-12, 1e6))
saliencies = arrays(np.float64, st.integers(0, 25), elements=one_saliency, fill=st.nothing())


@law(tensors(6))
def saliency_is_the_squared_batch_gradient(batch_saliency: Function, g: Floats) -> None:
    """The square of each entry of the gradient."""
    agree("the saliency", batch_saliency(g), np.array([x * x for x in g]), 0, 0)


@law(tensors(6), tensors(6), st.floats(0, 1))
def the_running_saliency_averages_the_squares(
    ema_saliency: Function, g: Floats, older: Floats, rho: float
) -> None:
    """rho of the older one and 1 - rho of this batch's."""
    wanted = [rho * y**2 + (1 - rho) * x**2 for x, y in zip(g, older, strict=True)]
    agree(f"the running saliency with rho = {rho:g}", ema_saliency(older**2, g, rho), wanted)
    agree("the running saliency with rho = 0", ema_saliency(older**2, g, 0.0), g * g, 0, 0)


@law(st.integers(1, 5).flatmap(lambda rows: tensors(rows, 6)))
def the_saliency_of_rows_averages_squares_not_gradients(of_rows: Function, g: Floats) -> None:
    """The mean over the rows of their squares, which is at least the square of their mean."""
    got = of_rows(g)
    agree("the saliency of the rows", got, [sum(x * x for x in column) / len(g) for column in g.T])
    holds((got >= g.mean(axis=0) ** 2 - 1e-9).all(), "the mean square should be at least the squared mean")


@law(arrays(np.float64, st.integers(1, 12), elements=one_saliency, fill=st.nothing()))
def mid_ranks_count_the_entries_below_and_half_of_the_others_that_are_equal(
    mid_ranks: Function, x: Floats
) -> None:
    """The rank of an entry is the number of smaller ones plus half the number of other equal ones."""
    wanted = [sum(y < one for y in x) + (sum(y == one for y in x) - 1) / 2 for one in x]
    agree("the ranks", mid_ranks(x), wanted)


@law(saliencies)
def ranks_count_the_non_zero_entries_below(rank_normalise: Function, s: Floats) -> None:
    """Zeros get 0; of the n others each gets its rank among them over n - 1, and a single one 0.5."""
    others = [x for x in s if x > 0]

    def rank(x: float) -> float:
        below, equal = sum(y < x for y in others), sum(y == x for y in others)
        return float((below + (equal - 1) / 2) / (len(others) - 1))

    wanted = [0.0 if x == 0 else 0.5 if len(others) == 1 else rank(x) for x in s]
    agree("the normalised saliency", rank_normalise(s), np.array(wanted))


@law(saliencies)
def ranks_lie_in_the_unit_interval_with_mean_one_half(rank_normalise: Function, s: Floats) -> None:
    """All lie in [0, 1], and the mean of the non-zero ones is 1/2."""
    ranks = rank_normalise(s)
    holds(((ranks >= 0) & (ranks <= 1)).all(), "every normalised saliency should lie in [0, 1]")
    if s.any():
        agree("the mean over the non-zero entries", ranks[s > 0].mean(), 0.5)


@law(saliencies, st.integers(0, 30))
def absent_words_do_not_shift_the_ranks_of_the_others(
    rank_normalise: Function, s: Floats, zeros: int
) -> None:
    """More zeros, as of absent words, get 0 and change nothing else."""
    padded = rank_normalise(np.concatenate([s, np.zeros(zeros)]))
    agree(f"the result with {zeros} more zeros", padded, np.append(rank_normalise(s), np.zeros(zeros)), 0, 0)


@law(saliencies)
def every_normalisation_keeps_the_order_and_the_unit_interval(normalise: Function, s: Floats) -> None:
    """A larger saliency never gets a smaller value; all values lie in [0, 1]."""
    got = normalise(s)
    holds(((got >= 0) & (got <= 1)).all(), "every normalised saliency should lie in [0, 1]")
    holds((np.diff(got[np.argsort(s)]) >= 0).all(), "a larger saliency should not get a smaller value")


@law(saliencies, rngs)
def permuting_the_parameters_permutes_the_result(
    normalise: Function, s: Floats, rng: np.random.Generator
) -> None:
    """A parameter's value does not depend on its place."""
    order = rng.permutation(len(s))
    agree("the result for the permuted parameters", normalise(s[order]), normalise(s)[order], 0, 0)


@law(st.floats(1e-6, 1e6), st.integers(1, 5))
def equal_entries_get_one_half(normalise: Function, value: float, n: int) -> None:
    """Where all entries are equal, each gets 0.5."""
    agree(f"the result for {n} equal entries", normalise(np.full(n, value)), np.full(n, 0.5), 0, 0)
