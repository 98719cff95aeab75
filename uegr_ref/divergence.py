"""Eq. 4: how far the K sub-models' predictions are apart; each gradient directly below its divergence.

    (4)  L_JS = (1/K) sum_k KL(P_k || M) = H(M) - (1/K) sum_k H(P_k),  M = (1/K) sum_k P_k     stated

    z_k     logits    (K, N, C)    k sub-model, n example, c class; natural-log odds
    P_k     softmax(z_k)           always through log P_k, so one-hot and logits of +-1e4 are finite

All are *means over the N examples*, in nats, 0 for an empty batch. The K-way form is the default, since the
paper runs K up to 5; the pairwise mean and the symmetric KL of R-Drop and R-AT are options. For close P_k,
JS = sym_kl / 4. Gradients are with respect to logits and flow through all P_k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .checks import Floats
from .numeric import examples, log_softmax, mean, total


def _log_probabilities(logits: ArrayLike) -> Floats:
    """ln P_k of K >= 1 sub-models."""
    z = checks.floats("logits", logits, ("K", "N", "C"))
    checks.count("K, the first axis of logits", len(z))
    return log_softmax(z)


def _log_ratio_to_mean(log_p: Floats) -> Floats:
    """ln P_k - ln M. The largest P_k is taken out of M, so equal P_k give exactly 0."""
    top: Floats = log_p.max(axis=0)
    return log_p - (top + np.log(mean(np.exp(log_p - top), axis=0)))


def js(logits: ArrayLike) -> float:
    """Eq. 4: K-way Jensen-Shannon divergence, mean over n, nats; in [0, ln K]. (K, N, C) -> number.

    >>> js(np.zeros((2, 1, 3)))
    0.0
    """
    log_p = _log_probabilities(logits)
    return float(np.sum(np.exp(log_p) * _log_ratio_to_mean(log_p)) / (len(log_p) * examples(log_p)))


def js_grad(logits: ArrayLike) -> Floats:
    """d js / d logits = P_k * (r_k - sum_c P_k r_k) / (K N),  r_k = ln P_k - ln M. (K, N, C)."""
    log_p = _log_probabilities(logits)
    p: Floats = np.exp(log_p)
    r = _log_ratio_to_mean(log_p)
    return p * (r - total(p * r, axis=-1)) / (len(p) * examples(p))


def _pairs(n_models: int) -> Iterator[tuple[int, int]]:
    return combinations(range(checks.count("K, the first axis of logits", n_models)), 2)


def _mean_over_pairs(pair_loss: Callable[[Floats], float], logits: ArrayLike) -> float:
    z = checks.floats("logits", logits, ("K", "N", "C"))
    values = [pair_loss(z[[i, j]]) for i, j in _pairs(len(z))]
    return sum(values) / max(len(values), 1)


def _mean_over_pairs_grad(pair_grad: Callable[[Floats], Floats], logits: ArrayLike) -> Floats:
    z = checks.floats("logits", logits, ("K", "N", "C"))
    grad = np.zeros_like(z)
    for i, j in _pairs(len(z)):
        grad[[i, j]] += pair_grad(z[[i, j]])
    return grad / max(len(z) * (len(z) - 1) // 2, 1)


def js_pairwise(logits: ArrayLike) -> float:
    """Mean over the K(K-1)/2 pairs of their two-way JS; 0 for K = 1. (K, N, C) -> nats."""
    return _mean_over_pairs(js, logits)


def js_pairwise_grad(logits: ArrayLike) -> Floats:
    """d js_pairwise / d logits. (K, N, C)."""
    return _mean_over_pairs_grad(js_grad, logits)


def sym_kl(logits: ArrayLike) -> float:
    """(KL(P_1||P_2) + KL(P_2||P_1)) / 2 as in R-Drop, mean over pairs; 0 for K = 1. (K, N, C) -> nats."""
    return _mean_over_pairs(_sym_kl_of_two, logits)


def sym_kl_grad(logits: ArrayLike) -> Floats:
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
    grad = p * (r - total(p * r, axis=-1)) + p - p[::-1]
    return 0.5 * grad / examples(logits)


def _no_divergence(logits: Floats) -> float:
    return 0.0


DIVERGENCES: dict[str, tuple[Callable[[Floats], float], Callable[[Floats], Floats]]] = {
    "js": (js, js_grad),
    "js_pairwise": (js_pairwise, js_pairwise_grad),
    "sym_kl": (sym_kl, sym_kl_grad),
    "none": (_no_divergence, np.zeros_like),
}
