"""A small text classifier whose gradients are written out: enough to run the whole method.

    x  = E[tokens]                    embed       (B, T, D)    the input that Eq. 2 perturbs
    x' = dropout(x)                   site 0      (B, T, D)    m / (1 - q) by coordinate D
    v  = pool(x')                     pooling     (B, D)       mean or max over the real tokens
    h  = tanh(v W1 + b1)                          (B, H)       smooth: Eq. 12 expands the loss
    h' = dropout(h)                   site 1      (B, H)
    z  = h' W2 + b2                   logits      (B, C)

Backwards, line by line in reverse (G_a is dL/da):

    G_W2 = h'^T G_z,  G_b2 = sum_b G_z,  G_h' = G_z W2^T,  G_h = G_h' m / (1 - q)
    G_W1 = v^T (G_h (1 - h^2)),  G_v = (G_h (1 - h^2)) W1^T,  G_x' = G_v dv/dx',  G_x = G_x' m / (1 - q)
    G_E[w] = sum of G_x over all places where w stands
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np

from .dropout import apply_dropout, apply_dropout_grad
from .support.checks import Bools, Floats, Ints, Parameters
from .support.contract import contract, one_of
from .support.numeric import sum_over

Dropout: TypeAlias = tuple[tuple[Bools, Floats], tuple[Bools, Floats]]  # (mask, rates) of either site

SITES = ("embedding", "hidden")
POOLINGS = ("mean", "max")

PARAMETERS = {
    "embedding": "floats (V, D)",
    "hidden_weight": "floats (D, H)",
    "hidden_bias": "floats (H)",
    "output_weight": "floats (H, C)",
    "output_bias": "floats (C)",
}
DROPOUT = {
    "embedding": {"mask": "bools (B, T, D)", "rates": "floats (D) in [0, 1)"},
    "hidden": {"mask": "bools (B, H)", "rates": "floats (H) in [0, 1)"},
}


class Trace(NamedTuple):
    """What a forward pass keeps for its backward pass."""

    dropout: Dropout | None
    share: Floats  # dv/dx', entry by entry (B, T, D)
    pooled: Floats
    hidden: Floats
    dropped_hidden: Floats


class Backward(NamedTuple):
    """What one backward pass gives: all that both stages need."""

    parameters: Parameters  # without the embedding table: see `embed_grad`
    vectors: Floats  # dL/dx (B, T, D), for Eq. 2
    sites: tuple[Floats, Floats]  # dL/dx' (B, T, D) and dL/dh' (B, H), at the outputs of the dropout sites


@contract(words="count", dimensions="count", hidden="count", classes="count", rng="generator")
def initialise(
    words: int, dimensions: int, hidden: int, classes: int, rng: np.random.Generator
) -> Parameters:
    """Random parameters: unit-variance word vectors, fan-in scaled weights, zero biases."""
    draw = rng.standard_normal
    return {
        "embedding": draw((words, dimensions)),
        "hidden_weight": draw((dimensions, hidden)) / np.sqrt(dimensions),
        "hidden_bias": np.zeros(hidden),
        "output_weight": draw((hidden, classes)) / np.sqrt(hidden),
        "output_bias": np.zeros(classes),
    }


@contract(parameters=PARAMETERS, tokens="ints (B, T) below V")
def embed(parameters: Parameters, tokens: Ints) -> Floats:
    """Word vectors x. tokens (B, T) -> (B, T, D)."""
    return parameters["embedding"][tokens]


@contract(parameters=PARAMETERS, tokens="ints (B, T) below V", gradient="floats (B, T, D)")
def embed_grad(parameters: Parameters, tokens: Ints, gradient: Floats) -> Floats:
    """dL/dE from dL/dx: every place where a word stands adds to its row. (B, T, D) -> (V, D)."""
    grad = np.zeros_like(parameters["embedding"])
    np.add.at(grad, tokens, gradient)
    return grad


@contract(x="floats (B, T, D)", mask="bools (B, T)", pooling=one_of(POOLINGS))
def pool(x: Floats, mask: Bools, pooling: str) -> tuple[Floats, Floats]:
    """v (B, D) and dv/dx entry by entry (B, T, D): 1/length, or 1 at the first largest; 0 on padding."""
    real = mask[:, :, None]
    if pooling == "mean" or x.shape[1] == 0:
        share = real / np.maximum(sum_over(real.astype(x.dtype), axis=1), 1) * np.ones_like(x)
    else:
        first_largest = np.argmax(np.where(real, x, -np.inf), axis=1)[:, None, :]
        share = ((np.arange(x.shape[1])[:, None] == first_largest) & real).astype(x.dtype)
    return np.asarray(np.sum(share * x, axis=1)), share


@contract(
    parameters=PARAMETERS,
    vectors="floats (B, T, D)",
    mask="bools (B, T)",
    dropout=DROPOUT,
    pooling=one_of(POOLINGS),
)
def forward(
    parameters: Parameters,
    vectors: Floats,
    mask: Bools,
    dropout: Dropout | None = None,
    pooling: str = "mean",
) -> tuple[Floats, Trace]:
    """Logits (B, C) from word vectors x (B, T, D) and the mask of real tokens (B, T), and the trace."""
    v, share = pool(_drop(vectors, dropout, 0), mask, pooling)
    h = np.tanh(v @ parameters["hidden_weight"] + parameters["hidden_bias"])
    dropped = _drop(h, dropout, 1)
    logits = dropped @ parameters["output_weight"] + parameters["output_bias"]
    return logits, Trace(dropout, share, v, h, dropped)


@contract(parameters=PARAMETERS, trace={"hidden": "floats (B, H)"}, grad_logits="floats (B, C)")
def backward(parameters: Parameters, trace: Trace, grad_logits: Floats) -> Backward:
    """All gradients of a loss from its gradient with respect to the logits (B, C)."""
    g_dropped = grad_logits @ parameters["output_weight"].T
    g_sum = _drop_grad(g_dropped, trace.dropout, 1) * (1 - trace.hidden**2)
    g_pooled = g_sum @ parameters["hidden_weight"].T
    g_vectors = trace.share * g_pooled[:, None, :]
    grads = {
        "hidden_weight": trace.pooled.T @ g_sum,
        "hidden_bias": np.sum(g_sum, axis=0),
        "output_weight": trace.dropped_hidden.T @ grad_logits,
        "output_bias": np.sum(grad_logits, axis=0),
    }
    return Backward(grads, _drop_grad(g_vectors, trace.dropout, 0), (g_vectors, g_dropped))


def _drop(h: Floats, dropout: Dropout | None, site: int) -> Floats:
    return h if dropout is None else apply_dropout(h, *dropout[site])


def _drop_grad(gradient: Floats, dropout: Dropout | None, site: int) -> Floats:
    return gradient if dropout is None else apply_dropout_grad(gradient, *dropout[site])


@contract(parameters=PARAMETERS, tokens="ints (B, T) below V", mask="bools (B, T)", pooling=one_of(POOLINGS))
def predict(parameters: Parameters, tokens: Ints, mask: Bools, pooling: str = "mean") -> Ints:
    """The class of each text, without dropout. tokens, mask (B, T) -> (B,)."""
    logits, _ = forward(parameters, embed(parameters, tokens), mask, pooling=pooling)
    return np.asarray(np.argmax(logits, axis=1))
