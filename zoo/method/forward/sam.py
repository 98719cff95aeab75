"""Sharpness-aware minimisation (Foret et al. 2021): the gradient where the loss is nearly worst nearby.

    e = rho * g / (||g|| + 1e-12),   g = grad L(theta)
    .grad = grad L(theta + e)

`rho_scope` joint has one norm over all parameters. With tensor each tensor of two or more dimensions has its
own, and rho is relative to it: e_l = rho * ||theta_l|| * g_l / (||g_l|| + 1e-12), the step of adversarial
weight perturbation (AWP, Wu et al. 2020), here on the clean input. Biases and other vectors then stay.

Both passes are ordinary clean ones over the same batch, each with dropout masks of its own. The weights are
put back by copy, so they are what they were bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.core.batch import Batch
from zoo.core.records import setting
from zoo.method.forward.bi_stage import BiStage
from zoo.method.trainee import Forward, Trainee


@dataclass(frozen=True)
class SAM(Forward):
    """The radius of the neighbourhood, absolute or relative to each tensor's length."""

    kind: ClassVar[str] = "sam"

    rho: float = setting(0.05, above=0)
    rho_scope: str = setting("joint", choices=("joint", "tensor"))

    @property
    def attacks(self) -> bool:
        """Only clean passes."""
        return False

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
            for parameter, gradient, size in zip(
                moved, gradients, self._sizes(moved, gradients), strict=True
            ):
                parameter.add_(gradient * size)
                parameter.grad = None
        try:
            return plain.gradients(trainee, batch)
        finally:  # a loop may go on after an error, such as one of memory
            with torch.no_grad():
                for parameter, old in zip(moved, before, strict=True):
                    parameter.copy_(old)

    def _sizes(self, moved: list[nn.Parameter], gradients: list[Tensor]) -> list[Tensor]:
        """By what the gradient of each tensor is multiplied."""
        norms = [torch.linalg.vector_norm(g) for g in gradients]
        if self.rho_scope == "joint":
            return [self.rho / (torch.stack(norms).norm() + 1e-12)] * len(moved)
        lengths = [torch.linalg.vector_norm(p) if p.dim() > 1 else p.new_zeros(()) for p in moved]
        return [self.rho * length / (n + 1e-12) for length, n in zip(lengths, norms, strict=True)]
