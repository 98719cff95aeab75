"""The training run of one cell: epochs, selection on validation, predictions."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from zoo.core.batch import Batch
from zoo.core.errors import UserError
from zoo.core.measures import Outcome, accuracy
from zoo.method.contract import TextClassifier
from zoo.method.step import first_pass, prepare
from zoo.text import Corpus, Split, batches
from zoo.training.ensemble import Ensemble
from zoo.training.graphs import GraphedSteps, Recorder, why_not_recorded
from zoo.training.robustness import ATTACK, MOST_ROWS, attacked_logits
from zoo.training.settings import CellFailed, CellSettings
from zoo.training.steps import OrdinarySteps, Steps

# Called after every epoch with the share of the cell that is done (1 wherever it stops) and the epoch's entry
# of the curve.
Progress = Callable[[float, dict[str, Any]], None]
ATTACKED_BATCH = 64


class Run:
    """The state of one training run: model, steps, curve, best weights."""

    def __init__(
        self,
        model: TextClassifier,
        seed: int,
        settings: CellSettings,
        corpus: Corpus,
        device: torch.device,
        recorder: Callable[[torch.Generator], Recorder] | None = None,
    ) -> None:
        """`recorder` makes what records steps for replay (`zoo.training.graphs`); None = ordinary steps."""
        self.seed, self.settings, self.device, self.corpus = seed, settings, device, corpus
        self.model: TextClassifier | Ensemble = model
        # A stream of its own for the masks: weights and batch order do not depend on the recipe.
        generator = torch.Generator(device).manual_seed(7_919 * seed + 1)
        self.trainee = prepare(model, settings.recipe, generator)
        parts = (self.trainee, settings.train, corpus.train, seed, device)
        replayed = recorder is not None and why_not_recorded(settings.recipe) is None
        self.steps: Steps = (
            GraphedSteps(*parts, recorder(generator)) if recorder and replayed else OrdinarySteps(*parts)
        )
        self.curve: list[dict[str, Any]] = []
        self.best_epoch, self.best_accuracy, self.best_weights = 0, -1.0, model.state_dict()
        self.train_seconds = self.evaluate_seconds = 0.0

    def fit(self, progress: Progress) -> None:
        """All epochs, or those until patience ends; leaves the model with the selected weights.

        The learning rate follows the schedule over all epochs, whether they are reached or not.

        Raises:
            CellFailed: the loss is not finite.
            UserError: there is no validation part, and the settings select by it.
        """
        train, score = self.settings.train, math.nan
        if not len(self.corpus.validation) and train.selection != "last":
            raise UserError("there are no validation rows to select by; expected some, or selection=last")
        self._first_pass()
        for epoch in range(1, train.epochs + 1):
            entry = self._epoch(epoch)
            if len(self.corpus.validation):
                entry["validation_accuracy"] = score = accuracy(self.predict(self.corpus.validation))
            self.curve.append(entry)
            if score > self.best_accuracy or train.selection == "last":
                self.best_epoch, self.best_accuracy = epoch, score
                self.best_weights = copy.deepcopy(self.model.state_dict())
            stops = 0 < train.patience <= epoch - self.best_epoch
            progress(1.0 if stops else epoch / train.epochs, entry)
            if stops:
                break
        self.model.load_state_dict(self.best_weights)

    def _first_pass(self) -> None:
        self.model.train()
        began = time.perf_counter()
        first_pass(
            self.trainee,
            batches(
                self.corpus.train, self.settings.train.batch_size, seed=self.seed, epoch=0,
                bucketed=self.settings.train.bucketed, words_per_sentence=self.model.line,
                device=self.device,
            ),
        )  # fmt: skip
        self.train_seconds += time.perf_counter() - began

    def _epoch(self, epoch: int) -> dict[str, Any]:
        self.model.train()
        if self.trainee.backward is not None:
            self.trainee.backward.new_epoch()
        began = time.perf_counter()
        rate, means = self.steps.epoch(epoch)
        self.train_seconds += time.perf_counter() - began
        entry = {"epoch": epoch, "learning_rate": rate, **by_site(means)}
        if not math.isfinite(entry["loss"]):
            raise CellFailed(f"the loss is {entry['loss']} in epoch {epoch}")
        return entry

    def predict(self, split: Split) -> Outcome:
        """What the model says of a split, in the order of the split."""
        began = time.perf_counter()
        shape = len(split), len(self.corpus.labels)
        logits = logits_of(self.model, self.steps.evaluation_batches(split), shape, self.device)
        outcome = _outcome(logits, split)
        self.evaluate_seconds += time.perf_counter() - began
        return outcome

    def attacked(self, split: Split) -> tuple[Outcome, dict[str, Any]]:
        """A seeded sample of the split under FGSM, and how it was attacked."""
        began = time.perf_counter()
        order = np.random.default_rng(0).permutation(len(split))[:MOST_ROWS]
        sample = split.take(np.sort(order))
        logits = torch.zeros(len(sample), len(self.corpus.labels), device=self.device)
        for batch in batches(
            sample, ATTACKED_BATCH, seed=0, epoch=0, shuffle=False, words_per_sentence=self.model.line,
            device=self.device,
        ):  # fmt: skip
            logits[batch.index] = attacked_logits(self.model, batch)
        self.evaluate_seconds += time.perf_counter() - began
        return _outcome(logits, sample), {**ATTACK, "rows": len(sample)}


def logits_of(
    model: TextClassifier | Ensemble, batches: Iterable[Batch], shape: tuple[int, int], device: torch.device
) -> torch.Tensor:
    """(n, C) logits of the n texts that the batches hold, each at its index; nothing is dropped."""
    model.eval()
    with torch.inference_mode():
        logits = torch.zeros(shape, device=device)
        for batch in batches:
            logits[batch.index] = model.classify(model.embed(batch.tokens), batch.mask)
    return logits


def probabilities_of(logits: torch.Tensor) -> np.ndarray:
    """(n, C) class probabilities, in double precision: close logits must not become equal."""
    found: np.ndarray = logits.double().softmax(1).cpu().numpy()
    return found


def _outcome(logits: torch.Tensor, split: Split) -> Outcome:
    return Outcome(probabilities_of(logits), np.asarray(split.labels))


def by_site(means: dict[str, float]) -> dict[str, Any]:
    """The terms of an epoch with the drop rates, drop_rate/<site>, in a dictionary of their own."""
    rates = {key.split("/", 1)[1]: means.pop(key) for key in list(means) if key.startswith("drop_rate/")}
    return means | ({"drop_rate": rates} if rates else {})
