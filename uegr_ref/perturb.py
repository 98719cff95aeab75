"""Eq. 1-2: the perturbation delta of the embedded input that raises the loss.

    (1)  min_theta E_(x,y) [ max_{delta in S} L(f(x + delta; theta, m), y) ]     stated, but for S
    (2)  fgm         delta   = eps * G / ||G||_2                                 ancestor R-AT (default)
         fgsm        delta   = eps * sign(G)                                     named in the paper
         token_linf  delta_t = eps * G_t / (max_j |G_tj| + 1e-8)                 ancestor RoAST
         pgd         delta  <- project_S(delta + step)                           the steps above, repeated

    G = dL_clean/dx   gradient    (B, T, D)    b example, t position, d coordinate; its scale cancels
    eps               epsilon     >= 0         in units of x; from a share of its size by `relative_epsilon`
    -                 mask        (B, T)       True = real token; padding gets delta = 0 and counts in no norm
    delta             -           (B, T, D)    a constant: no gradient flows through it

S is inferred: ||delta||_inf <= eps for fgsm and token_linf, and for fgm ||delta||_2 <= eps over each scope.
Where the gradient is zero delta is zero. Where it is not finite (NaN or infinite at a real token) delta is
zero over the whole scope of the norm: the example (fgsm, fgm), the token (token_linf, fgm by token), or
everything (fgm by batch and by table).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .support.checks import Bools, Floats, Ints
from .support.contract import contract, one_of
from .support.numeric import largest, real_tokens, sum_over, unit

ATTACKS = ("fgsm", "fgm", "token_linf")
SCOPES = ("example", "token", "batch", "table")
RELATIVE_UNITS = ("norm", "rms")
AXES = {"example": (1, 2), "token": (2,), "batch": (0, 1, 2)}  # over which a norm is taken


def _real(gradient: Floats, mask: Bools | None) -> Floats:
    """The gradient with zeros on padding."""
    return np.where(real_tokens(mask, gradient)[:, :, None], gradient, 0)


@contract(gradient="any floats (B, T, D)", epsilon="number in [0, inf)", mask="bools (B, T)")
def fgsm(gradient: Floats, epsilon: float, mask: Bools | None = None) -> Floats:
    """Fast gradient sign, Eq. 2: eps * sign(G). (B, T, D) -> (B, T, D), largest entry eps.

    >>> fgsm(np.array([[[3.0, -0.1], [0.0, 2.0]]]), 0.5)
    array([[[ 0.5, -0.5],
            [ 0. ,  0.5]]])
    """
    g = _real(gradient, mask)
    usable = np.isfinite(g).all(axis=(1, 2), keepdims=True)
    return epsilon * np.sign(np.where(usable, g, 0))


@contract(
    gradient="any floats (B, T, D)",
    epsilon="number in [0, inf)",
    mask="bools (B, T)",
    scope=one_of(SCOPES),
    tokens="ints (B, T)",
)
def fgm(
    gradient: Floats,
    epsilon: float,
    mask: Bools | None = None,
    scope: str = "example",
    tokens: Ints | None = None,
) -> Floats:
    """Fast gradient, Eq. 2: eps * G / ||G||_2. (B, T, D) -> (B, T, D), norm eps over each scope.

    scope: "example" one norm over the (T, D) of each example; "token" one over each D; "batch" one over all.
    "table" is the ancestor's code: the gradient of the embedding *table* is normalised as one vector, so all
    occurrences of a word, `tokens` (B, T), share one shift. An eps is not comparable between scopes: the
    examples share it in "batch" and "table".
    """
    g = _real(gradient, mask)
    if scope == "table":
        return epsilon * _real(_table_direction(g, tokens), mask)
    return epsilon * unit(g, AXES[scope])


def _table_direction(g: Floats, tokens: Ints | None) -> Floats:
    """The unit gradient of the embedding table, looked up at every token."""
    if tokens is None:
        raise ValueError('tokens: got None, wanted the (B, T) word ids that scope="table" needs')
    rows, row_of = np.unique(tokens, return_inverse=True)
    row_of = row_of.reshape(tokens.shape)
    table = np.zeros((rows.size, g.shape[2]), dtype=g.dtype)
    np.add.at(table, row_of, g)
    return unit(table, (0, 1))[row_of]


@contract(gradient="any floats (B, T, D)", epsilon="number in [0, inf)", mask="bools (B, T)")
def token_linf(gradient: Floats, epsilon: float, mask: Bools | None = None) -> Floats:
    """Each token's gradient over its largest entry, times eps, Eq. 2. (B, T, D) -> (B, T, D)."""
    g = _real(gradient, mask)
    size = largest(g, axis=2)
    usable = np.isfinite(size)
    return epsilon * np.where(usable, g, 0) / (np.where(usable, size, 0) + 1e-8)


@contract(
    gradient="any floats (B, T, D)",
    epsilon="number in [0, inf)",
    mask="bools (B, T)",
    attack=one_of(ATTACKS),
    scope=one_of(SCOPES),
    tokens="ints (B, T)",
)
def perturbation(
    gradient: Floats,
    epsilon: float,
    mask: Bools | None = None,
    attack: str = "fgsm",
    scope: str = "example",
    tokens: Ints | None = None,
) -> Floats:
    """Eq. 2 by the name of the attack; scope and tokens are of fgm. (B, T, D) -> (B, T, D)."""
    if attack == "fgm":
        return fgm(gradient, epsilon, mask, scope, tokens)
    return {"fgsm": fgsm, "token_linf": token_linf}[attack](gradient, epsilon, mask)


@contract(
    x="floats (B, T, D)",
    gradient_at="function to any floats (B, T, D)",
    epsilon="number in [0, inf)",
    step_size="number in [0, inf)",
    steps="count",
    mask="bools (B, T)",
    attack=one_of(ATTACKS),
    scope=one_of(SCOPES),
    tokens="ints (B, T)",
)
def pgd(
    gradient_at: Callable[[Floats], Floats],
    x: Floats,
    epsilon: float,
    step_size: float,
    steps: int,
    mask: Bools | None = None,
    attack: str = "fgsm",
    scope: str = "example",
    tokens: Ints | None = None,
) -> Floats:
    """Projected gradient: `steps` steps of an attack from delta = 0, each put back into S. -> (B, T, D).

    gradient_at: from an input (B, T, D) to dL/dx there. One step of size eps is the attack itself.
    """
    delta = np.zeros_like(x)
    for _ in range(steps):
        step = perturbation(gradient_at(x + delta), step_size, mask, attack, scope, tokens)
        delta = _project(delta + step, epsilon, real_tokens(mask, x), attack, scope, tokens)
    return delta


def _project(
    delta: Floats, epsilon: float, real: Bools, attack: str, scope: str, tokens: Ints | None
) -> Floats:
    """The nearest delta in S. By table every word's shift counts once, however often it stands there."""
    if attack != "fgm":
        return np.clip(delta, -epsilon, epsilon)
    if scope == "table" and tokens is not None:
        _, first = np.unique(tokens[real], return_index=True)
        length = np.sqrt(np.sum(delta[real][first] ** 2))
    else:
        length = np.sqrt(sum_over(delta * delta, AXES[scope]))
    outside = length > epsilon
    return np.where(outside, delta * (epsilon / np.where(outside, length, 1)), delta)


@contract(
    vectors="floats (B, T, D)",
    epsilon="number in [0, inf)",
    mask="bools (B, T)",
    unit=one_of(RELATIVE_UNITS),
)
def relative_epsilon(vectors: Floats, epsilon: float, mask: Bools | None = None, unit: str = "rms") -> float:
    """epsilon * size of the word vectors at real tokens, so that one value serves all embeddings.

    unit: "rms" is the root mean square of their entries, "norm" that of their norms, sqrt(D) times as much.

    vectors (B, T, D) -> a number in the vectors' units; 0 where there is no real token.
    """
    real = vectors[real_tokens(mask, vectors)]
    squares = real * real if unit == "rms" else np.sum(real * real, axis=-1)
    return epsilon * float(np.sqrt(np.mean(squares))) if real.size else 0.0
