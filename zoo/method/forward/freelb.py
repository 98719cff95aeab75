"""FreeLB (Zhu et al. 2020): A ascent steps from a random start, all A gradients averaged.

    delta_0 ~ U(-1, 1) * magnitude / sqrt(n_tokens * D)
    for a = 1 .. A:   g += grad CE(x + delta) / A;   delta <- ball(delta + rate * G / ||G||_F), per example

All A steps see the same dropout mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from zoo.core.batch import Batch
from zoo.core.records import setting
from zoo.method.forward.attack import perturbation, project
from zoo.method.forward.bi_stage import gradient_of
from zoo.method.rates import embedding_rms, root
from zoo.method.trainee import Forward, Trainee


@dataclass(frozen=True)
class FreeLB(Forward):
    """The settings of the inner loop; lengths are absolute."""

    kind: ClassVar[str] = "freelb"

    ascent_steps: int = setting(2, low=1, high=100)
    ascent_rate: float = setting(0.1, low=0)
    initial_magnitude: float = setting(0.1, low=0)
    maximum_norm: float = setting(0.3, low=0)  # radius of the ball; 0 = none

    @property
    def passes(self) -> int:
        """Forward-backward passes over the batch that a step needs."""
        return self.ascent_steps

    def gradients(self, trainee: Trainee, batch: Batch) -> dict[str, Any]:
        """Leaves the mean of the A gradients in `.grad`; terms as `BiStage.gradients` has them."""
        mask, sites = batch.mask, trainee.sites
        vectors = trainee.embed(batch.tokens)
        entries = mask.sum(1)[:, None, None].clamp_min(1).to(vectors) * vectors.shape[2]
        start = 2 * sites.uniform(vectors.detach()) - 1
        delta = start * self.initial_magnitude / root(entries) * mask[:, :, None]
        total, gradient = torch.zeros_like(vectors[0, 0, 0]).detach(), torch.zeros_like(vectors)
        sites.plan_clean(1, keep_mask=True)
        for step in range(self.ascent_steps):
            if step > 0:
                sites.plan_same_mask()
            x = (vectors.detach() + delta).requires_grad_()
            logits = trainee.classify(x, mask, 1)
            loss = trainee.objective.losses(logits, batch.labels).mean() / self.ascent_steps
            trainee.descend(loss)
            total, gradient = total + loss.detach(), gradient + gradient_of(x)
            delta = delta + perturbation(gradient_of(x), mask, self.ascent_rate, "fgm")
            if self.maximum_norm > 0:
                delta = project(delta, self.maximum_norm, "fgm")
        if vectors.requires_grad:
            trainee.embed_backward(batch.tokens, vectors, gradient)
        size = embedding_rms(delta, mask) / embedding_rms(vectors.detach(), mask)
        record = {"loss": total, "loss_adversarial": total, "perturbation": size, "logits": logits.detach()}
        return record | {f"drop_rate/{name}": rate for name, rate in sites.mean_rates().items()}
