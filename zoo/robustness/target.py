"""A trained network as what an examination asks of it: logits of texts, and the word vectors behind them.

Index letters: n texts, B examples, T tokens, D vector size, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch

from zoo.classifier.network import Network
from zoo.core.batch import Batch
from zoo.core.errors import UserError
from zoo.core.names import is_pretrained
from zoo.method.contract import TextClassifier
from zoo.text import Part, Split, batches
from zoo.text.encode import Encoder
from zoo.training.ensemble import Ensemble
from zoo.training.run import logits_of
from zoo.training.steps import EVALUATION_BATCH
from zoo.training.words import Words

# What no vocabulary is likely to have; the first one that it has not stands for an unknown word.
_UNKNOWN = {"en": ("zqxj", "qzzxk", "xqqjz"), "zh": ("龘", "麤", "鱻")}


class Target(Protocol):
    """A network in evaluation mode.

    unknown: a word that it does not know; empty: it knows all. length: tokens at which it cuts a text.
    """

    classes: tuple[str, ...]
    language: str
    unknown: str
    length: int

    def logits(self, part: Part) -> np.ndarray:
        """(n, C) float64, in the order of the texts."""

    def words(self, part: Part, rows: int) -> Iterator[Words]:
        """All texts, at most `rows` at a time; `batch.index` says which."""

    def table(self) -> tuple[list[str], np.ndarray]:
        """Its whole words, and their own vectors (words, D)."""

    def close(self) -> None:
        """Leave the network as it was."""


def target_of(network: Network) -> Target:
    """A saved model as a target."""
    classes = [str(name) for name in network.classes.tolist()]
    reader: Any = network.reader
    if not is_pretrained(network.about.arch):
        return ZooTarget(network.model, reader, classes)
    from zoo.pretrained.target import PretrainedTarget

    language = network.about.data["language"]
    return PretrainedTarget(network.model, reader.encoder, reader.max_length, classes, language)


class ZooTarget:
    """A network of the zoo's models, or several that vote, with the reader of its texts."""

    def __init__(self, model: TextClassifier | Ensemble, reader: Encoder, classes: Sequence[str]) -> None:
        self.model, self.reader = model.eval(), reader
        self.classes, self.language = tuple(map(str, classes)), reader.language
        self.length = reader.max_length
        known = set(reader.words)
        self.unknown = next(word for word in _UNKNOWN[reader.language] if word not in known)

    def logits(self, part: Part) -> np.ndarray:
        """See `Target`."""
        split = self._read(part)
        shape = len(split), len(self.classes)
        own = self._batches(split, EVALUATION_BATCH)
        found: np.ndarray = logits_of(self.model, own, shape, torch.device("cpu")).double().numpy()
        return found

    def words(self, part: Part, rows: int) -> Iterator[Words]:
        """See `Target`."""
        for batch in self._batches(replace(self._read(part), labels=part.labels), rows):
            x = self.model.embed(batch.tokens).detach()
            yield Words(batch, x, lambda vectors, mask=batch.mask: self.model.classify(vectors, mask))  # type: ignore[misc]

    def table(self) -> tuple[list[str], np.ndarray]:
        """See `Target`."""
        with torch.no_grad():
            vectors = self.model.embed(torch.arange(len(self.reader.words))[None])[0]
        return list(self.reader.words[2:]), vectors[2:].numpy()

    def close(self) -> None:
        """See `Target`."""

    def _read(self, part: Part) -> Split:
        if part.pairs:
            raise UserError("texts are pairs: this network reads single texts; expected no text_pair")
        return self.reader.encode(part.texts)

    def _batches(self, split: Split, rows: int) -> Iterator[Batch]:
        return batches(split, rows, seed=0, epoch=0, shuffle=False, words_per_sentence=self.model.line)
