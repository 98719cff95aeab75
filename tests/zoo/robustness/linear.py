"""A network whose attacks have closed forms: logits linear in the mean of the word vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from zoo.core.batch import Batch
from zoo.text import Part
from zoo.training.words import Words

WORDS = ("good", "fine", "bad", "poor", "film", "plot", "the", "a")
# Two classes: the first two words speak for class 1, the next two for class 0.
VECTORS = np.array(
    [[1.0, 0.2], [0.9, 0.3], [-1.0, 0.1], [-0.9, 0.2], [0.1, 1.0], [0.0, 0.9], [0.0, 0.1], [0.1, 0.1]]
)


class Linear:
    """logits = (-s, s), s = weight . (sum of the vectors); an unknown word is the zero vector."""

    classes, language, unknown = ("neg", "pos"), "en", "zqxj"

    length = 1_000

    def __init__(self, weight: Sequence[float] = (2.0, 0.0)) -> None:
        self.weight = torch.tensor(weight, dtype=torch.float64)
        self.asked = 0

    def vectors(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, T, 2) and the mask (B, T) of the words."""
        words = [text.lower().split() or ["-"] for text in texts]
        longest = max(map(len, words))
        x, mask = torch.zeros(len(texts), longest, 2, dtype=torch.float64), torch.zeros(len(texts), longest)
        for i, own in enumerate(words):
            for j, word in enumerate(own):
                mask[i, j] = 1
                if word in WORDS:
                    x[i, j] = torch.from_numpy(VECTORS[WORDS.index(word)])
        return x, mask.bool()

    def classify(self, x: torch.Tensor) -> torch.Tensor:
        score = (x.sum(1) * self.weight).sum(1)
        return torch.stack([-score, score], 1)

    def logits(self, part: Part) -> np.ndarray:
        self.asked += len(part)
        return self.classify(self.vectors(part.pairs or part.texts)[0]).numpy()

    def words(self, part: Part, rows: int) -> Iterator[Words]:
        for first in range(0, len(part), rows):
            own = np.arange(first, min(first + rows, len(part)))
            x, mask = self.vectors([part.texts[i] for i in own])
            labels = torch.from_numpy(part.labels[own])
            tokens = mask.long()
            yield Words(Batch(tokens, mask, labels, torch.from_numpy(own)), x, self.classify)

    def table(self) -> tuple[list[str], np.ndarray]:
        return list(WORDS), VECTORS


def part(*texts: str, labels: Sequence[int] | None = None) -> Part:
    """Texts; the class is that of the words unless told."""
    found = [int("good" in t or "fine" in t) for t in texts] if labels is None else list(labels)
    return Part(list(texts), [], np.array(found))
