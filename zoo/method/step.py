"""One training step of a recipe: its forward stage, then its backward stage around the optimizer (Algorithm
1).

Index letters: K passes, B examples, T tokens, D vector size, C classes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo.core.batch import Batch
from zoo.core.errors import UserError
from zoo.fast.rows import Rows
from zoo.fast.shapes import fixed_shapes
from zoo.method.contract import TextClassifier, active_sites, check_contract, dropout_sites
from zoo.method.recipe import BackwardStage, Recipe
from zoo.method.sites import DropoutSites


@dataclass
class Trainee:
    """A model with what a recipe needs beside it; make one with `prepare`."""

    model: TextClassifier  # or any module with the same two calls
    recipe: Recipe
    sites: DropoutSites
    backward: BackwardStage | None
    generator: torch.Generator  # of all masks
    shares_trunk: bool  # all active sites lie in the head, so K passes need one trunk pass
    state: dict[str, Any] = field(default_factory=dict)  # what a forward stage keeps from step to step

    @property
    def wants_squares(self) -> bool:
        """Whether the forward stage must give the squared gradients of single examples."""
        return self.recipe.backward is not None and bool(self.recipe.backward.wants_squares)

    @property
    def selected(self) -> list[nn.Parameter]:
        """The parameters that the backward stage acts on."""
        return [] if self.backward is None else self.backward.parameters

    def classify(self, x: Tensor, mask: Tensor, passes: int) -> Tensor:
        """`passes` passes over the same vectors (B, T, D) as one batch -> logits (passes, B, C)."""
        if passes == 1:
            return self.model.classify(x, mask)[None]
        if self.shares_trunk:
            logits = self.model.head(self.model.trunk(x, mask).repeat(passes, 1))
        elif self.sites.repeats:
            logits = self.model.classify(x, mask)
            if len(logits) == len(x):  # no site was at work, as at evaluation: all passes are the same
                logits = logits.repeat(passes, 1)
        else:
            logits = self.model.classify(x.repeat(passes, 1, 1), mask.repeat(passes, 1))
        return logits.unflatten(0, (passes, -1))

    def touched(self) -> dict[Tensor, Rows]:
        """Rows of each embedding table that have a gradient, where it pays to know them."""
        found = {}
        for table in self.model.modules():
            if not isinstance(table, nn.Embedding) or table.weight.grad is None:
                continue
            rows = None
            if isinstance(self.model, TextClassifier) and table is self.model.embedding:
                rows = self.model.word_gradient.touched(table.weight)
            if rows is None and not fixed_shapes(table.weight):
                rows = Rows.with_gradient(table.weight.grad)
            if rows is not None:
                found[table.weight] = rows
        return found


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
        recipe,
        DropoutSites(sites, recipe.dropout, active, generator, repeats),
        None if recipe.backward is None else recipe.backward.start(model, generator),
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
    if getattr(recipe.forward, "divergence", "none") != "none" and not drops:
        notes.append(
            f"divergence={recipe.forward.divergence}: without dropout all passes of {name} are the same"
        )
    return notes


def train_step(trainee: Trainee, batch: Batch, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """One step of the recipe; returns the records of its forward and backward stage.

    Raises:
        UserError: the batch does not fit together, or the model is not in training mode.
    """
    _check(trainee, batch)
    optimizer.zero_grad()
    record = trainee.recipe.forward.gradients(trainee, batch)
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
