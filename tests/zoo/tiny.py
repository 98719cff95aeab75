"""Tiny problems that every architecture and every recipe trains on: batches and a corpus of 20 words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zoo.core.batch import Batch
from zoo.core.records import Settings
from zoo.core.result import Cell, Result
from zoo.method.contract import TextClassifier
from zoo.models import MODELS, build_model
from zoo.recipes import RECIPES
from zoo.text import Corpus, Split, TextSettings
from zoo.training import run
from zoo.training.cell import Trained, train_cell, write_weights
from zoo.training.settings import CellSettings, TrainSettings

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


def part(rows: int, seed: int) -> Split:
    """Texts of 3 to 8 words; the class is that of the first word."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 9, rows)
    ids = rng.integers(2, WORDS, lengths.sum()).astype(np.int32)
    offsets = np.concatenate([[0], lengths.cumsum()])
    starts = np.zeros(len(ids), bool)
    starts[offsets[:-1]] = True
    return Split(ids, offsets, (ids[offsets[:-1]] % CLASSES).astype(np.int64), starts)


def corpus(**parts: Split) -> Corpus:
    """120 texts to train on, 40 to validate, 60 to test, or the parts given."""
    words = ("<pad>", "<unk>", *(f"w{i}" for i in range(2, WORDS)))
    own = {"train": part(120, 0), "validation": part(40, 1), "test": part(60, 2), **parts}
    return Corpus(
        name="toy", language="en", labels=("a", "b", "c"), words=words, fingerprint="0", notes=(), **own
    )


def cell_settings(recipe: str = "uegr", arch: str = "textcnn", **train: Any) -> CellSettings:
    """Settings of a cell of two epochs; `train` changes those of the training."""
    options = {"epochs": 2, "learning_rate": 0.02, **train}
    return CellSettings(RECIPES[recipe], sizes(arch), TrainSettings(**options), TextSettings())


def run_cell(
    recipe: str = "uegr", arch: str = "textcnn", seed: int = 0, keep: Path | None = None, **train: Any
) -> Result:
    """The result of a cell of the tiny corpus."""
    head = Result("name", Cell("toy", arch, recipe, seed), "failed")
    chosen = cell_settings(recipe, arch, **train)

    def write(trained: Trained) -> None:
        if keep is not None:
            write_weights(trained.run.model.state_dict(), keep)

    return train_cell(head, chosen, corpus(), torch.device("cpu"), keep=write)


def scores(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Validation accuracies to come."""
    coming = iter(values)
    monkeypatch.setattr(run, "accuracy", lambda outcome: next(coming))
