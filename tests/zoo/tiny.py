"""One tiny problem that every architecture and every recipe trains on: 3 classes, 24 texts, 20 words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from zoo.core.batch import Batch
from zoo.core.records import Settings
from zoo.method.contract import TextClassifier
from zoo.models import MODELS, build_model

CLASSES, WORDS = 3, 20
LINE = 4  # words a line of `han`
SIZES: dict[str, dict[str, Any]] = {
    "bilstm": {"embedding": 8, "hidden": 5, "layers": 2},
    "texthan": {"embedding": 8, "hidden": 5, "layers": 2},
    "textcnn": {"embedding": 8, "filters": 4, "widths": (1, 2, 5)},
    "han": {"embedding": 8, "hidden": 3, "words_per_sentence": LINE},
}


def sizes(arch: str, **changes: Any) -> Settings:
    """The sizes of a small model of this architecture."""
    return MODELS[arch].Sizes(**SIZES[arch] | changes)


def batch(lengths: Sequence[int] = (7, 3, 12, 1), seed: int = 0, padding: int = 0) -> Batch:
    """Random texts of these lengths; a text's class is its first word modulo CLASSES."""
    generator = torch.Generator().manual_seed(seed)
    width = max(lengths) + padding
    tokens = torch.zeros(len(lengths), width, dtype=torch.long)
    for row, length in enumerate(lengths):
        tokens[row, :length] = torch.randint(2, WORDS, (length,), generator=generator)
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    return Batch(tokens, mask, tokens[:, 0] % CLASSES, torch.arange(len(lengths)))


def model(arch: str, seed: int = 0, double: bool = True) -> TextClassifier:
    """A small model of this architecture, in float64 unless told."""
    built = build_model(arch, WORDS, CLASSES, sizes(arch), seed)
    return built.double() if double else built


def by_sentence(flat: Batch, padding: int = 0) -> Batch:
    """The same texts for `han`: one sentence of words_per_sentence tokens after the other, plus padding."""
    extra = -flat.tokens.shape[1] % LINE + padding * LINE
    pad = torch.nn.functional.pad
    return Batch(pad(flat.tokens, (0, extra)), pad(flat.mask, (0, extra)), flat.labels, flat.index)
