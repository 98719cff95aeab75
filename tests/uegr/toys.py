"""Small models of a user's, with torch's own modules alone, and their batches."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import uegr
from zoo.core.errors import UserError

WORDS, CLASSES = 20, 3
Batch = dict[str, Tensor]


class Toy(nn.Module):
    """Words, two dropout layers, a masked mean; called as models of Hugging Face are."""

    def __init__(self, rate: float = 0.3, outputs: int = CLASSES) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8, padding_idx=0)
        self.inner = nn.Linear(8, 6)
        self.early, self.late = nn.Dropout(rate), nn.Dropout(rate)
        self.last = nn.Linear(6, outputs)

    def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.early(self.inner(x).tanh())
        m = mask[:, :, None].to(h)
        return self.last(self.late((h * m).sum(1) / m.sum(1).clamp_min(1)))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return SimpleNamespace(logits=self.vectors_to_logits(self.words(input_ids), attention_mask))


def toy(seed: int = 0, **options: Any) -> Toy:
    """A toy in float64."""
    torch.manual_seed(seed)
    return Toy(**options).double()


def batch(seed: int = 0, rows: int = 4) -> Batch:
    """Texts of 1 to 7 words; a text's class is its first word modulo CLASSES."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 8, (rows, 1), generator=random)
    mask = torch.arange(7) < lengths
    ids = torch.randint(1, WORDS, (rows, 7), generator=random) * mask
    return {"input_ids": ids, "attention_mask": mask.long(), "labels": ids[:, 0] % CLASSES}


def adamw(model: nn.Module, **options: Any) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=0.01, **options)


def train(method: uegr.Method, seeds: range, clip: float | None = None) -> None:
    """A step a batch."""
    for seed in seeds:
        method.backward(batch(seed))
        if clip is not None:
            nn.utils.clip_grad_norm_(method.model.parameters(), clip)
        method.optimizer.step()
        method.optimizer.zero_grad()


def same(first: nn.Module, second: nn.Module, within: float = 0.0) -> bool:
    """Whether all weights are equal, bit for bit unless told."""
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(a, b) if within == 0 else torch.allclose(a, b, 0, within) for a, b in pairs)


def refused(run: Callable[[], Any], what: str) -> None:
    """`run` is refused by one line that says `what`."""
    with pytest.raises(UserError) as error:
        run()
    assert what in str(error.value)
    assert "\n" not in str(error.value)
