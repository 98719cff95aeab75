"""Several models of one kind in training as one: the same step, each operator once for all of them.

The models differ in their seeds, weights and batches. Their parameters lie stacked, (S, ...), and each
model's own are views of them. To the forward stage the S batches are one of S * B texts; the model is called
under `torch.vmap`; what is a number of a batch (the terms of the loss, the unit of epsilon, statistics and
rates of a site) is one of each model, (S,); and every model draws its masks from its own generator. So on
batches of one width each is trained as it would be alone, to rounding.

Each model's backward stage acts by itself, on its views.

Index letters: S models, K passes, B examples, T tokens, D vector size.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from zoo.fast.across import counted_across
from zoo.fast.rows import Rows
from zoo.method.forward.bi_stage import BiStage
from zoo.method.rates import embedding_rms
from zoo.method.recipe import Recipe
from zoo.method.sites_of_several import SitesOfSeveral
from zoo.method.step import prepare
from zoo.method.trainee import BackwardStage, Finish, Trainee

# Settings of a recipe that a step of several models has no form for: numbers of a whole batch, or a history.
ALONE: Mapping[str, tuple[Any, ...]] = {
    "attack_scope": ("batch", "table"),
    "dropout": ("layer",),
    "statistic_scope": ("example",),
    "saliency": ("epoch", "per_sample"),
    "resample": ("epoch",),
    "mask_on": ("first_moment",),
}


def why_alone(recipe: Recipe) -> str:
    """Why models of a recipe cannot be trained as one; empty where they can."""
    if not isinstance(recipe.forward, BiStage):
        return f"forward stage {recipe.forward.kind}"
    if recipe.backward is not None and recipe.backward.kind != "selective":
        return f"backward stage {recipe.backward.kind}"
    settings = recipe.flat()
    for name, values in ALONE.items():
        if settings.get(name) in values:
            return f"{name}={settings[name]}"
    return ""


class TraineeOfSeveral(Trainee):
    """The trainees of S models as one. Before each step `weigh` says which texts count.

    Args:
        own: what each model is trained with alone.
    """

    sites: SitesOfSeveral

    def __init__(self, own: Sequence[Trainee], recipe: Recipe) -> None:
        self.own = own
        template = _stacked([trainee.model for trainee in own])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they have been told of each model
            one = prepare(template, recipe, own[0].generator)
        sites = SitesOfSeveral(one.sites, [trainee.generator for trainee in own])
        super().__init__(
            one.model, one.forward, sites, None, False, own[0].generator, one.shares_trunk
        )  # fmt: skip
        if own[0].backward is not None:
            self.backward = _BackwardOfSeveral(self, [trainee.backward for trainee in own])  # type: ignore[misc]
        self._calls = _Calls(template)

    @property
    def models(self) -> int:
        """S."""
        return len(self.own)

    def weigh(self, present: Tensor) -> None:
        """Which texts (S, B) of the coming batch count; the others fill up the batches of some models."""
        self.sites.present = present

    def embed(self, tokens: Tensor) -> Tensor:
        """(S * B, T) ids -> (S * B, T, D)."""
        self._tokens = tokens
        vectors = self._each(lambda model, tokens: model.embed(tokens), tokens)
        # As the padding of an embedding table: no gradient comes to its row.
        return vectors.flatten(0, 1) * (tokens != 0)[:, :, None]

    def embed_backward(self, tokens: Tensor, vectors: Tensor, gradient: Tensor) -> None:
        """See `Trainee`."""
        vectors.backward(gradient)

    def classify(self, x: Tensor, mask: Tensor, passes: int) -> Tensor:
        """(S * B, T, D) -> (passes, S * B, C)."""

        def one(model: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
            return super(TraineeOfSeveral, self).classify(x, mask, passes)

        return self._each(one, x, mask).transpose(0, 1).flatten(1, 2)

    def reduce(self, values: Tensor, how: str = "mean") -> Tensor:
        """(S * B,) -> (S,), of each model's texts."""
        present = self.sites.present.to(values.dtype)
        sums = (values.unflatten(0, (self.models, -1)) * present).sum(1)
        return sums if how == "sum" else sums / present.sum(1)

    def rms(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(S * B, T, D) -> (S,)."""
        shape = (self.models, -1)
        return embedding_rms(vectors.unflatten(0, shape), mask.unflatten(0, shape))

    def by_text(self, term: Tensor) -> Tensor:
        """(S,) -> (S * B, 1, 1)."""
        return term.repeat_interleave(self.sites.present.shape[1])[:, None, None]

    def descend(self, loss: Tensor, retain_graph: bool = False) -> None:
        """(S,): each model's loss reaches its own parameters alone."""
        loss.sum().backward(retain_graph=retain_graph)

    def touched(self) -> dict[Tensor, Rows]:
        """Of each model's own embedding table."""
        batches = self._tokens.unflatten(0, (self.models, -1))
        tables = (getattr(own.model, "embedding", None) for own in self.own)
        return {
            table.weight: Rows.of(tokens)
            for table, tokens in zip(tables, batches, strict=True)
            if isinstance(table, nn.Embedding)
        }

    def _each(self, call: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
        """`call` of the model and the arguments (S * B, ...) of each, under vmap; (S, ...)."""
        stacked: dict[str, Tensor] = {f"model.{name}": p for name, p in self.model.named_parameters()}
        arguments = tuple(argument.unflatten(0, (self.models, -1)) for argument in arguments)

        def one(weights: dict[str, Tensor], *own: Tensor) -> Tensor:
            result: Tensor = functional_call(self._calls, weights, (call, *own))
            return result

        return torch.vmap(one)(stacked, *arguments)


class _Calls(nn.Module):
    """A model whose every call can be a `functional_call`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, call: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
        return call(self.model, *arguments)


class _BackwardOfSeveral(BackwardStage):
    """Each model's own backward stage, on its views of the stacked parameters."""

    def __init__(self, trainee: TraineeOfSeveral, stages: Sequence[BackwardStage]) -> None:
        self.stages = stages
        self.parameters = list(trainee.model.parameters())
        self.views = [list(own.model.parameters()) for own in trainee.own]

    def new_epoch(self) -> None:
        """See `BackwardStage`."""
        for stage in self.stages:
            stage.new_epoch()

    def before_step(
        self,
        optimizer: torch.optim.Optimizer,
        touched: Mapping[Tensor, Rows] | None = None,
        squares: list[Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], Finish]:
        """See `BackwardStage`; records (S,)."""
        records, finishes = list[dict[str, Tensor]](), list[Finish]()
        for number, (stage, views) in enumerate(zip(self.stages, self.views, strict=True)):
            for view, stacked in zip(views, self.parameters, strict=True):
                view.grad = None if stacked.grad is None else stacked.grad[number]
            record, finish = stage.before_step(optimizer, touched)
            records.append(record)
            finishes.append(finish)

        def finish_all() -> None:
            for finish in finishes:
                finish()

        return {key: torch.stack([record[key] for record in records]) for key in records[0]}, finish_all


def _stacked(models: Sequence[nn.Module]) -> nn.Module:
    """A model whose parameters (S, ...) are those of all; from now on theirs are views of them."""
    template = copy.deepcopy(models[0])
    counted_across(template, len(models))
    for layer, *own in zip(template.modules(), *(model.modules() for model in models), strict=True):
        for kind in ("_parameters", "_buffers"):
            for name, first in getattr(layer, kind).items():
                if first is None:
                    continue
                parts = [getattr(one, kind)[name] for one in own]
                stack = torch.stack([part.detach() for part in parts])
                for number, part in enumerate(parts):
                    part.data = stack[number]
                getattr(layer, kind)[name] = (
                    nn.Parameter(stack, first.requires_grad) if kind == "_parameters" else stack
                )
    return template
