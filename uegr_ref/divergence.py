"""Eq. 4: how far the K sub-models' predictions are apart; each gradient directly below its divergence.

    (4)  L_JS = (1/K) sum_k KL(P_k || M) = H(M) - (1/K) sum_k H(P_k),  M = (1/K) sum_k P_k     stated

    z_k     logits    (K, N, C)    k sub-model, n example, c class; natural-log odds
    P_k     softmax(z_k)           always through log P_k, so one-hot and logits of +-1e4 are finite

All are *means over the N examples*, in nats, 0 for an empty batch. The K-way form is the default, since the
paper runs K up to 5; the pairwise mean and the symmetric KL of R-Drop and R-AT are options. For close P_k,
JS = (K - 1) / (2 K) sym_kl, a quarter for K = 2. Gradients are with respect to logits and flow through all
P_k.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np

from .support.checks import Floats
from .support.contract import contract
from .support.numeric import examples, log_softmax, mean, sum_over


def _log_ratio_to_mean(log_p: Floats) -> Floats:
    """ln P_k - ln M. The largest P_k is taken out of M, so equal P_k give exactly 0."""
    top: Floats = log_p.max(axis=0)
    return log_p - (top + np.log(mean(np.exp(log_p - top), axis=0)))


@contract(logits="floats (K > 0, N, C > 0)")
def js(logits: Floats) -> float:
    """Eq. 4: K-way Jensen-Shannon divergence, mean over n, nats; in [0, ln K]. (K, N, C) -> number.

    >>> js(np.zeros((2, 1, 3)))
    0.0
    """
    log_p = log_softmax(logits)
    return float(np.sum(np.exp(log_p) * _log_ratio_to_mean(log_p)) / (len(log_p) * examples(log_p)))


@contract(logits="floats (K > 0, N, C > 0)")
def js_grad(logits: Floats) -> Floats:
    """d js / d logits = P_k * (r_k - sum_c P_k r_k) / (K N),  r_k = ln P_k - ln M. (K, N, C)."""
    log_p = log_softmax(logits)
    p: Floats = np.exp(log_p)
    r = _log_ratio_to_mean(log_p)
    return p * (r - sum_over(p * r, axis=-1)) / (len(p) * examples(p))


def _mean_over_pairs(pair_loss: Callable[[Floats], float], logits: Floats) -> float:
    values = [pair_loss(logits[[i, j]]) for i, j in combinations(range(len(logits)), 2)]
    return sum(values) / max(len(values), 1)


def _mean_over_pairs_grad(pair_grad: Callable[[Floats], Floats], logits: Floats) -> Floats:
    grad, pairs = np.zeros_like(logits), list(combinations(range(len(logits)), 2))
    for i, j in pairs:
        grad[[i, j]] += pair_grad(logits[[i, j]])
    return grad / max(len(pairs), 1)


@contract(logits="floats (K > 0, N, C > 0)")
def js_pairwise(logits: Floats) -> float:
    """Mean over the K(K-1)/2 pairs of their two-way JS; 0 for K = 1. (K, N, C) -> nats."""
    return _mean_over_pairs(js, logits)


@contract(logits="floats (K > 0, N, C > 0)")
def js_pairwise_grad(logits: Floats) -> Floats:
    """d js_pairwise / d logits. (K, N, C)."""
    return _mean_over_pairs_grad(js_grad, logits)


@contract(logits="floats (K > 0, N, C > 0)")
def sym_kl(logits: Floats) -> float:
    """(KL(P_1||P_2) + KL(P_2||P_1)) / 2 as in R-Drop, mean over pairs; 0 for K = 1. (K, N, C) -> nats."""
    return _mean_over_pairs(_sym_kl_of_two, logits)


@contract(logits="floats (K > 0, N, C > 0)")
def sym_kl_grad(logits: Floats) -> Floats:
    """d sym_kl / d logits. (K, N, C)."""
    return _mean_over_pairs_grad(_sym_kl_of_two_grad, logits)


def _sym_kl_of_two(logits: Floats) -> float:
    log_p = log_softmax(logits)
    p = np.exp(log_p)
    return float(0.5 * np.sum((p[0] - p[1]) * (log_p[0] - log_p[1])) / examples(logits))


def _sym_kl_of_two_grad(logits: Floats) -> Floats:
    """KL(P||Q) gives P * (r - sum P r) to the logits of P, r = ln P - ln Q, and Q - P to those of Q."""
    log_p = log_softmax(logits)
    p: Floats = np.exp(log_p)
    r = log_p - log_p[::-1]
    grad = p * (r - sum_over(p * r, axis=-1)) + p - p[::-1]
    return 0.5 * grad / examples(logits)


def _no_divergence(logits: Floats) -> float:
    return 0.0


DIVERGENCES: dict[str, tuple[Callable[[Floats], float], Callable[[Floats], Floats]]] = {
    "js": (js, js_grad),
    "js_pairwise": (js_pairwise, js_pairwise_grad),
    "sym_kl": (sym_kl, sym_kl_grad),
    "none": (_no_divergence, np.zeros_like),
}
