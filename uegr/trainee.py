"""Any model as a forward stage of the zoo sees it: its own forward pass, with other word vectors put in.

Index letters: K passes, B examples, T tokens, D vector size, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from uegr.batches import Forward, called, logits_of, mask_of, repeated, tensors
from uegr.dropouts import HookedSites
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
    words: Words | None = None  # None: not yet found, or nothing is attacked
    inputs: Any = None  # of the batch at hand
    scale: Scale | None = None
    vectors: Tensor | None = None

    @property
    def hooked_sites(self) -> HookedSites:
        """The dropout sites."""
        assert isinstance(self.sites, HookedSites)
        return self.sites

    def open(self, inputs: Any, labels: Tensor, scale: Scale | None) -> Batch:
        """The batch at hand, as the forward stage takes it: ids and mask (B, T), labels."""
        self.inputs, self.scale = inputs, scale
        one = torch.full((), 1 / self.share, device=labels.device)
        whole = scale is None and self.share == 1
        self.hooked_sites.unit = None if whole else one if scale is None else scale(one)
        rows = torch.arange(len(labels), device=labels.device)
        if self.words is None:
            self.vectors = torch.zeros(len(labels), 1, 1, device=labels.device)
            everything = torch.ones(len(labels), 1, dtype=torch.bool, device=labels.device)
            return Batch(rows[:, None], everything, labels, rows)
        look = lambda: called(self.model, self.call, inputs)  # noqa: E731
        tokens, self.vectors = self.words.listen(look, tensors(inputs), len(labels))
        padding = getattr(self.words.module, "padding_idx", None)
        return Batch(tokens, mask_of(inputs, tokens, padding, self.mask), labels, rows)

    def close(self) -> None:
        """Nothing of the batch is kept."""
        self.inputs = self.scale = self.vectors = None

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, T, D) the word vectors of the batch at hand."""
        assert self.vectors is not None
        return self.vectors

    def descend(self, loss: Tensor, retain_graph: bool = False) -> None:
        """The backward pass of a part of the loss, divided and scaled."""
        if self.share > 1:
            loss = loss / self.share
        # Autocast is for forward passes; a backward pass takes its types from them.
        with torch.autocast(loss.device.type, enabled=False):
            (loss if self.scale is None else self.scale(loss)).backward(retain_graph=retain_graph)

    def classify(self, x: Tensor, mask: Tensor, passes: int) -> Tensor:
        """`passes` passes over the vectors x (B, T, D) -> logits (passes, B, C)."""
        rows, found = len(x), []
        for first in range(0, passes, self.at_once):
            count = min(self.at_once, passes - first)
            inputs = repeated(self.inputs, rows, count)
            vectors = x if count == 1 else x.repeat(count, 1, 1)
            put_in = nullcontext() if self.words is None else self.words.replaced(vectors)
            with self.hooked_sites.forward(count * rows, first, first + count), put_in:
                output = called(self.model, self.call, inputs)
            found.append(logits_of(output, count * rows).unflatten(0, (count, rows)))
        return found[0] if len(found) == 1 else torch.cat(found)
