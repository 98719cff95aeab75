"""The words and the logits of any classifier as two calls, by one hook; for attacks and for evaluation.

Index letters: B examples, T tokens, D vector size, C outputs, R rows of a call (a multiple of B).
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from uegr.batches import Forward, Path, called, logits_of, mask_of, repeated, shared_of, tensors, unlabelled
from uegr.checks import check_module
from uegr.compiled import NO_LOOK, is_compiled, opened, renew
from uegr.dropouts import rate_attributes
from uegr.words import Words, named_embedding, seen_embedding
from zoo.core.errors import UserError


def adapt(
    model: nn.Module,
    inputs: Any = None,
    *,
    embedding: str | nn.Module | None = None,
    forward: Forward | None = None,
    mask: Callable[[Any], Tensor] | None = None,
) -> Adapted:
    """Word vectors and logits of `model` as `embed` and `classify`, until `Adapted.remove`.

    Any sequence classifier of Hugging Face, and any other module that `attach` takes. What the model does
    between the two stays its own; positions, segments and padding come from the inputs. A method may be
    attached to the same model, before or after.

        >>> import torch, uegr
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Embedding(20, 8), nn.Flatten(), nn.Linear(32, 2))
        >>> texts, labels = torch.randint(20, (64, 4)), torch.randint(2, (64,))
        >>> adapted = uegr.adapt(model)
        >>> vectors = adapted.embed(texts).detach().requires_grad_()     # accuracy under FGSM, five lines
        >>> loss = nn.functional.cross_entropy(adapted.classify(vectors, texts), labels)
        >>> gradient, = torch.autograd.grad(loss, vectors)
        >>> delta = uegr.perturbation(gradient, adapted.mask(texts), epsilon=0.1)
        >>> accuracy = (adapted.classify(vectors + delta, texts).argmax(1) == labels).float().mean()
        >>> bool((model(texts) == adapted.classify(adapted.embed(texts), texts)).all())
        True

    Args:
        model: gives logits (B, C): as a tensor, as `.logits`, or by `forward`.
        inputs: a batch to look for the embedding with, at once; None: the first one that is asked for.
        embedding, forward, mask: as those of `attach`.

    Raises:
        UserError: a model that does not fit; one line that says what would.
    """
    compiled, model, forward = opened(model, forward)
    if isinstance(model, nn.parallel.DistributedDataParallel):
        compiled, model, forward = opened(model.module, forward)
    check_module(model)
    found = named_embedding(model, embedding)
    adapted = Adapted(model, None if found is None else Words(*found), forward, mask, compiled)
    if inputs is not None:
        try:
            adapted.mask(inputs)
        except BaseException:
            adapted.remove()
            raise
    return adapted


class Adapted:
    """A model seen as words -> vectors -> logits; `adapt` makes it.

    `inputs` of every call: a mapping of the model's arguments (`labels` among them are left out), a tuple of
    them, or one tensor. Training or evaluation is as the model's own mode says.
    """

    def __init__(
        self,
        model: nn.Module,
        words: Words | None,
        forward: Forward | None,
        mask: Callable[[Any], Tensor] | None,
        compiled: bool = False,
    ) -> None:
        self.model, self.words = model, words
        self._forward, self._mask, self._removed = forward, mask, False
        self._compiled, self._renewed = compiled, False
        self._shared: set[Path] = set()  # where in the inputs no rows are, as batches have shown

    def embed(self, inputs: Any) -> Tensor:
        """(B, T, D) word vectors, in the graph of the model's table; before positions and any dropout.

        Raises:
            UserError: `remove` was called, or the model does not look up these inputs once.
        """
        return self._looked_up(*unlabelled(inputs))[1]

    def classify(self, vectors: Tensor, inputs: Any) -> Tensor:
        """Vectors (R, T, D) in place of the words' -> logits (R, C), in float type of the model's.

        Args:
            vectors: of the inputs' B rows, or of R = n * B: n versions of the batch, one after the other.

        Raises:
            UserError: vectors that do not fit the inputs; else as `embed`.
        """
        inputs, rows = unlabelled(inputs)
        self._shared |= shared_of(inputs, rows)
        words = self._found(inputs)
        times, rest = divmod(len(vectors), rows)
        if rest or not times:
            raise UserError(
                f"vectors of {len(vectors)} rows for inputs of {rows}: expected as many, or a multiple"
            )
        if not words.heard:
            self._looked_up(inputs, rows)
        with words.replaced(vectors):
            output = called(self.model, self._forward, repeated(inputs, rows, times, self._shared))
        return logits_of(output, len(vectors))

    def mask(self, inputs: Any) -> Tensor:
        """(B, T) bool, True = a word that may be attacked; False at padding."""
        inputs, rows = unlabelled(inputs)
        with torch.no_grad():
            tokens, _ = self._looked_up(inputs, rows)
        padding = getattr(self._found(inputs).module, "padding_idx", None)
        return mask_of(inputs, tokens, padding, self._mask)

    def describe(self) -> str:
        """Where the words are, and what drops; at most 80 columns."""
        words = "looked for at the first call"
        if self.words is not None:
            kind = type(self.words.module).__name__
            order = ", called with ids (T, B)" if self.words.time_major else ""
            words = f"the output of {self.words.name or 'the model'} ({kind}){order}"
        rates = [m for m in self.model.modules() if any(getattr(m, n) > 0 for n in rate_attributes(m))]
        parts = {
            "model": type(self.model).__name__,
            "words": words,
            "dropout": f"{len(rates)} modules with a rate, in training mode; none in evaluation mode",
        }
        lines = (f"{name:9}{text}" for name, text in parts.items())
        return "\n".join(textwrap.fill(line, 80, subsequent_indent=" " * 9) for line in lines)

    def remove(self) -> None:
        """Take the hook out; the model is as it was."""
        if self.words is not None:
            self.words.remove()
        if self._renewed:
            renew([])
        self._removed = True

    def _found(self, inputs: Any) -> Words:
        if self._removed:
            raise UserError("adapted model: `remove` was called; expected uegr.adapt(model) once more")
        if self.words is None:
            if self._compiled or is_compiled(self.model):
                raise UserError(NO_LOOK.format(type(self.model).__name__))
            look = lambda: called(self.model, self._forward, inputs)  # noqa: E731
            self.words = Words(*seen_embedding(self.model, look, tensors(inputs)))
        if not self._renewed and (self._compiled or is_compiled(self.model)):
            renew([self.words])
            self._renewed = True
        return self.words

    def _looked_up(self, inputs: Any, rows: int) -> tuple[Tensor, Tensor]:
        words = self._found(inputs)
        return words.listen(lambda: called(self.model, self._forward, inputs), tensors(inputs), rows)
