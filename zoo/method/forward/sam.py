"""Sharpness-aware minimisation (Foret et al. 2021): the gradient where the loss is nearly worst nearby.

    e = rho * g / (||g|| + 1e-12),   g = grad L(theta) over all parameters jointly
    .grad = grad L(theta + e)

Both passes are ordinary clean ones over the same batch, each with dropout masks of its own. The weights are
put back by copy, so they are what they were bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from zoo.core.batch import Batch
from zoo.core.records import setting
from zoo.method.forward.bi_stage import BiStage
from zoo.method.trainee import Forward, Trainee


@dataclass(frozen=True)
class SAM(Forward):
    """The radius of the neighbourhood."""

    kind: ClassVar[str] = "sam"

    rho: float = setting(0.05, above=0)

    @property
    def passes(self) -> int:
        """Forward-backward passes over the batch that a step needs."""
        return 2

    def gradients(self, trainee: Trainee, batch: Batch) -> dict[str, Any]:
        """Leaves the gradient at theta + e in `.grad`; the record is that of the pass there."""
        plain = BiStage()
        plain.gradients(trainee, batch)
        moved = [p for p in trainee.model.parameters() if p.grad is not None]
        with torch.no_grad():
            before = [p.clone() for p in moved]
            gradients = [p.grad for p in moved if p.grad is not None]
            norm = torch.stack([torch.linalg.vector_norm(g) for g in gradients]).norm()
            for parameter, gradient in zip(moved, gradients, strict=True):
                parameter.add_(gradient * (self.rho / (norm + 1e-12)))
                parameter.grad = None
        record = plain.gradients(trainee, batch)
        with torch.no_grad():
            for parameter, old in zip(moved, before, strict=True):
                parameter.copy_(old)
        return record
