"""Any model as a forward stage of the zoo sees it: its own forward pass, with other word vectors put in.

Index letters: K passes, B examples, T tokens, D vector size, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from uegr.batches import Forward, Path, called, logits_of, mask_of, repeated, shared_of, tensors, valid_of
from uegr.dropouts import HookedSites
from uegr.objective import wide
from uegr.pass_by_pass import gradients, pass_by_pass
from uegr.words import Words
from zoo.core.batch import Batch
from zoo.method.trainee import Trainee

Scale = Callable[[Tensor], Tensor]


@dataclass
class HookedTrainee(Trainee):
    """A model whose forward pass is called on a user's inputs.

    Args:
        call: a function of the model and its inputs that gives the logits; None: the model itself.
        at_once: how many of the K passes come as one batch.
        share: by what the loss is divided: the batches of one optimizer step.
    """

    call: Forward | None = None
    mask: Callable[[Any], Tensor] | None = None
    at_once: int = 1
    share: int = 1
    attacks: bool = True
    compiled: bool = False  # whether `call` calls what torch.compile made of the model
    words: Words | None = None  # None: not yet found, or nothing is attacked
    inputs: Any = None  # of the batch at hand
    shared: set[Path] = field(default_factory=set)  # where in the inputs no rows are, as batches have shown
    scale: Scale | None = None
    backwards: Callable[[Tensor], Any] | None = None
    vectors: Tensor | None = None

    @property
    def hooked_sites(self) -> HookedSites:
        """The dropout sites."""
        assert isinstance(self.sites, HookedSites)
        return self.sites

    def open(
        self,
        inputs: Any,
        labels: Tensor,
        scale: Scale | None,
        backward: Callable[[Tensor], Any] | None = None,
    ) -> Batch:
        """The batch at hand, as the forward stage takes it: ids and mask (B, T), labels."""
        self.inputs, self.scale, self.backwards = inputs, scale, backward
        self.shared |= shared_of(inputs, len(labels))
        rows = torch.arange(len(labels), device=labels.device)
        if self.words is None:
            self.vectors = torch.zeros(len(labels), 1, 1, device=labels.device)
            self.hooked_sites.positions.valid = valid_of(inputs, len(labels), self.mask)
            everything = torch.ones(len(labels), 1, dtype=torch.bool, device=labels.device)
            return Batch(rows[:, None], everything, labels, rows)
        look = lambda: called(self.model, self.call, inputs)  # noqa: E731
        tokens, self.vectors = self.words.listen(look, tensors(inputs), len(labels))
        self.hooked_sites.time_major = self.words.time_major
        padding = getattr(self.words.module, "padding_idx", None)
        mask = self.hooked_sites.positions.valid = mask_of(inputs, tokens, padding, self.mask)
        return Batch(tokens, mask, labels, rows)

    def close(self) -> None:
        """Nothing of the batch is kept."""
        if self.words is not None:
            self.words.repeated = None
        self.inputs = self.scale = self.backwards = self.vectors = self.hooked_sites.positions.valid = None

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, T, D) the word vectors of the batch at hand."""
        assert self.vectors is not None
        return self.vectors

    def descend(self, loss: Tensor, retain_graph: bool = False) -> None:
        """The backward pass of a part of the loss, divided and scaled."""
        sites = self.hooked_sites
        sites.unit = None
        if self.share > 1 or self.scale is not None or self.backwards is not None:
            # Whoever scales the loss: what comes back to it first is the factor.
            loss.register_hook(lambda factor: setattr(sites, "unit", factor))
        if self.share > 1:
            loss = loss / self.share
        # Autocast is for forward passes; a backward pass takes its types from them.
        with torch.autocast(loss.device.type, enabled=False):
            if self.scale is not None:
                loss = self.scale(loss)
            if self.backwards is not None:
                self.backwards(loss)
            else:
                loss.backward(retain_graph=retain_graph)

    def gradient_at(self, point: Tensor, loss: Tensor) -> Tensor:
        """d loss / d point by the factor of the clean pass before it: in 16 bits a smaller one underflows."""
        with torch.autocast(loss.device.type, enabled=False):
            found = gradients(loss, [point], self.hooked_sites.unit)[0]
        return torch.zeros_like(point) if found is None else found

    def classify(self, x: Tensor, mask: Tensor, passes: int) -> Tensor:
        """`passes` passes over the vectors x (B, T, D) -> logits (passes, B, C)."""
        if passes <= self.at_once:
            return self._run(x, 0, passes)
        return pass_by_pass(self.model, self._run, x, passes, self.at_once)

    def _run(self, x: Tensor, first: int, last: int) -> Tensor:
        """Passes first .. last - 1 of those planned, as one batch."""
        rows, count = len(x), last - first
        inputs = repeated(self.inputs, rows, count, self.shared)
        vectors = x if count == 1 else x.repeat(count, 1, 1)
        put_in = nullcontext() if self.words is None else self.words.replaced(vectors)
        if self.words is not None:
            self.words.repeated = vectors  # a pass's backward pass comes before the next pass
        with self.hooked_sites.forward(count * rows, first, last), put_in:
            output = called(self.model, self.call, inputs)
        # Wide here already: the gradients of loss and divergence are added up before they are narrowed.
        return wide(logits_of(output, count * rows)).unflatten(0, (count, rows))
