"""What the passes are trained towards: a loss an example, and how far the passes are apart.

Here one class a text; for other labels a subclass says both anew.

Index letters: K passes, B examples, C classes.
"""

from __future__ import annotations

from torch import Tensor

from zoo.method.forward.divergence import DIVERGENCES, cross_entropy


class Objective:
    """Cross-entropy on class numbers, and the divergences of `DIVERGENCES`."""

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Per pass and example: logits (K, B, C), labels (B,) -> (K, B), nats."""
        return cross_entropy(logits, labels)

    def divergence(self, kind: str, logits: Tensor, labels: Tensor) -> Tensor:
        """Per example: logits (K, B, C) of K > 1 passes -> (B,), nats; `labels` only say what they are."""
        return DIVERGENCES[kind](logits)
