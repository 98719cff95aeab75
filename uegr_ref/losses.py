"""Eq. 3-6: cross-entropy, the divergence of K sub-models, the total; each gradient directly below its loss.

    (3)  L_adv   = (1/K) sum_k CE(f(x_adv; theta, m_k), y)                  form stated, 1/K from R-AT
    (4)  L_JS    = (1/K) sum_k KL(P_k || M),  M = (1/K) sum_k P_k           stated
    (5)  L_clean = CE(f(x; theta, m_0), y)                                  stated
    (6)  L       = L_clean + L_adv + alpha * L_JS                           stated, the value of alpha is lost

    z_k     logits    (K, N, C)    k sub-model, n example, c class; natural-log odds
    y       labels    (N,)         whole numbers 0 .. C-1
    P_k     softmax(z_k)           always through log P_k, so one-hot and logits of +-1e4 are finite

Every loss is a *mean over the N examples*, in nats; an empty batch has loss 0. The codes of R-AT, RoAST and
R-Drop sum the divergence over the batch, as `reduction="sum"` does. For close P_k, JS = sym_kl / 4.
Gradients are with respect to logits and flow through all P_k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .checks import Floats
from .numeric import mean, total

REDUCTIONS = ("mean", "sum")


def log_softmax(logits: ArrayLike) -> Floats:
    """ln P over the last axis. (..., C) -> (..., C)."""
    z = checks.floats("logits", logits)
    if z.ndim == 0 or z.shape[-1] == 0:
        raise ValueError(f"logits: got shape {z.shape}, wanted at least one class on the last axis")
    top: Floats = z.max(axis=-1, keepdims=True)
    return z - top - np.log(total(np.exp(z - top), axis=-1))


def _examples(x: Floats) -> int:
    """N of (.., N, C), and 1 for an empty batch, whose loss is then 0."""
    return max(int(x.shape[-2]), 1)


def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    """Eq. 3 and 5: mean over n of -ln P[n, y_n]. logits (N, C), labels (N,) -> nats.

    >>> round(cross_entropy([[0.0, 0.0]], [1]), 6)
    0.693147
    """
    z = checks.floats("logits", logits, ("N", "C"))
    y = checks.ints("labels", labels, (len(z),), below=z.shape[1])
    return float(-np.sum(log_softmax(z)[np.arange(len(z)), y]) / _examples(z))


def cross_entropy_grad(logits: ArrayLike, labels: ArrayLike) -> Floats:
    """d cross_entropy / d logits = (P - onehot(y)) / N. (N, C)."""
    z = checks.floats("logits", logits, ("N", "C"))
    y = checks.ints("labels", labels, (len(z),), below=z.shape[1])
    grad = np.exp(log_softmax(z))
    grad[np.arange(len(z)), y] -= 1
    return grad / _examples(z)


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
    return float(np.sum(np.exp(log_p) * _log_ratio_to_mean(log_p)) / (len(log_p) * _examples(log_p)))


def js_grad(logits: ArrayLike) -> Floats:
    """d js / d logits = P_k * (r_k - sum_c P_k r_k) / (K N),  r_k = ln P_k - ln M. (K, N, C)."""
    log_p = _log_probabilities(logits)
    p: Floats = np.exp(log_p)
    r = _log_ratio_to_mean(log_p)
    return p * (r - total(p * r, axis=-1)) / (len(p) * _examples(p))


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
    return float(0.5 * np.sum((p[0] - p[1]) * (log_p[0] - log_p[1])) / _examples(logits))


def _sym_kl_of_two_grad(logits: Floats) -> Floats:
    """KL(P||Q) gives P * (r - sum P r) to the logits of P, r = ln P - ln Q, and Q - P to those of Q."""
    log_p = log_softmax(logits)
    p: Floats = np.exp(log_p)
    r = log_p - log_p[::-1]
    grad = p * (r - total(p * r, axis=-1)) + p - p[::-1]
    return 0.5 * grad / _examples(logits)


def adversarial_loss(adversarial_logits: ArrayLike, labels: ArrayLike, reduction: str = "mean") -> float:
    """Eq. 3: mean (or `reduction="sum"`) over k of the K cross-entropies; 0 for K = 0. (K, N, C) -> nats."""
    z = checks.floats("adversarial_logits", adversarial_logits, ("K", "N", "C"))
    checks.choice("adversarial_reduction", reduction, REDUCTIONS)
    return sum(cross_entropy(z_k, labels) for z_k in z) / (max(len(z), 1) if reduction == "mean" else 1)


def adversarial_loss_grad(
    adversarial_logits: ArrayLike, labels: ArrayLike, reduction: str = "mean"
) -> Floats:
    """d adversarial_loss / d logits. (K, N, C)."""
    z = checks.floats("adversarial_logits", adversarial_logits, ("K", "N", "C"))
    checks.choice("adversarial_reduction", reduction, REDUCTIONS)
    grad = np.zeros_like(z)
    for k, z_k in enumerate(z):
        grad[k] = cross_entropy_grad(z_k, labels)
    return grad / (max(len(z), 1) if reduction == "mean" else 1)


def _no_divergence(logits: Floats) -> float:
    return 0.0


DIVERGENCES: dict[str, tuple[Callable[[Floats], float], Callable[[Floats], Floats]]] = {
    "js": (js, js_grad),
    "js_pairwise": (js_pairwise, js_pairwise_grad),
    "sym_kl": (sym_kl, sym_kl_grad),
    "none": (_no_divergence, np.zeros_like),
}


def consistency_loss(
    adversarial_logits: ArrayLike, consistency: str = "js", reduction: str = "mean"
) -> float:
    """The divergence that Eq. 6 weighs, by name; "sum" sums it over n; 0 for K = 0. (K, N, C) -> nats."""
    z = checks.floats("adversarial_logits", adversarial_logits, ("K", "N", "C"))
    value, _ = DIVERGENCES[checks.choice("consistency", consistency, tuple(DIVERGENCES))]
    summed = checks.choice("reduction", reduction, REDUCTIONS) == "sum"
    return value(z) * (z.shape[1] if summed else 1) if len(z) else 0.0


def consistency_loss_grad(
    adversarial_logits: ArrayLike, consistency: str = "js", reduction: str = "mean"
) -> Floats:
    """d consistency_loss / d logits. (K, N, C)."""
    z = checks.floats("adversarial_logits", adversarial_logits, ("K", "N", "C"))
    _, grad = DIVERGENCES[checks.choice("consistency", consistency, tuple(DIVERGENCES))]
    summed = checks.choice("reduction", reduction, REDUCTIONS) == "sum"
    return grad(z) * (z.shape[1] if summed else 1) if len(z) else np.zeros_like(z)


def total_loss(
    clean_logits: ArrayLike,
    adversarial_logits: ArrayLike,
    labels: ArrayLike,
    alpha: float,
    consistency: str = "js",
    reduction: str = "mean",
    adversarial_reduction: str = "mean",
) -> float:
    """Eq. 6: L_clean + L_adv + alpha * L_JS. clean (N, C), adversarial (K, N, C), labels (N,) -> nats.

    reduction: mean or sum over the examples, of the divergence alone; adversarial_reduction: mean or sum over
    the K cross-entropies. K = 0 leaves L_clean.
    """
    clean, adversarial = _same_examples(clean_logits, adversarial_logits)
    return (
        cross_entropy(clean, labels)
        + adversarial_loss(adversarial, labels, adversarial_reduction)
        + checks.number("alpha", alpha, 0) * consistency_loss(adversarial, consistency, reduction)
    )


def total_loss_grad(
    clean_logits: ArrayLike,
    adversarial_logits: ArrayLike,
    labels: ArrayLike,
    alpha: float,
    consistency: str = "js",
    reduction: str = "mean",
    adversarial_reduction: str = "mean",
) -> tuple[Floats, Floats]:
    """d total_loss / d clean_logits (N, C) and / d adversarial_logits (K, N, C)."""
    clean, adversarial = _same_examples(clean_logits, adversarial_logits)
    alpha = checks.number("alpha", alpha, 0)
    grad = adversarial_loss_grad(adversarial, labels, adversarial_reduction)
    return (
        cross_entropy_grad(clean, labels),
        grad + alpha * consistency_loss_grad(adversarial, consistency, reduction),
    )


def _same_examples(clean_logits: ArrayLike, adversarial_logits: ArrayLike) -> tuple[Floats, Floats]:
    clean = checks.floats("clean_logits", clean_logits, ("N", "C"))
    return clean, checks.floats("adversarial_logits", adversarial_logits, ("K", *clean.shape))
