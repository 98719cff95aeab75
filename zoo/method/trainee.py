"""What a recipe's stages are, and the model in training that they work on.

A method of another kind is a subclass of `Forward` or `Backward` in a file of its own, and one line in the
table of recipes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.core.batch import Batch
from zoo.core.records import Settings
from zoo.fast.rows import Rows
from zoo.fast.shapes import fixed_shapes
from zoo.method.contract import TextClassifier, embed_backward
from zoo.method.forward.objective import Objective
from zoo.method.rates import embedding_rms
from zoo.method.sites import DropoutSites


@dataclass(frozen=True)
class Forward(Settings):
    """The forward stage of a recipe: leaves the gradient of its loss in `.grad`."""

    what: ClassVar[str] = "forward setting"
    kind: ClassVar[str]  # its name in results
    adds_up: ClassVar[bool] = False  # whether it only adds to `.grad`, and never reads what it finds there

    @property
    def attacks(self) -> bool:
        """Whether it puts other word vectors in; a model whose words are not found is trained without."""
        return True

    @property
    def passes(self) -> int:
        """Forward-backward passes over the batch that a step needs."""
        raise NotImplementedError

    def gradients(self, trainee: Trainee, batch: Batch) -> dict[str, Any]:
        """Leave the gradient in `.grad`; returns the step's record: scalars, and `logits` (passes, B, C).

        `loss` must be among them. What a stage keeps from step to step stands in `trainee.state`.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Backward(Settings):
    """The backward stage of a recipe: what stands between the gradient and the optimizer's step."""

    what: ClassVar[str] = "backward setting"
    kind: ClassVar[str]  # its name in results

    @property
    def wants_squares(self) -> bool:
        """Whether the forward stage must give the squared gradients of single examples."""
        return False

    @property
    def says(self) -> str:
        """What it does and where, in half a sentence."""
        return self.kind

    def start(self, model: nn.Module, generator: torch.Generator) -> BackwardStage:
        """What does it, for the parameters of a model."""
        raise NotImplementedError


# What a backward stage has left to do after the optimizer's step.
Finish = Callable[[], None]


class BackwardStage:
    """A backward stage at work. `parameters` are those it acts on, where they have a gradient.

    At first they are all that it may ever act on, frozen ones too; who takes the steps may leave some out.
    """

    parameters: list[nn.Parameter]
    generator: torch.Generator | None = None  # of its masks; None: torch's own, or it draws none

    @property
    def wants_pass(self) -> bool:
        """Whether it still waits for a pass over the data before the first step (`observe`, `settle`)."""
        return False

    def observe(self) -> None:
        """The gradient of a batch of that pass stands in `.grad`."""

    def settle(self) -> None:
        """That pass is over."""

    def new_epoch(self) -> None:
        """An epoch begins."""

    def before_step(
        self,
        optimizer: torch.optim.Optimizer,
        touched: Mapping[Tensor, Rows] | None = None,
        squares: list[Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], Finish]:
        """Act before the optimizer's step: scalars for the step's record, and what is left to do after it.

        Args:
            touched: rows of a parameter that can have a gradient; without an entry, all.
            squares: mean squared gradients of single examples, where the stage wants them.
        """
        raise NotImplementedError

    def step(
        self,
        optimizer: torch.optim.Optimizer,
        touched: Mapping[Tensor, Rows] | None = None,
        squares: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The optimizer's step with the stage around it; returns the record of `before_step`."""
        record, finish = self.before_step(optimizer, touched, squares)
        optimizer.step()
        finish()
        return record

    def state(self) -> dict[str, Any]:
        """What a training goes on with, beside the generator: tensors and plain types."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`.

        Raises:
            UserError: that of another model.
        """


@dataclass
class Trainee:
    """A model with what its training needs beside it; make one with `zoo.method.step.prepare`."""

    model: TextClassifier  # or any module with the same two calls
    forward: Forward
    sites: DropoutSites
    backward: BackwardStage | None
    wants_squares: bool  # whether the backward stage needs the squared gradients of single examples
    generator: torch.Generator  # of all masks
    shares_trunk: bool  # all active sites lie in the head, so K passes need one trunk pass
    state: dict[str, Any] = field(default_factory=dict)  # what a forward stage keeps from step to step
    objective: Objective = field(default_factory=Objective)

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    @property
    def selected(self) -> list[nn.Parameter]:
        """The parameters that the backward stage acts on."""
        return [] if self.backward is None else self.backward.parameters

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, T) ids -> (B, T, D) word vectors."""
        return self.model.embed(tokens)

    def embed_backward(self, tokens: Tensor, vectors: Tensor, gradient: Tensor) -> None:
        """`vectors.backward(gradient)` for vectors = embed(tokens)."""
        embed_backward(self.model, tokens, vectors, gradient)

    def reduce(self, values: Tensor, how: str = "mean") -> Tensor:
        """The mean, or the sum, over the texts of values (B,): a scalar, as all terms of the loss are."""
        return values.sum() if how == "sum" else values.mean()

    def rms(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """`embedding_rms` of the batch, a scalar."""
        return embedding_rms(vectors, mask)

    def by_text(self, term: Tensor) -> Tensor:
        """A scalar in a shape that goes with the vectors (B, T, D)."""
        return term

    def descend(self, loss: Tensor, retain_graph: bool = False) -> None:
        """The backward pass of a part of the loss."""
        loss.backward(retain_graph=retain_graph)

    def gradient_at(self, point: Tensor, loss: Tensor) -> Tensor:
        """d loss / d point, times what `descend` too scales the loss by; nothing goes into `.grad`."""
        return torch.autograd.grad(loss.sum(), point)[0]

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

    def state_dict(self) -> dict[str, Any]:
        """What a training goes on with, beside model and optimizer: tensors and plain types."""
        return {
            "generator": self.generator.get_state(), "sites": self.sites.seen(), "forward": self.state,
            "backward": None if self.backward is None else self.backward.state(),
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same recipe and model.

        Raises:
            UserError: that of a model with other parameters.
        """
        if self.backward is not None:
            self.backward.load(state["backward"])
        put_state(self.generator, state["generator"])
        self.sites.load_seen(state["sites"])
        self.state = copied(state["forward"], self.device)

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


def put_state(generator: torch.Generator, state: Tensor) -> None:
    """Go on with the numbers of a state.

    Those of another kind of device, whose states have another size, cannot be drawn: with its own, then, and
    a warning.
    """
    if state.shape == generator.get_state().shape:
        generator.set_state(state.cpu())
        return
    warnings.warn(
        f"state: random numbers of another kind of device than {generator.device.type}: masks will be others "
        "than those of a training that was not stopped",
        stacklevel=2,
    )


def fits(kept: Sequence[Tensor | None], parameters: Sequence[nn.Parameter]) -> bool:
    """Whether there is a tensor for each parameter, of its shape, or None."""
    return len(kept) == len(parameters) and all(
        tensor is None or tensor.shape == p.shape for tensor, p in zip(kept, parameters, strict=True)
    )


def copied(state: Any, device: torch.device | None = None) -> Any:
    """A state with copies of its tensors, on another device if one is given."""
    if isinstance(state, Tensor):
        return state.detach().to(device, copy=True)
    if isinstance(state, dict):
        return {key: copied(value, device) for key, value in state.items()}
    return type(state)(copied(value, device) for value in state) if isinstance(state, tuple | list) else state
