"""Models that `torch.compile` has had: their code is made anew with our hooks, which stay outside it.

Compiled code holds the hooks that were there when it was made and never looks again. So it is thrown away
when a method begins and when it ends; and a hook is not compiled itself, as what it does differs from pass to
pass. Importing this module does not import torch's compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn

from uegr.batches import Forward, called
from zoo.core.errors import UserError

Wrap = Callable[[Any], Any]
NO_LOOK = (
    "{} is compiled: no look at its forward pass finds the words; expected embedding= with the module that "
    "gives word vectors, or its name"
)


class Hooked(Protocol):
    """Something with hooks in a model."""

    def hook(self, wrap: Wrap | None = None) -> None:
        """Set the hooks, each as `wrap` gives it, in place of those that were set."""


def _wrapper(module: object) -> bool:
    return type(module).__name__ == "OptimizedModule" and isinstance(module, nn.Module)


def is_compiled(model: nn.Module) -> bool:
    """Whether the model, or a part of it, was given to `torch.compile` or has had `.compile()`."""
    return any(m._compiled_call_impl is not None or _wrapper(m) for m in model.modules())


def opened(model: Any, forward: Forward | None) -> tuple[bool, Any, Forward | None]:
    """Whether it is what `torch.compile(model)` gave; the module inside; a call of the compiled one.

    Raises:
        UserError: DistributedDataParallel inside the compiled module.
    """
    if not _wrapper(model):
        return False, model, forward
    if isinstance(model._orig_mod, nn.parallel.DistributedDataParallel):
        raise UserError(
            "torch.compile of DistributedDataParallel: its reducer would run in every pass; expected "
            "DistributedDataParallel(torch.compile(model))"
        )
    return True, model._orig_mod, lambda _, inputs: called(model, forward, inputs)


def renew(hooked: list[Hooked]) -> None:
    """All compiled code of this process is made anew when it is called next, with these hooks outside."""
    torch.compiler.reset()
    for each in hooked:
        each.hook(torch.compiler.disable)
