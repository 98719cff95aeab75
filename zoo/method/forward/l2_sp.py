"""L2-SP (Li et al. 2018): the loss with a pull to the weights that training starts from.

    L(theta) + anchor_pull / 2 * ||theta - theta_0||^2

The classifier is left out: it starts from random numbers, to which nothing should be pulled. theta_0 is what
the first batch finds, of frozen weights too, which are pulled once they learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from zoo.core.batch import Batch
from zoo.core.records import setting
from zoo.method.contract import selected_parameters
from zoo.method.forward.bi_stage import BiStage
from zoo.method.trainee import Forward, Trainee


@dataclass(frozen=True)
class L2SP(Forward):
    """The strength of the pull."""

    kind: ClassVar[str] = "l2_sp"
    adds_up: ClassVar[bool] = True

    anchor_pull: float = setting(0.01, low=0)

    @property
    def attacks(self) -> bool:
        """Only clean passes."""
        return False

    @property
    def passes(self) -> int:
        """Forward-backward passes over the batch that a step needs."""
        return 1

    def gradients(self, trainee: Trainee, batch: Batch) -> dict[str, Any]:
        """Leaves the gradient of both terms in `.grad`; `penalty` is the second one, and part of `loss`."""
        body = selected_parameters(trainee.model, "body")
        pulled = [(i, p) for i, p in enumerate(body) if p.requires_grad]
        anchors = trainee.state.setdefault("anchors", [None] * len(body))
        for i, p in pulled:
            if anchors[i] is None:  # frozen until now, if it is not the first batch
                anchors[i] = p.detach().clone()
        record = BiStage().gradients(trainee, batch)
        if not pulled:  # all but the classifier is frozen
            return record
        away = torch.stack([(p - anchors[i]).square().sum() for i, p in pulled])
        penalty = self.anchor_pull / 2 * away.sum()
        trainee.descend(penalty)
        return record | {"penalty": penalty.detach(), "loss": record["loss"] + penalty.detach()}
