"""Several processes, each with a part of the batch (DistributedDataParallel): one mean of gradients a step.

The passes run on the module inside, so that nothing is reduced between them; what is averaged is what they
have added up to, before clipping and before the mask. The mask is then the same everywhere: equal gradients,
equal generators.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn

from zoo.core.errors import UserError


class Ranks:
    """The processes that train one model."""

    def __init__(self, group: Any, device: torch.device) -> None:
        self.group, self.device = group, device
        self.pending, self.share = 0, 1  # batches since the last mean, and of a whole step
        self.handles: list[Any] = []

    def guard(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse a step on gradients that each process has for itself: weights would differ from then on.

        At the step it is too late to average them, as they may have been clipped.
        """
        self.handles.append(optimizer.register_step_pre_hook(self._refuse_part))

    def first_of(self, number: int) -> int:
        """The number that the first process has."""
        own = torch.tensor([number], dtype=torch.int64, device=self.device)
        distributed.broadcast(own, distributed.get_global_rank(self.group, 0), self.group)
        return int(own)

    def before_batch(self, parameters: Iterable[nn.Parameter]) -> None:
        """A batch comes. Where no gradient is left, it is the first of a step, whatever came before."""
        if all(p.grad is None for p in parameters):
            self.pending = 0

    def after_batch(self, parameters: Iterable[nn.Parameter], share: int) -> None:
        """The gradient of a batch has been added; after the last of a step's `share` the mean is taken."""
        self.pending, self.share = self.pending + 1, share
        if self.pending >= share:
            self.pending = 0
            self.average(parameters)

    @torch.no_grad()
    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """The mean over processes in every `.grad`; none counts as zero where another process has one."""
        every = [p for p in parameters if p.requires_grad]
        flags = torch.tensor([p.grad is not None for p in every], dtype=torch.uint8, device=self.device)
        distributed.all_reduce(flags, distributed.ReduceOp.MAX, self.group)
        kinds: dict[torch.dtype, list[Tensor]] = {}
        for p, used in zip(every, flags.tolist(), strict=True):
            if used:
                p.grad = torch.zeros_like(p) if p.grad is None else p.grad
                kinds.setdefault(p.dtype, []).append(p.grad)
        for gradients in kinds.values():
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            distributed.all_reduce(flat, distributed.ReduceOp.SUM, self.group)
            flat /= distributed.get_world_size(self.group)
            for gradient, own in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(own.view_as(gradient))

    def remove(self) -> None:
        """Take the hook out."""
        for handle in self.handles:
            handle.remove()

    def _refuse_part(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self.pending:
            raise UserError(
                f"optimizer.step() after {self.pending} of {self.share} batches: gradients that each process "
                f"has for itself; expected {self.share}, or method.accumulate set before the first of them"
            )
