"""Where the mask m / p acts. Under SGD, of which Theorem 1 speaks, all are one.

    gradient       AdamW is handed m/p g             both of its moments see the mask
    update         theta <- theta + m/p step         the moments see g; the step is AdamW's own, decay and all
    first_moment   u <- b1 u + (1-b1) m/p g          the step's direction sees the mask, its scale v sees g
                   v <- b2 v + (1-b2) g^2

Under `gradient` AdamW divides by the root of a mean of (m/p g)^2, which is larger than g^2 by 1/p: an entry
moves by about sqrt(p) of a plain step. The mean of the other two over masks is the plain step: of `update`
exactly, of `first_moment` too wherever the mask does not depend on the moments.

An entry without a gradient in this step (a word that the batch lacks) has nothing to select by: it is not
masked, and moves by what old moments and the decay give it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo.core.errors import UserError
from zoo.fast.rows import Rows
from zoo.fast.widest import widened
from zoo.fast.word_gradient import keeps_zero_rows
from zoo.method.rates import root
from zoo.method.trainee import Finish


def flat(pieces: list[Tensor]) -> Tensor:
    """All entries end to end, in float32 at least: ranks and draws in 8 bits of mantissa are no ranks."""
    ends = torch.cat([piece.flatten() for piece in pieces]) if pieces else torch.zeros(0)
    return ends if ends.dtype.itemsize >= 4 else ends.float()


@dataclass(frozen=True)
class Entries:
    """The entries of some parameters that can have a gradient: all, or the given rows of a table."""

    tensors: list[tuple[nn.Parameter, Rows | None]]

    @property
    def sizes(self) -> list[int]:
        """Entries of each tensor; they sum to n."""
        return [p.numel() if rows is None else len(rows.numbers) * p[0].numel() for p, rows in self.tensors]

    def take(self, of: Callable[[nn.Parameter], Tensor | None]) -> Tensor:
        """(n,) these entries of the tensor that `of` gives for each parameter, in its shape."""
        return flat([_taken(cast(Tensor, of(p)), rows) for p, rows in self.tensors])

    def put(self, of: Callable[[nn.Parameter], Tensor | None], values: Tensor) -> None:
        """Write `values` (n,) over these entries of the tensor that `of` gives for each parameter."""
        for (p, rows), own in zip(self.tensors, values.split(self.sizes), strict=True):
            target = cast(Tensor, of(p))
            _put(target, rows, own.view(-1, *target.shape[1:]))


def _taken(tensor: Tensor, rows: Rows | None) -> Tensor:
    return tensor if rows is None else rows.take(tensor)


def _put(tensor: Tensor, rows: Rows | None, values: Tensor) -> None:
    with keeps_zero_rows(tensor):
        if rows is None:
            tensor.copy_(values.view_as(tensor))
        else:
            rows.put(tensor, values.to(tensor.dtype))


Optimizer = torch.optim.Optimizer


def masked_gradient(optimizer: Optimizer, entries: Entries, gradient: Tensor, factor: Tensor) -> Finish:
    """g <- m/p g, before the step; nothing is left after it.

    Args:
        entries: n of them. gradient: (n,) as `.grad` has it. factor: (n,) m / p.
    """
    entries.put(lambda p: p.grad, gradient * factor)
    return lambda: None


def masked_update(optimizer: Optimizer, entries: Entries, gradient: Tensor, factor: Tensor) -> Finish:
    """theta <- theta + m/p step. Arguments as above."""
    before = entries.take(lambda p: p.detach())

    def finish() -> None:
        after = entries.take(lambda p: p.detach())
        # Written as a correction: what is not masked keeps the optimizer's own step bit for bit.
        rest = torch.where(gradient != 0, factor - 1, 0.0)
        entries.put(lambda p: p.detach(), after + rest * (after - before))

    return finish


def masked_first_moment(optimizer: Optimizer, entries: Entries, gradient: Tensor, factor: Tensor) -> Finish:
    """The optimizer's step, whose first moment is then handed (m/p - 1) g too. Arguments as above.

    Raises:
        UserError: an optimizer other than SGD (whose only moment, or gradient, it is), Adam and AdamW.
    """
    if isinstance(optimizer, torch.optim.SGD):
        return masked_gradient(optimizer, entries, gradient, factor)
    groups = {p: group for group in optimizer.param_groups for p in group["params"]}
    if not isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW) or any(
        groups[p]["amsgrad"] or groups[p]["maximize"] for p, _ in entries.tensors
    ):
        raise UserError(
            f"mask_on=first_moment with {type(optimizer).__name__}: expected SGD, Adam or AdamW (without "
            "amsgrad and maximize), or another mask_on"
        )
    missing = (gradient * (factor - 1)).split(entries.sizes)

    def finish() -> None:
        for (p, rows), own in zip(entries.tensors, missing, strict=True):
            _correct(optimizer.state[p], groups[p], p.detach(), rows, own)

    return finish


def _correct(
    state: Mapping[str, Any], group: Mapping[str, Any], p: Tensor, rows: Rows | None, d: Tensor
) -> None:
    """Bring d = (m/p - 1) g into the first moment after the step, and into the step by AdamW's formula."""
    (beta1, beta2), step = group["betas"], widened(state["step"])
    first, second = _taken(state["exp_avg"], rows), _taken(state["exp_avg_sq"], rows)
    d = (d.view_as(first) * (1 - beta1)).to(first.dtype)
    scale = root(second / (1 - beta2**step)) + group["eps"]
    moved = _taken(p, rows) - group["lr"] / (1 - beta1**step) * (d / scale)
    _put(state["exp_avg"], rows, first + d)
    _put(p, rows, moved)


PLACES: dict[str, Callable[[Optimizer, Entries, Tensor, Tensor], Finish]] = {
    "gradient": masked_gradient,
    "update": masked_update,
    "first_moment": masked_first_moment,
}
