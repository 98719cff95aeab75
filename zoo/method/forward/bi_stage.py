"""The forward stage of UEGR and of everything in Table IV (Algorithm 1, lines 3-8), read from one record.

    3-4  clean pass(es) and their one backward pass, which gives at once their share of the parameter
         gradients, G = dL_clean / d(vectors) for the attack and the gradients at the dropout sites
    5    x_adv = x + delta, drop rates of the K passes
    6-8  K passes as one batch of K * B rows; their loss; one backward pass

The word vectors are cut off the graph and both backward passes end there, so the sum of their gradients
enters the embedding table once. Nothing is computed twice: 3 (1 + K) forward units a step.

Index letters: K passes, B examples, T tokens, D vector size, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.core.batch import Batch
from zoo.core.records import setting
from zoo.method.forward.attack import Attack, attack
from zoo.method.forward.divergence import DIVERGENCES
from zoo.method.forward.per_sample import squares_of_examples
from zoo.method.trainee import Forward, Trainee


@dataclass(frozen=True)
class BiStage(Attack, Forward):
    """How many passes on which input, what ties them together, and the attack."""

    kind: ClassVar[str] = "bi_stage"
    adds_up: ClassVar[bool] = True

    clean: int = setting(1, low=1, high=2)  # passes on the clean input
    adversarial: int = setting(0, low=0, high=64)  # K passes on the perturbed input
    # Over the adversarial passes; over the clean ones if there are none (Eq. 4).
    divergence: str = setting("none", choices=("none", *DIVERGENCES))
    alpha: float = setting(0.5, low=0)  # coefficient of the divergence (Eq. 6)
    divergence_reduction: str = setting("mean", choices=("mean", "sum"))  # ancestors' code sums: a factor B
    adversarial_reduction: str = setting("mean", choices=("mean", "sum"))  # over the K passes (Eq. 3)

    @property
    def attacks(self) -> bool:
        """Whether there are adversarial passes."""
        return self.adversarial > 0

    @property
    def passes(self) -> int:
        """Forward-backward passes over the batch that a step needs."""
        return self.clean + self.adversarial + (self.attack_steps - 1 if self.adversarial else 0)

    def unread(self) -> Iterable[str]:
        """Without a second pass nothing can diverge; without adversarial passes nothing is attacked."""
        tied = (self.adversarial or self.clean) > 1
        if not tied:
            yield "divergence"
        if not tied or self.divergence == "none":
            yield from ("alpha", "divergence_reduction")
        if self.adversarial < 2:
            yield "adversarial_reduction"
        if not self.adversarial:
            yield from (field.name for field in fields(Attack))
        if self.attack != "fgm":
            yield "attack_scope"

    def gradients(self, trainee: Trainee, batch: Batch) -> dict[str, Any]:
        """Leaves the gradient of the total loss in `.grad` and returns its terms (detached).

        Keys: loss, loss_clean, loss_adversarial, divergence (batch means, nats), perturbation (size of delta
        relative to the word vectors, root mean square), drop_rate/<site>, logits (K or clean passes, B, C);
        and `squares` where the backward stage wants those of single examples.
        """
        sites, per_sample = trainee.sites, trainee.wants_squares
        vectors = trainee.embed(batch.tokens)
        # The squares of examples need one graph from each loss to the parameters, hence no cut (of a frozen
        # table there is nothing to cut off).
        x = vectors if per_sample and vectors.requires_grad else vectors.detach().requires_grad_()
        if per_sample:
            x.retain_grad()

        sites.plan_clean(self.clean)
        logits = trainee.classify(x, batch.mask, self.clean)
        clean = trainee.objective.losses(logits, batch.labels).mean(0)
        divergence = None if self.adversarial else self._divergence(trainee, logits, batch)
        loss = trainee.reduce(clean) + self._weighted(trainee, divergence)
        trainee.descend(loss, retain_graph=per_sample)
        sites.stop_watching()
        record: dict[str, Any] = {"loss_clean": trainee.reduce(clean.detach())}

        examples = [clean]
        total, gradient = loss.detach(), gradient_of(x)
        if self.adversarial:
            clean_gradient = partial(self._clean_gradient, trainee, batch)
            rms = trainee.rms(x.detach(), batch.mask)
            delta = attack(self, x.detach(), gradient, batch, clean_gradient, trainee.by_text(rms))
            x_adv = x + delta if per_sample else (x.detach() + delta).requires_grad_()
            sites.plan_passes(self.adversarial)
            logits = trainee.classify(x_adv, batch.mask, self.adversarial)
            over_passes = torch.sum if self.adversarial_reduction == "sum" else torch.mean
            adversarial = over_passes(trainee.objective.losses(logits, batch.labels), 0)
            divergence = self._divergence(trainee, logits, batch)
            loss = trainee.reduce(adversarial) + self._weighted(trainee, divergence)
            trainee.descend(loss, retain_graph=per_sample)
            examples.append(adversarial)
            total = total + loss.detach()
            gradient = gradient_of(x) if per_sample else gradient + gradient_of(x_adv)
            record["loss_adversarial"] = trainee.reduce(adversarial.detach())
            record["perturbation"] = trainee.rms(delta, batch.mask) / rms
        if not per_sample and vectors.requires_grad:
            trainee.embed_backward(batch.tokens, vectors, gradient)
        if per_sample:
            if divergence is not None:
                scale = len(batch.labels) if self.divergence_reduction == "sum" else 1
                examples.append(self.alpha * scale * divergence)
            record["squares"] = squares_of_examples(trainee, torch.stack(examples).sum(0))
        if divergence is not None:
            record["divergence"] = trainee.reduce(divergence.detach())
        record |= {f"drop_rate/{name}": rate for name, rate in sites.mean_rates().items()}
        return record | {"loss": total, "logits": logits.detach()}

    def _divergence(self, trainee: Trainee, logits: Tensor, batch: Batch) -> Tensor | None:
        """Divergence per example (B,) of the passes, or None where there is none."""
        if self.divergence == "none" or len(logits) < 2:
            return None
        return trainee.objective.divergence(self.divergence, logits, batch.labels)

    def _weighted(self, trainee: Trainee, divergence: Tensor | None) -> Tensor | float:
        if divergence is None:
            return 0.0
        return self.alpha * trainee.reduce(divergence, self.divergence_reduction)

    def _clean_gradient(self, trainee: Trainee, batch: Batch, point: Tensor) -> Tensor:
        """dL_clean / d(vectors) at another point (B, T, D), for the further steps of PGD."""
        point = point.detach().requires_grad_()
        logits = trainee.classify(point, batch.mask, self.clean)
        loss = trainee.reduce(trainee.objective.losses(logits, batch.labels).mean(0))
        return trainee.gradient_at(point, loss)


def gradient_of(x: Tensor) -> Tensor:
    """The gradient that a backward pass left at x; zeros where x does not reach the loss."""
    return torch.zeros_like(x) if x.grad is None else x.grad
