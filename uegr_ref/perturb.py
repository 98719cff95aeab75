"""Eq. 1-2: the perturbation delta of the embedded input that raises the loss.

    (1)  min_theta E_(x,y) [ max_{delta in S} L(f(x + delta; theta, m), y) ]     stated, but for S
    (2)  fgsm        delta   = eps * sign(G)                                     named in the paper (default)
         fgm         delta   = eps * G / ||G||_2                                 ancestor R-AT
         token_linf  delta_t = eps * G_t / (max_j |G_tj| + 1e-8)                 ancestor RoAST
         pgd         delta  <- project_S(delta + step)                           the steps above, repeated

    G = dL_clean/dx   gradient    (B, T, D)    b example, t position, d coordinate; its scale cancels
    eps               epsilon     >= 0         in units of x; from a share of its RMS by `relative_epsilon`
    -                 mask        (B, T)       True = real token; padding gets delta = 0 and counts in no norm
    delta             -           (B, T, D)    a constant: no gradient flows through it

S is inferred: ||delta_b||_inf <= eps for the sign form, ||delta_b||_2 <= eps for the l2 form.
Where the gradient is zero delta is zero. Where it is not finite (NaN or infinite at a real token) delta is
zero over the whole scope of the norm: the example (fgsm, fgm), the token (token_linf, fgm by token), or
everything (fgm by batch and by table).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .checks import Bools, Floats
from .numeric import largest, total, unit

SCOPES = ("example", "token", "batch", "table")


def _real_gradient(gradient: ArrayLike, mask: ArrayLike | None) -> tuple[Floats, Bools]:
    """The gradient with zeros on padding, and the mask; both checked."""
    g = checks.floats("gradient", gradient, ("B", "T", "D"), finite=False)
    real = checks.real_tokens(mask, g.shape[:2])
    return np.where(real[:, :, None], g, 0), real


def fgsm(gradient: ArrayLike, epsilon: float, mask: ArrayLike | None = None) -> Floats:
    """Fast gradient sign, Eq. 2: eps * sign(G). (B, T, D) -> (B, T, D), largest entry eps.

    >>> fgsm(np.array([[[3.0, -0.1], [0.0, 2.0]]]), 0.5)
    array([[[ 0.5, -0.5],
            [ 0. ,  0.5]]])
    """
    g, _ = _real_gradient(gradient, mask)
    epsilon = checks.number("epsilon", epsilon, 0)
    usable = np.isfinite(g).all(axis=(1, 2), keepdims=True)
    return epsilon * np.sign(np.where(usable, g, 0))


def fgm(
    gradient: ArrayLike,
    epsilon: float,
    mask: ArrayLike | None = None,
    scope: str = "example",
    tokens: ArrayLike | None = None,
) -> Floats:
    """Fast gradient, Eq. 2: eps * G / ||G||_2. (B, T, D) -> (B, T, D), norm eps over each scope.

    scope: "example" one norm over the (T, D) of each example; "token" one over each D; "batch" one over all.
    "table" is the ancestor's code: the gradient of the embedding *table* is normalised as one vector, so all
    occurrences of a word, `tokens` (B, T), share one shift. An eps is not comparable between scopes: the
    examples share it in "batch" and "table".
    """
    g, real = _real_gradient(gradient, mask)
    epsilon = checks.number("epsilon", epsilon, 0)
    checks.choice("scope", scope, SCOPES)
    if scope == "table":
        return epsilon * _table_direction(g, real, tokens)
    axes = {"example": (1, 2), "token": (2,), "batch": (0, 1, 2)}
    return epsilon * unit(g, axes[scope])


def _table_direction(g: Floats, real: Bools, tokens: ArrayLike | None) -> Floats:
    """The unit gradient of the embedding table, looked up at every real token."""
    if tokens is None:
        raise ValueError('tokens: got None, wanted the (B, T) word ids that scope="table" needs')
    words = checks.ints("tokens", tokens, g.shape[:2])
    rows, row_of = np.unique(words, return_inverse=True)
    row_of = row_of.reshape(words.shape)
    table = np.zeros((rows.size, g.shape[2]), dtype=g.dtype)
    np.add.at(table, row_of, g)
    return np.where(real[:, :, None], unit(table, (0, 1))[row_of], 0)


def token_linf(gradient: ArrayLike, epsilon: float, mask: ArrayLike | None = None) -> Floats:
    """Each token's gradient over its largest entry, times eps, Eq. 2. (B, T, D) -> (B, T, D)."""
    g, _ = _real_gradient(gradient, mask)
    epsilon = checks.number("epsilon", epsilon, 0)
    size = largest(g, axis=2)
    usable = np.isfinite(size)
    return epsilon * np.where(usable, g, 0) / (np.where(usable, size, 0) + 1e-8)


def pgd(
    gradient_at: Callable[[Floats], Floats],
    x: ArrayLike,
    epsilon: float,
    step_size: float,
    steps: int,
    mask: ArrayLike | None = None,
    norm: str = "linf",
) -> Floats:
    """Projected gradient: `steps` fgsm ("linf") or fgm ("l2") steps from delta = 0, kept within eps of `x`.

    gradient_at: from an input (B, T, D) to dL/dx there. Returns delta (B, T, D). Each example has its own
    ball. One step of size eps is fgsm, or fgm by example.
    """
    x = checks.floats("x", x, ("B", "T", "D"))
    epsilon = checks.number("epsilon", epsilon, 0)
    checks.choice("norm", norm, ("linf", "l2"))
    delta = np.zeros_like(x)
    for _ in range(checks.count("steps", steps)):
        gradient = checks.floats("gradient_at(x)", gradient_at(x + delta), x.shape, finite=False)
        if norm == "linf":
            delta = np.clip(delta + fgsm(gradient, step_size, mask), -epsilon, epsilon)
        else:
            delta = _into_ball(delta + fgm(gradient, step_size, mask), epsilon)
    return delta


def _into_ball(delta: Floats, epsilon: float) -> Floats:
    length = np.sqrt(total(delta * delta, axis=(1, 2)))
    return np.where(length > epsilon, epsilon * unit(delta, (1, 2)), delta)


def relative_epsilon(vectors: ArrayLike, epsilon: float, mask: ArrayLike | None = None) -> float:
    """epsilon * root mean square of the entries at real tokens, so that one value serves all embeddings.

    vectors (B, T, D) -> a number in the vectors' units; 0 where there is no real token.
    """
    x = checks.floats("vectors", vectors, ("B", "T", "D"))
    real = x[checks.real_tokens(mask, x.shape[:2])]
    rms = np.sqrt(np.mean(real * real)) if real.size else 0.0
    return checks.number("epsilon", epsilon, 0) * float(rms)
