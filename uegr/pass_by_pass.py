"""K passes one after the other, of which no two have a graph at the same time.

    forward    each pass without a graph, for its logits: all that the loss and the divergence need
    backward   dL / d(logits) is known; each pass once more, on the same masks, with a graph that is used
               and thrown away

A forward pass more for each, and the memory of one. Gradients are those of one graph, to rounding.

Index letters: K passes, B examples, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from uegr.random_numbers import put_random_states, random_states
from zoo.core.errors import UserError

Run = Callable[[Tensor, int, int], Tensor]  # vectors (B, T, D), passes first .. last - 1 -> (n, B, C)


def pass_by_pass(model: nn.Module, run: Run, x: Tensor, passes: int, at_once: int) -> Tensor:
    """Logits (K, B, C) of K = `passes` passes over x, `at_once` at a time, as if of one graph."""
    held = [p for p in model.parameters() if p.requires_grad]
    logits: Tensor = _PassByPass.apply(model, run, passes, at_once, x, *held)
    return logits


class _PassByPass(torch.autograd.Function):
    """Parameters are inputs, so that autograd adds up their gradients where it is asked for them."""

    @staticmethod
    def forward(
        ctx: Any, model: nn.Module, run: Run, passes: int, at_once: int, x: Tensor, *held: Tensor
    ) -> Tensor:
        ctx.model, ctx.run, ctx.held = model, run, held
        ctx.parts = [(first, min(first + at_once, passes)) for first in range(0, passes, at_once)]
        ctx.cast, ctx.random = _autocast(x), []
        ctx.save_for_backward(x)
        found = []
        for first, last in ctx.parts:
            ctx.random.append(random_states(model))
            found.append(run(x.detach(), first, last))
        return torch.cat(found)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        sums: list[Tensor | None] = [None] * (1 + len(ctx.held))
        after = random_states(ctx.model)
        for (first, last), random in zip(ctx.parts, ctx.random, strict=True):
            put_random_states(ctx.model, random)
            own = x.detach().requires_grad_()
            with torch.enable_grad(), ctx.cast():
                logits = ctx.run(own, first, last)
            found = gradients(logits, [own, *ctx.held], gradient[first:last])
            for i, one in enumerate(found):
                before = sums[i]
                sums[i] = one if before is None else before if one is None else before + one
        put_random_states(ctx.model, after)
        return None, None, None, None, *sums


def gradients(output: Tensor, inputs: Sequence[Tensor], factor: Tensor | None) -> tuple[Tensor | None, ...]:
    """d (factor * output) / d inputs, None where an input does not reach it.

    Raises:
        UserError: gradient checkpointing in the form that fills `.grad` alone.
    """
    try:
        return torch.autograd.grad(output, inputs, factor, allow_unused=True)
    except RuntimeError as error:
        if "use_reentrant" not in str(error):
            raise
        raise UserError(
            "gradient checkpointing with use_reentrant=True: it cannot be asked for the gradients of "
            "attack_steps > 1 or of passes one after the other; expected use_reentrant=False"
        ) from error


def _autocast(x: Tensor) -> Callable[[], AbstractContextManager[Any]]:
    """The autocast that holds here, for later: a backward pass has none."""
    device = x.device.type
    if not torch.is_autocast_enabled(device):
        return nullcontext
    kind = torch.get_autocast_dtype(device)
    return lambda: torch.autocast(device, kind)
