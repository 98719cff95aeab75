"""The gradient of an embedding table in a buffer that is kept from step to step.

autograd makes a fresh V x D tensor of zeros at every step, of which a batch fills a few per cent. Here only
the rows that the last step touched are cleared, and the new ones added. What the optimizer finds in `.grad`
is the same dense gradient.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.fast.rows import Rows
from zoo.fast.shapes import fixed_shapes


class WordGradient:
    """Adds gradients of looked-up vectors to `table.weight.grad`, as autograd would."""

    def __init__(self) -> None:
        self.buffer: Tensor | None = None
        self.rows: list[Tensor] = []  # all rows of the buffer that are not zero
        self.version = -1  # the buffer's, when `rows` was last known to be all
        self.tokens: list[Tensor] = []  # all that was looked up since the buffer was cleared
        self.added = -1  # the buffer's version after the last `add`

    def __deepcopy__(self, memo: dict[int, Any]) -> WordGradient:
        return WordGradient()

    def __reduce__(self) -> tuple[type[WordGradient], tuple[()]]:
        return WordGradient, ()

    @torch.no_grad()
    def add(self, table: nn.Embedding, tokens: Tensor, gradient: Tensor) -> None:
        """table.weight.grad += the sum over places of `gradient` (B, T, D) at the words `tokens` (B, T)."""
        weight, rows = table.weight, tokens.flatten()
        if weight.grad is None:
            weight.grad = self._cleared(weight)
        with keeps_zero_rows(weight.grad):
            if table.padding_idx is not None:
                padding = weight.grad[table.padding_idx].clone()
            weight.grad.index_add_(0, rows, gradient.flatten(0, -2))
            if table.padding_idx is not None:
                weight.grad[table.padding_idx] = padding
        if fixed_shapes(tokens):
            self.version = -1  # all of it is cleared next time, which costs a GPU next to nothing
        elif weight.grad is self.buffer:
            self.rows.append(rows.unique())
        if weight.grad is self.buffer:
            self.tokens.append(rows)
            self.added = weight.grad._version

    def touched(self, weight: Tensor) -> Rows | None:
        """The rows of the table's gradient that can be non-zero; None where others have written to it too."""
        if weight.grad is None or weight.grad is not self.buffer or weight.grad._version != self.added:
            return None
        return Rows.of(torch.cat(self.tokens))

    def _cleared(self, weight: Tensor) -> Tensor:
        """The buffer, all zero."""
        old = self.buffer
        if (
            old is None
            or old.shape != weight.shape
            or old.dtype != weight.dtype
            or old.device != weight.device
        ):
            self.buffer = torch.zeros_like(weight)
            self.buffer._keeper = weakref.ref(self)  # type: ignore[attr-defined]
        elif self.version == old._version:
            for rows in self.rows:
                old.index_fill_(0, rows, 0)
        else:  # somebody else wrote to it
            old.zero_()
        assert self.buffer is not None
        self.rows, self.tokens, self.version = [], [], self.buffer._version
        return self.buffer


def taken_out(parameters: Iterable[nn.Parameter]) -> list[tuple[nn.Parameter, Tensor]]:
    """The gradients that are there, which are none afterwards; a kept buffer is copied, as it is refilled."""
    found = [(p, p.grad) for p in parameters if p.grad is not None]
    for p, _ in found:
        p.grad = None
    return [(p, gradient.clone() if hasattr(gradient, "_keeper") else gradient) for p, gradient in found]


def fresh_gradient(table: nn.Embedding, tokens: Tensor, gradient: Tensor) -> Tensor:
    """(V, D) by autograd, a fresh tensor: the slow twin of `WordGradient.add` to a table without gradient."""
    (made,) = torch.autograd.grad(table(tokens), table.weight, gradient)
    return made


@contextmanager
def keeps_zero_rows(gradient: Tensor) -> Iterator[None]:
    """Edit a gradient in place, in a way that leaves every row alone that no word of the batch touched.

    Any other edit of a kept buffer is noticed by its version, and the whole buffer is cleared.
    """
    kept = getattr(gradient, "_keeper", None)
    keeper: WordGradient | None = None if kept is None else kept()
    known = keeper is not None and keeper.version == gradient._version
    yield
    if keeper is not None and known:
        keeper.version = gradient._version
