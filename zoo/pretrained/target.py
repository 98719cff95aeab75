"""A trained model of Hugging Face as an examination sees it (`zoo.robustness.target.Target`).

Index letters: n texts, B examples, T tokens, D vector size, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from uegr.adapted import Adapted, adapt
from zoo.core.batch import Batch
from zoo.pretrained.answers import logits_of
from zoo.pretrained.encoder import Encoder
from zoo.text.batching import batch_rows
from zoo.text.examples import Part
from zoo.training.words import Words


class PretrainedTarget:
    """A model of Hugging Face with its tokeniser; texts are cut at `length` of its tokens."""

    def __init__(
        self, model: nn.Module, encoder: Encoder, length: int, classes: Sequence[str], language: str
    ) -> None:
        self.model: Any = model.eval()
        self.encoder, self.length = encoder, length
        self.classes, self.language = tuple(classes), language
        self.adapted: Adapted = adapt(model)
        self.unknown = encoder.tokeniser.unk_token or ""

    def logits(self, part: Part) -> np.ndarray:
        """See there."""
        if not len(part):
            return np.zeros((0, len(self.classes)))
        data, cpu = self.encoder.encode(part, self.length), torch.device("cpu")
        with torch.inference_mode():
            logits = logits_of(
                data,
                lambda rows: self.encoder.batch(data, rows, cpu),
                lambda batch: self.model(**batch).logits,
            )
        found: np.ndarray = logits.double().numpy()
        return found

    def words(self, part: Part, rows: int) -> Iterator[Words]:
        """See there."""
        encoded = self.encoder.encode(part, self.length)
        for own in batch_rows(encoded.lengths, rows, seed=0, epoch=0, shuffle=False):
            inputs = self.encoder.batch(encoded, own, torch.device("cpu"))
            labels, index = torch.from_numpy(part.labels[own]), torch.from_numpy(own)
            batch = Batch(inputs["input_ids"], self.adapted.mask(inputs), labels, index)
            x = self.adapted.embed(inputs).detach()
            yield Words(batch, x, lambda vectors, inputs=inputs: self.adapted.classify(vectors, inputs))  # type: ignore[misc]

    def table(self) -> tuple[list[str], np.ndarray]:
        """See there. A piece is a whole word if it cannot go on one: by the marks of its tokeniser."""
        tokeniser = self.encoder.tokeniser
        pieces = sorted(tokeniser.get_vocab().items(), key=lambda item: item[1])
        marked = next((m for m in ("\u2581", "\u0120") if any(p.startswith(m) for p, _ in pieces)), "")
        special = set(tokeniser.all_special_tokens)
        whole = [
            (piece.removeprefix(marked), number)
            for piece, number in pieces
            if piece not in special
            and (piece.startswith(marked) if marked else not piece.startswith("##"))
            and piece.removeprefix(marked).isalpha()
        ]
        weight = self.model.get_input_embeddings().weight.detach().float().numpy()
        return [word for word, _ in whole], weight[[number for _, number in whole]]

    def close(self) -> None:
        """See there: the hook is taken out of the model."""
        self.adapted.remove()
