"""The backward stage around an optimizer's step, whoever takes it: after clipping, once a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zoo.core.errors import UserError
from zoo.fast.rows import Rows
from zoo.method.trainee import BackwardStage


class Bracket:
    """Two hooks of the optimizer: one before its step, where the mask is drawn, and one after it.

    The stage acts on what the optimizer holds and what learns. Both may change: layers are unfrozen, and
    groups of parameters added.

    Args:
        touched: the rows of each embedding table that have a gradient.

    Raises (at a step):
        UserError: a closure, which makes gradients inside the step.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        stage: BackwardStage,
        touched: Callable[[], dict[Tensor, Rows]],
    ) -> None:
        self.optimizer, self.stage, self.touched = optimizer, stage, touched
        self.scope = stage.parameters
        self.narrow()
        self.record: dict[str, Tensor] = {}
        self.finish: Callable[[], None] | None = None
        self.handles = [
            optimizer.register_step_pre_hook(self._before), optimizer.register_step_post_hook(self._after)
        ]  # fmt: skip

    def narrow(self) -> None:
        """Tell the stage what of its parameters is held and learns now."""
        held = {p for group in self.optimizer.param_groups for p in group["params"]}
        self.stage.parameters = [
            p for p in self.scope if p in held and (p.requires_grad or p.grad is not None)
        ]

    @torch.no_grad()
    def _before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self.finish = None
        if self.stage.wants_pass:
            raise UserError(
                "optimizer.step(): what learns is chosen by a pass over the training data; expected "
                "method.first_pass(loader) before the first step"
            )
        # torch hands the optimizer to its own hooks as the first argument of a step.
        closure = kwargs.get("closure") or next((a for a in args if callable(a)), None)
        if closure is not None:
            raise UserError(
                "optimizer.step(closure): the gradient is made inside the step, so no mask can act on it; "
                "expected method.backward(batch) and then optimizer.step()"
            )
        # A fused optimizer takes unscaling and the skipping of a step upon itself, and says so here.
        found = getattr(optimizer, "found_inf", None)
        if found is not None and float(found) > 0:
            return
        if (scale := getattr(optimizer, "grad_scale", None)) is not None:
            for group in optimizer.param_groups:
                for gradient in (p.grad for p in group["params"] if p.grad is not None):
                    gradient.div_(scale)
            optimizer.grad_scale = None  # type: ignore[attr-defined]
        self.narrow()
        self.record, self.finish = self.stage.before_step(optimizer, self.touched())

    @torch.no_grad()
    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        finish, self.finish = self.finish, None
        if finish is not None:
            finish()

    def remove(self) -> None:
        """Take the hooks out."""
        for handle in self.handles:
            handle.remove()
