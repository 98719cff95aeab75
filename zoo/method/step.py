"""One training step of a recipe: its forward stage, then its backward stage around the optimizer (Algorithm
1).

Index letters: K passes, B examples, T tokens, D vector size, C classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from zoo.core.batch import Batch
from zoo.core.errors import UserError
from zoo.method.contract import TextClassifier, active_sites, check_contract, dropout_sites
from zoo.method.recipe import Recipe
from zoo.method.sites import DropoutSites
from zoo.method.trainee import Trainee

__all__ = ["Trainee", "first_pass", "idle_parts", "prepare", "train_step"]


def prepare(model: nn.Module, recipe: Recipe, generator: torch.Generator | None = None) -> Trainee:
    """Set up `model` (any module with `embed` and `classify`) for training under `recipe`.

    Args:
        generator: source of all dropout and selection masks, on the model's device. None: a new one, seeded
            by a draw from torch's own, so that `torch.manual_seed` decides.

    Raises:
        UserError: the model lacks a call, or a dropout site that the recipe names.

    Warns:
        UserWarning: a part of the recipe will do nothing with this model.
    """
    check_contract(model)
    if generator is None:
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        generator = torch.Generator(device).manual_seed(int(torch.randint(2**62, ())))
    sites = dropout_sites(model)
    active = active_sites(model, recipe.dropout.sites if recipe.dropout else ())
    for note in idle_parts(model, recipe):
        warnings.warn(note, UserWarning, stacklevel=2)
    shares_trunk = isinstance(model, TextClassifier) and (
        recipe.dropout is None or set(active) <= set(model.head_sites)
    )
    # `embedding` is no place to repeat the rows, as nothing lies before it.
    repeats = not shares_trunk and "embedding" not in active and vars(type(model)).get("repeats_rows", False)
    return Trainee(
        cast(TextClassifier, model),
        recipe.forward,
        DropoutSites(sites, recipe.dropout, active, generator, repeats),
        None if recipe.backward is None else recipe.backward.start(model, generator),
        recipe.backward is not None and recipe.backward.wants_squares,
        generator,
        shares_trunk,
    )


def idle_parts(model: nn.Module, recipe: Recipe) -> list[str]:
    """A sentence for each part of the recipe that does nothing with this model, with what would help."""
    name, notes = type(model).__name__, []
    ordinary = sum(isinstance(m, nn.modules.dropout._DropoutNd) for m in model.modules())
    remedy = "put zoo.method.dropout.AdaptiveDropout in the place of torch.nn.Dropout"
    if recipe.dropout is not None and not dropout_sites(model):
        what = (
            f"its {ordinary} ordinary dropout modules keep their own rates"
            if ordinary
            else "nothing is dropped"
        )
        notes.append(f"dropout={recipe.dropout.kind}: {name} has no AdaptiveDropout, so {what}; {remedy}")
    if recipe.dropout is None and ordinary:
        notes.append(
            f"dropout=none: {name} has {ordinary} ordinary dropout modules, which go on dropping; {remedy}"
        )
    drops = ordinary or (recipe.dropout is not None and dropout_sites(model))
    divergence = recipe.flat().get("divergence", "none")
    if divergence != "none" and "divergence" not in recipe.forward.unread() and not drops:
        notes.append(f"divergence={divergence}: without dropout all passes of {name} are the same")
    return notes


def first_pass(trainee: Trainee, batches: Iterable[Batch]) -> None:
    """The pass over the training data before the first step, where the backward stage wants one.

    Weights stay as they are; the model must be in training mode.
    """
    stage = trainee.backward
    if stage is None or not stage.wants_pass:
        return
    for batch in batches:
        trainee.model.zero_grad()
        trainee.forward.gradients(trainee, batch)
        stage.observe()
    trainee.model.zero_grad()
    stage.settle()


def train_step(trainee: Trainee, batch: Batch, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """One step of the recipe; returns the records of its forward and backward stage.

    Raises:
        UserError: the batch does not fit together, or the model is not in training mode.
    """
    _check(trainee, batch)
    optimizer.zero_grad()
    record = trainee.forward.gradients(trainee, batch)
    squares = record.pop("squares", None)
    if trainee.backward is None:
        optimizer.step()
    else:
        record |= trainee.backward.step(optimizer, trainee.touched(), squares)
    return {key: value for key, value in record.items() if isinstance(value, Tensor)}


def _check(trainee: Trainee, batch: Batch) -> None:
    rows = len(batch.tokens)
    if batch.mask.shape != batch.tokens.shape or batch.labels.shape != (rows,):
        raise UserError(
            f"batch: tokens {tuple(batch.tokens.shape)}, mask {tuple(batch.mask.shape)}, labels "
            f"{tuple(batch.labels.shape)}; expected (B, T), (B, T) and (B,)"
        )
    if not trainee.model.training:
        raise UserError(
            f"{type(trainee.model).__name__} is in evaluation mode, where nothing is dropped; call .train()"
        )
