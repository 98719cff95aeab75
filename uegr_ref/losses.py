"""Eq. 3, 5, 6: cross-entropy of the passes, and the total loss; each gradient directly below its loss.

    (3)  L_adv   = (1/K) sum_k CE(f(x_adv; theta, m_k), y)                  form stated, 1/K from R-AT
    (5)  L_clean = CE(f(x; theta, m_0), y)                                  stated
    (6)  L       = L_clean + L_adv + alpha * L_JS                           stated, the value of alpha is lost

    z       clean_logits          (N, C)       n example, c class; natural-log odds
    z_k     adversarial_logits    (K, N, C)    k sub-model; K = 0 leaves L_clean
    y       labels                (N,)         whole numbers 0 .. C-1
    L_JS    `divergence.py`, Eq. 4

Every loss is a *mean over the N examples*, in nats; an empty batch has loss 0. The codes of R-AT, RoAST and
R-Drop sum the divergence over the batch, as `reduction="sum"` does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .checks import Floats
from .divergence import DIVERGENCES
from .numeric import examples, log_softmax

REDUCTIONS = ("mean", "sum")


def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    """Eq. 3 and 5: mean over n of -ln P[n, y_n]. logits (N, C), labels (N,) -> nats.

    >>> round(cross_entropy([[0.0, 0.0]], [1]), 6)
    0.693147
    """
    z = checks.floats("logits", logits, ("N", "C"))
    y = checks.ints("labels", labels, (len(z),), below=z.shape[1])
    return float(-np.sum(log_softmax(z)[np.arange(len(z)), y]) / examples(z))


def cross_entropy_grad(logits: ArrayLike, labels: ArrayLike) -> Floats:
    """d cross_entropy / d logits = (P - onehot(y)) / N. (N, C)."""
    z = checks.floats("logits", logits, ("N", "C"))
    y = checks.ints("labels", labels, (len(z),), below=z.shape[1])
    grad = np.exp(log_softmax(z))
    grad[np.arange(len(z)), y] -= 1
    return grad / examples(z)


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
    clean, adversarial = _sameexamples(clean_logits, adversarial_logits)
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
    clean, adversarial = _sameexamples(clean_logits, adversarial_logits)
    alpha = checks.number("alpha", alpha, 0)
    grad = adversarial_loss_grad(adversarial, labels, adversarial_reduction)
    return (
        cross_entropy_grad(clean, labels),
        grad + alpha * consistency_loss_grad(adversarial, consistency, reduction),
    )


def _sameexamples(clean_logits: ArrayLike, adversarial_logits: ArrayLike) -> tuple[Floats, Floats]:
    clean = checks.floats("clean_logits", clean_logits, ("N", "C"))
    return clean, checks.floats("adversarial_logits", adversarial_logits, ("K", *clean.shape))
