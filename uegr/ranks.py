"""Several processes, each with a part of the batch (DistributedDataParallel): one mean of gradients a step.

The passes run on the module inside, so that nothing is reduced between them; what is averaged is what they
have added up to, before clipping and before the mask. The mask is then the same everywhere: equal gradients,
equal generators.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Ranks:
    """The processes that train one model."""

    group: Any
    device: torch.device

    def first_of(self, number: int) -> int:
        """The number that the first process has."""
        own = torch.tensor([number], dtype=torch.int64, device=self.device)
        distributed.broadcast(own, distributed.get_global_rank(self.group, 0), self.group)
        return int(own)

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
