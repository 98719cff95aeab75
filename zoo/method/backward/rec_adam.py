"""RecAdam (Chen et al. 2020): the optimizer's step fades in while a pull to the first weights fades out.

    lambda(t) = 1 / (1 + exp(-k (t - t0)))                         t = 1, 2, ... counts steps
    theta <- theta + lambda(t) step
    theta <- theta - (1 - lambda(t)) r rate / rate_0 (theta - theta_0)
    theta <- theta - rate decay theta                              decoupled weight decay, as it was

`step` is the optimizer's without its decoupled decay. r is the share of the distance that the pull takes at
the full learning rate; the source has a coefficient gamma in its place, r = gamma rate_0, which overshoots
above 1: its 5000 at 2e-5 is our 0.1. The rate is the scheduled one, so a warm-up weakens the pull too. The
classifier is not pulled, and takes its whole steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.core.errors import UserError
from zoo.core.records import setting
from zoo.fast.rows import Rows
from zoo.fast.widest import widest
from zoo.method.contract import selected_parameters
from zoo.method.trainee import Backward, BackwardStage, Finish, fits


@dataclass(frozen=True)
class RecAdam(Backward):
    """How strongly the weights are pulled back, and when that ends."""

    kind: ClassVar[str] = "rec_adam"

    anchor_share: float = setting(0.1, low=0, high=1)  # r
    anneal_rate: float = setting(0.5, low=0)  # k, a step
    anneal_middle: float = setting(250.0, low=0)  # t0, in steps

    @property
    def says(self) -> str:
        """What it does and where."""
        return "pull to the first weights, after the optimizer's step"

    def start(self, model: nn.Module, generator: torch.Generator) -> BackwardStage:
        """The stage for the parameters of a model, which are the first weights as they are now."""
        return _Recalling(selected_parameters(model, "body"), self)


class _Recalling(BackwardStage):
    def __init__(self, parameters: list[nn.Parameter], settings: RecAdam) -> None:
        self.scope = self.parameters = parameters
        self.settings = settings
        self.first: dict[Tensor, Tensor] = {}
        self._remember([p for p in parameters if p.requires_grad])
        device = parameters[0].device if parameters else torch.device("cpu")
        # A tensor, counted in place, so that a recorded step (zoo.training.graphs) finds it again.
        self.steps = torch.zeros((), dtype=widest(device), device=device)

    def _remember(self, learning: list[nn.Parameter]) -> None:
        """The first weights of what learns; a frozen one has them still when it begins to."""
        self.first |= {p: p.detach().clone() for p in learning if p not in self.first}

    @torch.no_grad()
    def before_step(
        self,
        optimizer: torch.optim.Optimizer,
        touched: Mapping[Tensor, Rows] | None = None,
        squares: list[Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], Finish]:
        s, groups = self.settings, {p: g for g in optimizer.param_groups for p in g["params"]}
        own = [p for p in self.parameters if p.grad is not None and p in groups]
        self._remember(own)
        before = [p.detach().clone() for p in own]
        self.steps += 1
        fade = torch.sigmoid(s.anneal_rate * (self.steps - s.anneal_middle))

        def finish() -> None:
            for p, old in zip(own, before, strict=True):
                group = groups[p]
                rate, decay = group["lr"], group.get("weight_decay", 0.0)
                # Before torch 2.7 the groups of its AdamW did not say so.
                if not group.get("decoupled_weight_decay", isinstance(optimizer, torch.optim.AdamW)):
                    decay = 0.0  # it is part of the gradient, and so of the step
                share = s.anchor_share * rate / group.get("initial_lr", rate)
                step = p.detach() - old + rate * decay * old
                new = old + fade * step
                new = new - (1 - fade) * share * (new - self.first[p])
                p.detach().copy_(new - rate * decay * new)

        return {"fade": fade.clone()}, finish

    def state(self) -> dict[str, Any]:
        """Steps so far and the first weights, None of what has not learned."""
        return {"steps": self.steps, "first": [self.first.get(p) for p in self.scope]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`.

        Raises:
            UserError: that of a model with other parameters.
        """
        first = state["first"]
        if not fits(first, self.scope):
            raise UserError(f"state: {len(first)} first weights; expected {len(self.scope)} of the model")
        self.steps.copy_(state["steps"])
        pairs = zip(self.scope, first, strict=True)
        self.first = {p: tensor.to(p.device, copy=True) for p, tensor in pairs if tensor is not None}
