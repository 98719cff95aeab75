"""What a method cannot work with, refused before any hook is set; each message says what was expected."""

from __future__ import annotations

from weakref import WeakSet

import torch
from torch import nn

from zoo.core.errors import UserError
from zoo.method.recipe import Recipe

ATTACHED: WeakSet[nn.Module] = WeakSet()  # the models that have a method

_SPREAD = {
    "DataParallel": "its replicas share the hooks' state",
    "FullyShardedDataParallel": "no process holds the whole gradient that is ranked",
    "FSDPModule": "no process holds the whole gradient that is ranked",
    "DeepSpeedEngine": "no process holds the whole gradient that is ranked",
}


def check_module(model: object) -> None:
    """A module to hook: not spread over devices."""
    if not isinstance(model, nn.Module):
        raise UserError(f"model of type {type(model).__name__}: expected a torch.nn.Module")
    for kind, why in _SPREAD.items():
        if kind in {c.__name__ for c in type(model).__mro__}:
            raise UserError(
                f"model of type {kind}: {why}; expected the module itself, or DistributedDataParallel of it"
            )


def check_model(model: object) -> None:
    """A module to hook that has no method so far."""
    check_module(model)
    if model in ATTACHED:
        raise UserError(f"{type(model).__name__} has a method already; expected method.remove() first")


def check_optimizer(model: nn.Module, optimizer: object) -> None:
    """An optimizer of parameters of this model."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise UserError(f"optimizer of type {type(optimizer).__name__}: expected a torch.optim.Optimizer")
    held = [p for group in optimizer.param_groups for p in group["params"]]
    own = set(model.parameters())
    if other := sum(p not in own for p in held):
        raise UserError(
            f"optimizer holds {other} tensors that are no parameters of {type(model).__name__}: expected "
            "those of this model alone"
        )


def check_recipe(model: nn.Module, recipe: Recipe) -> None:
    """A recipe that can be done by hooks, on gradients of these tables."""
    if recipe.backward is None:
        return
    if recipe.backward.wants_squares:
        raise UserError(
            "saliency=per_sample needs a backward pass an example over one graph of the whole step; expected "
            "saliency=batch, ema or epoch"
        )
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse:
            raise UserError(
                f"embedding {name} has sparse gradients, which are not masked; expected sparse=False"
            )


def whole_number(name: str, value: int) -> int:
    """A whole number of at least 1."""
    if not isinstance(value, int) or value < 1:
        raise UserError(f"{name}={value}: expected a whole number of at least 1")
    return value
