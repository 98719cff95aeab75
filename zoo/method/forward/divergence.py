"""Cross-entropy and the divergences that tie the K passes together (Eq. 3-6), in nats.

Index letters: K passes, B examples, C classes. Gradients flow through every pass (no stop-gradient).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Per example: logits (K, B, C), labels (B,) -> (K, B), -log P[label]."""
    log_p = F.log_softmax(logits, dim=-1)
    return -log_p.gather(-1, labels.expand(len(logits), -1)[..., None]).squeeze(-1)


def js(logits: Tensor) -> Tensor:
    """K-way Jensen-Shannon divergence per example, (K, B, C) -> (B,), in [0, ln K] (Eq. 4).

    JS = mean_k KL(P_k || M), M = mean_k P_k; log M from log-probabilities, so it is finite everywhere.
    """
    log_p = F.log_softmax(logits, dim=-1)
    log_m = torch.logsumexp(log_p, dim=0) - math.log(len(logits))
    return (log_p.exp() * (log_p - log_m)).sum(-1).mean(0)


def js_pairwise(logits: Tensor) -> Tensor:
    """Mean of the two-way JS over all pairs of passes, (K, B, C) -> (B,)."""
    return _over_pairs(logits, lambda i, j: js(torch.stack([logits[i], logits[j]])))


def sym_kl(logits: Tensor) -> Tensor:
    """0.5 * (KL(P1 || P2) + KL(P2 || P1)) per example, mean over pairs for K > 2; (K, B, C) -> (B,)."""
    log_p = F.log_softmax(logits, dim=-1)
    p = log_p.exp()
    return _over_pairs(logits, lambda i, j: 0.5 * ((p[i] - p[j]) * (log_p[i] - log_p[j])).sum(-1))


def _over_pairs(logits: Tensor, divergence: Callable[[int, int], Tensor]) -> Tensor:
    pairs = list(combinations(range(len(logits)), 2))
    if not pairs:
        return logits.sum((0, 2)) * 0.0  # one pass agrees with itself
    return torch.stack([divergence(i, j) for i, j in pairs]).mean(0)


DIVERGENCES: dict[str, Callable[[Tensor], Tensor]] = {"js": js, "js_pairwise": js_pairwise, "sym_kl": sym_kl}
