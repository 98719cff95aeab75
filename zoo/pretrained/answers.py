"""What a model of Hugging Face answers, to texts as they are and under attack.

Index letters: n texts, B examples, C outputs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uegr.adapted import Adapted, adapt
from uegr.objective import Labelled
from zoo.core.measures import Answers, Outcome, Scores
from zoo.pretrained.encoder import Encoded, Encoder, Inputs
from zoo.text.batching import batch_rows
from zoo.training.robustness import ATTACK, attacked_rows, constant, shift
from zoo.training.run import probabilities_of

EVALUATION_BATCH = 64


class Answering:
    """One classifier and the tokeniser that lays out its batches; `seconds` counts what the answers took.

    Args:
        model: gives `.logits` (B, C); C = 1 for a score, else classes.
    """

    def __init__(self, model: nn.Module, encoder: Encoder, device: torch.device) -> None:
        self.model, self.encoder, self.device = model, encoder, device
        self.seconds = 0.0

    def predict(self, data: Encoded) -> Answers:
        """What the model says of the texts, in their order."""
        with torch.inference_mode():
            return self._answers(data, lambda batch: self.model(**batch).logits)

    def attacked(self, data: Encoded) -> tuple[Answers, dict[str, Any]]:
        """A seeded sample of the texts under FGSM on their word vectors, and how it was attacked.

        The strength is that of `zoo.training.robustness`, for every recipe and model alike.
        """
        sample = data.take(attacked_rows(len(data)))
        words = adapt(self.model)
        try:
            answers = self._answers(sample, lambda batch: self._attacked_logits(words, batch), labelled=True)
        finally:
            words.remove()
        return answers, {**ATTACK, "rows": len(sample)}

    def labelled(self, data: Encoded, rows: np.ndarray) -> Inputs:
        """The model's arguments for these rows, `labels` (B,) among them: whole for classes, else float."""
        labels = torch.from_numpy(data.labels[rows]).to(self.device)
        labels = labels.float() if labels.is_floating_point() else labels
        return {**self.encoder.batch(data, rows, self.device), "labels": labels}

    def _attacked_logits(self, words: Adapted, batch: Inputs) -> Tensor:
        labels = batch["labels"]
        inputs = {name: own for name, own in batch.items() if name != "labels"}
        with constant(self.model):
            x = words.embed(inputs).detach().requires_grad_()
            loss = Labelled(problem="regression").losses(words.classify(x, inputs)[None], labels).sum()
            (gradient,) = torch.autograd.grad(loss, x)
        with torch.no_grad():
            return words.classify(x + shift(gradient, x, words.mask(inputs)), inputs)

    def _answers(self, data: Encoded, logits: Callable[[Inputs], Tensor], labelled: bool = False) -> Answers:
        began = time.perf_counter()

        def batch(rows: np.ndarray) -> Inputs:
            return self.labelled(data, rows) if labelled else self.encoder.batch(data, rows, self.device)

        self.model.eval()
        found = logits_of(data, batch, logits)
        self.seconds += time.perf_counter() - began
        if found.shape[1] == 1:
            return Scores(found[:, 0].double().cpu().numpy(), data.labels)
        return Outcome(probabilities_of(found), data.labels)


def logits_of(
    data: Encoded, batch: Callable[[np.ndarray], Inputs], logits: Callable[[Inputs], Tensor]
) -> Tensor:
    """(n, C) of n >= 1 texts, in their order, in batches of texts of about one length.

    batch: the model's arguments for rows. logits: (B, C) of such a batch.
    """
    found = None
    for rows in batch_rows(data.lengths, EVALUATION_BATCH, seed=0, epoch=0, shuffle=False, bucketed=True):
        own = logits(batch(rows)).detach()
        if found is None:
            found = own.new_zeros(len(data), own.shape[1])
        found[torch.from_numpy(rows)] = own
    assert found is not None
    return found
