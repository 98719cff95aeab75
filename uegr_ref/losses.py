"""Eq. 3, 5, 6: cross-entropy of the passes, and the total loss; each gradient directly below its loss.

    (3)  L_adv   = (1/K) sum_k CE(f(x_adv; theta, m_k), y)                  form stated, 1/K from R-AT
    (5)  L_clean = CE(f(x; theta, m_0), y)                                  stated
    (6)  L       = L_clean + L_adv + alpha * L_JS                           stated, the value of alpha is lost

    z       clean_logits          (N, C)       n example, c class; natural-log odds
    z_k     adversarial_logits    (K, N, C)    k sub-model; K = 0 leaves L_clean
    y       labels                (N,)         whole numbers 0 .. C-1
    L_JS    `divergence.py`, Eq. 4

Every loss is a *mean over the N examples*, in nats; an empty batch has loss 0. The codes of R-AT, RoAST and
R-Drop sum the divergence over the batch, as `divergence_reduction="sum"` does.
"""

from __future__ import annotations

import numpy as np

from .divergence import DIVERGENCES
from .support.checks import Floats, Ints
from .support.contract import contract, one_of
from .support.numeric import examples, log_softmax

REDUCTIONS = ("mean", "sum")


@contract(logits="floats (N, C > 0)", labels="ints (N) below C")
def cross_entropy(logits: Floats, labels: Ints) -> float:
    """Eq. 3 and 5: mean over n of -ln P[n, y_n]. logits (N, C), labels (N,) -> nats.

    >>> round(cross_entropy([[0.0, 0.0]], [1]), 6)
    0.693147
    """
    return float(-np.sum(log_softmax(logits)[np.arange(len(logits)), labels]) / examples(logits))


@contract(logits="floats (N, C > 0)", labels="ints (N) below C")
def cross_entropy_grad(logits: Floats, labels: Ints) -> Floats:
    """d cross_entropy / d logits = (P - onehot(y)) / N. (N, C)."""
    grad: Floats = np.exp(log_softmax(logits))
    grad[np.arange(len(logits)), labels] -= 1
    return grad / examples(logits)


@contract(
    adversarial_logits="floats (K, N, C > 0)",
    labels="ints (N) below C",
    adversarial_reduction=one_of(REDUCTIONS),
)
def adversarial_loss(adversarial_logits: Floats, labels: Ints, adversarial_reduction: str = "mean") -> float:
    """Eq. 3: mean (or "sum") over k of the K cross-entropies; 0 for K = 0. (K, N, C) -> nats."""
    share = max(len(adversarial_logits), 1) if adversarial_reduction == "mean" else 1
    return sum(cross_entropy(z_k, labels) for z_k in adversarial_logits) / share


@contract(
    adversarial_logits="floats (K, N, C > 0)",
    labels="ints (N) below C",
    adversarial_reduction=one_of(REDUCTIONS),
)
def adversarial_loss_grad(
    adversarial_logits: Floats, labels: Ints, adversarial_reduction: str = "mean"
) -> Floats:
    """d adversarial_loss / d logits. (K, N, C)."""
    share = max(len(adversarial_logits), 1) if adversarial_reduction == "mean" else 1
    grad = np.zeros_like(adversarial_logits)
    for k, z_k in enumerate(adversarial_logits):
        grad[k] = cross_entropy_grad(z_k, labels)
    return grad / share


@contract(
    adversarial_logits="floats (K, N, C > 0)",
    divergence=one_of(DIVERGENCES),
    divergence_reduction=one_of(REDUCTIONS),
)
def divergence_loss(
    adversarial_logits: Floats, divergence: str = "js", divergence_reduction: str = "mean"
) -> float:
    """The divergence that Eq. 6 weighs, by name; "sum" sums it over n; 0 for K = 0. (K, N, C) -> nats."""
    value, _ = DIVERGENCES[divergence]
    times = adversarial_logits.shape[1] if divergence_reduction == "sum" else 1
    return value(adversarial_logits) * times if len(adversarial_logits) else 0.0


@contract(
    adversarial_logits="floats (K, N, C > 0)",
    divergence=one_of(DIVERGENCES),
    divergence_reduction=one_of(REDUCTIONS),
)
def divergence_loss_grad(
    adversarial_logits: Floats, divergence: str = "js", divergence_reduction: str = "mean"
) -> Floats:
    """d divergence_loss / d logits. (K, N, C)."""
    _, grad = DIVERGENCES[divergence]
    times = adversarial_logits.shape[1] if divergence_reduction == "sum" else 1
    return grad(adversarial_logits) * times if len(adversarial_logits) else np.zeros_like(adversarial_logits)


TOTAL_LOSS = {
    "clean_logits": "floats (N, C > 0)",
    "adversarial_logits": "floats (K, N, C)",
    "labels": "ints (N) below C",
    "alpha": "number in [0, inf)",
    "divergence": one_of(DIVERGENCES),
    "divergence_reduction": one_of(REDUCTIONS),
    "adversarial_reduction": one_of(REDUCTIONS),
}


@contract(**TOTAL_LOSS)
def total_loss(
    clean_logits: Floats,
    adversarial_logits: Floats,
    labels: Ints,
    alpha: float,
    divergence: str = "js",
    divergence_reduction: str = "mean",
    adversarial_reduction: str = "mean",
) -> float:
    """Eq. 6: L_clean + L_adv + alpha * L_JS. clean (N, C), adversarial (K, N, C), labels (N,) -> nats.

    divergence_reduction: mean or sum over the examples; adversarial_reduction: mean or sum over the K
    cross-entropies. K = 0 leaves L_clean.
    """
    return (
        cross_entropy(clean_logits, labels)
        + adversarial_loss(adversarial_logits, labels, adversarial_reduction)
        + alpha * divergence_loss(adversarial_logits, divergence, divergence_reduction)
    )


@contract(**TOTAL_LOSS)
def total_loss_grad(
    clean_logits: Floats,
    adversarial_logits: Floats,
    labels: Ints,
    alpha: float,
    divergence: str = "js",
    divergence_reduction: str = "mean",
    adversarial_reduction: str = "mean",
) -> tuple[Floats, Floats]:
    """d total_loss / d clean_logits (N, C) and / d adversarial_logits (K, N, C)."""
    return (
        cross_entropy_grad(clean_logits, labels),
        adversarial_loss_grad(adversarial_logits, labels, adversarial_reduction)
        + alpha * divergence_loss_grad(adversarial_logits, divergence, divergence_reduction),
    )
