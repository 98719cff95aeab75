"""A layer that computes for several models at once where it is called under `torch.vmap`.

vmap gives most operators their form with one more axis; what it has none for, or what must see all models
together, is written out as a function of tensors whose first axis is the model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def across(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    """Under one level of vmap: `function` of the same arguments, each tensor with the models as its first
    axis; autograd records what it does. Its result has the models first, too.
    """
    result: Tensor = _Across.apply(function, *arguments)
    return result


class _Across(torch.autograd.Function):
    @staticmethod
    def forward(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
        raise RuntimeError("a layer of several models was called with the batch of one; expected torch.vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept: under vmap autograd sees the operators of the function itself."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], function: Callable[..., Tensor], *arguments: Any
    ) -> tuple[Tensor, int]:
        """See `across`; what all models share is repeated for each."""
        first = [
            argument
            if not isinstance(argument, Tensor)
            else argument.expand(info.batch_size, *argument.shape)
            if axis is None
            else argument.movedim(axis, 0)
            for argument, axis in zip(arguments, in_dims[1:], strict=True)
        ]
        return function(*first), 0


def counted_across(module: nn.Module, models: int) -> None:
    """Tell all layers of a module that have a form for several models (`models` of their own) to take it."""
    for layer in module.modules():
        if hasattr(layer, "models"):
            setattr(layer, "models", models)  # noqa: B010 (a plain number, no part of the module)
