"""Child-Tuning, task-driven (Xu et al. 2021): only the weights with the largest Fisher information learn.

    F_i = mean over the batches of one pass over the data of g_i^2,   before the first step
    m_i = 1 where F_i is among the largest `child_share` of all,      g <- m g in every step

The mask is fixed and nothing is rescaled. It acts on the gradient, so weight decay goes on everywhere. By
default word vectors and classifier stay outside: they always learn. The authors' code clips each tensor's
gradient to length 1 before it is squared, which favours small tensors (`fisher_clip=1`).

Who takes steps without that pass gets the mask of the first batch alone. What begins to learn after the pass
has no mask, and a warning says so.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.core.errors import UserError
from zoo.core.records import setting
from zoo.fast.rows import Rows
from zoo.method.contract import selected_parameters
from zoo.method.trainee import Backward, BackwardStage, Finish, fits


@dataclass(frozen=True)
class Fisher(Backward):
    """How much learns, and how that is chosen."""

    kind: ClassVar[str] = "fisher"

    child_share: float = setting(0.3, above=0, high=1)  # of the entries in scope
    child_scope: str = setting("encoder", choices=("encoder", "body", "all"))
    fisher_clip: float = setting(0.0, low=0)  # length to which each tensor's gradient is cut; 0: not

    @property
    def says(self) -> str:
        """Where the mask acts."""
        return "fixed mask on the gradient, just before the optimizer's step"

    def start(self, model: nn.Module, generator: torch.Generator) -> BackwardStage:
        """The stage for the parameters of a model."""
        return _Child(selected_parameters(model, self.child_scope), self)


class _Child(BackwardStage):
    def __init__(self, parameters: list[nn.Parameter], settings: Fisher) -> None:
        self.scope = self.parameters = parameters
        self.settings = settings
        self.squares: dict[Tensor, Tensor] = {}
        self.masks: dict[Tensor, Tensor] = {}
        self.told = False

    @property
    def wants_pass(self) -> bool:
        """Until the mask is there."""
        return not self.masks and any(p.requires_grad for p in self.parameters)

    @torch.no_grad()
    def observe(self) -> None:
        """Add the squares of the gradient of a batch: the mean over batches has the same order as the sum."""
        for p in self.parameters:
            if p.grad is not None:
                g, most = p.grad, self.settings.fisher_clip
                if most > 0:
                    g = g * (most / torch.linalg.vector_norm(g).clamp_min(1e-30)).clamp_max(1.0)
                if p not in self.squares:
                    self.squares[p] = torch.zeros_like(p)
                self.squares[p] += g.square()

    @torch.no_grad()
    def settle(self) -> None:
        """Fix the mask: the entries from the (1 - child_share) quantile of all on.

        Raises:
            UserError: there was no gradient of any of them.
        """
        found = {p: self.squares.get(p, torch.zeros_like(p)) for p in self.parameters if p.requires_grad}
        if not found:
            return
        if not self.squares:
            raise UserError(
                "the pass that chooses what learns: no batch with a gradient; expected the training "
                "data, and no iterator that is used up"
            )
        every = torch.cat([f.flatten() for f in found.values()])
        kept = len(every) - math.ceil((1 - self.settings.child_share) * (len(every) - 1))
        least = every.topk(kept).values[-1]
        # Entries that never had a gradient are no children, however large the share is.
        self.masks = {p: ((f >= least) & (f > 0)).to(p.dtype) for p, f in found.items()}
        self.squares = {}

    @torch.no_grad()
    def before_step(
        self,
        optimizer: torch.optim.Optimizer,
        touched: Mapping[Tensor, Rows] | None = None,
        squares: list[Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], Finish]:
        if self.wants_pass:
            self.observe()
            self.settle()
        late = [p for p in self.parameters if p.grad is not None and p not in self.masks]
        if late and not self.told:
            warnings.warn(
                f"{len(late)} tensors learn whole: they did not take part in the pass that chose what learns",
                stacklevel=2,
            )
            self.told = True
        own = {p: self.masks[p] for p in self.parameters if p in self.masks}
        for p, mask in own.items():
            if p.grad is not None:
                p.grad.mul_(mask)
        kept = torch.cat([mask.flatten() for mask in own.values()] or [torch.zeros(1)])
        return {"kept_share": kept.mean()}, lambda: None

    def state(self) -> dict[str, Any]:
        """The mask, None of what did not take part."""
        return {"masks": [self.masks.get(p) for p in self.scope] if self.masks else []}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`, each mask on the device of its parameter.

        Raises:
            UserError: that of a model with other parameters.
        """
        masks = state["masks"]
        if masks and not fits(masks, self.scope):
            raise UserError(f"state: {len(masks)} masks; expected {len(self.scope)} of the model")
        pairs = zip(self.scope, masks, strict=True) if masks else ()
        self.masks = {p: mask.to(p.device) for p, mask in pairs if mask is not None}
