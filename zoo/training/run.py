"""The training run of one cell: epochs, selection on validation, predictions."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.method.step import prepare, train_step
from zoo.models import TextClassifier
from zoo.text import Batch, Corpus, Split, batches
from zoo.training.optim import make_optimizer, make_schedule
from zoo.training.robustness import ATTACK, MOST_ROWS, attacked_accuracy
from zoo.training.settings import Cell, CellFailed, CellSettings

EVALUATION_BATCH = 256

# Called after every epoch with the epoch's entry of the curve and the share of the cell that is done.
Progress = Callable[[float, dict[str, Any]], None]


class Run:
    """The state of one training run: model, optimizer, schedule, curve, best weights."""

    def __init__(
        self,
        model: TextClassifier,
        cell: Cell,
        settings: CellSettings,
        corpus: Corpus,
        device: torch.device,
    ) -> None:
        self.model, self.cell, self.settings, self.device = model, cell, settings, device
        self.corpus = corpus
        # A stream of its own for the masks: weights and batch order do not depend on the recipe.
        self.trainee = prepare(
            model, settings.recipe, torch.Generator(device).manual_seed(7_919 * cell.seed + 1)
        )
        self.optimizer = make_optimizer(model, settings.train)
        steps = math.ceil(len(corpus.train) / settings.train.batch_size) * settings.train.epochs
        self.schedule = make_schedule(self.optimizer, steps, settings.train.warmup)
        self.curve: list[dict[str, Any]] = []
        self.best_epoch, self.best_accuracy, self.best_weights = 0, -1.0, model.state_dict()
        self.step_wall: list[float] = []
        self.step_cpu: list[float] = []
        self.train_seconds = self.evaluate_seconds = 0.0

    def fit(self, progress: Progress) -> None:
        """All epochs; leaves the model with the selected weights."""
        epochs = self.settings.train.epochs
        for epoch in range(1, epochs + 1):
            entry = self._epoch(epoch)
            predictions, seconds = self.predict(self.corpus.validation)
            self.evaluate_seconds += seconds
            accuracy = float((predictions == self.corpus.validation.labels).mean())
            entry["validation_accuracy"] = accuracy
            self.curve.append(entry)
            if accuracy > self.best_accuracy or self.settings.train.selection == "last":
                self.best_epoch, self.best_accuracy = epoch, accuracy
                self.best_weights = copy.deepcopy(self.model.state_dict())
            progress(epoch / epochs, entry)
        self.model.load_state_dict(self.best_weights)

    def _epoch(self, epoch: int) -> dict[str, Any]:
        self.model.train()
        if self.trainee.selective is not None:
            self.trainee.selective.new_epoch()
        records: list[dict[str, Tensor]] = []
        began = time.perf_counter()
        for batch in self.batches(self.corpus.train, self.settings.train.batch_size, epoch):
            rate = self.schedule.get_last_lr()[0]
            records.append(self.step(batch))
        self.train_seconds += time.perf_counter() - began
        entry = {"epoch": epoch, "learning_rate": rate, **summarise(records)}
        if not math.isfinite(entry["loss"]):
            raise CellFailed(f"the loss is {entry['loss']} in epoch {epoch}")
        return entry

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One training step with its timing; returns the step's record."""
        wall, cpu = time.perf_counter(), time.process_time()
        record = train_step(self.trainee, batch, self.optimizer)
        self.step_cpu.append(time.process_time() - cpu)
        self.step_wall.append(time.perf_counter() - wall)
        self.schedule.step()
        del record["logits"]
        return record

    def predict(self, split: Split) -> tuple[np.ndarray, float]:
        """Predicted classes (n,) in the order of the split, and the seconds it took."""
        self.model.eval()
        began = time.perf_counter()
        predictions = np.zeros(len(split), dtype=np.int64)
        with torch.inference_mode():
            for batch in self.batches(split, EVALUATION_BATCH, epoch=0, shuffle=False):
                logits = self.model.classify(self.model.embed(batch.tokens), batch.mask)
                predictions[batch.index.cpu().numpy()] = logits.argmax(1).cpu().numpy()
        return predictions, time.perf_counter() - began

    def attacked(self, split: Split) -> tuple[dict[str, Any], float]:
        """Accuracy of a seeded sample of the split under FGSM, with what was done, and the seconds."""
        began = time.perf_counter()
        order = np.random.default_rng(0).permutation(len(split))[:MOST_ROWS]
        sample = split.take(np.sort(order))
        accuracy = attacked_accuracy(self.model, self.batches(sample, 64, epoch=0, shuffle=False))
        return {**ATTACK, "rows": len(sample), "accuracy": accuracy}, time.perf_counter() - began

    def batches(self, split: Split, size: int, epoch: int, shuffle: bool = True) -> Iterator[Batch]:
        """Batches of a split as this arch wants them laid out."""
        by_sentence = self.settings.model.words_per_sentence if self.cell.arch == "han" else 0
        return batches(
            split, size, seed=self.cell.seed, epoch=epoch, shuffle=shuffle,
            bucketed=self.settings.train.bucketed, words_per_sentence=by_sentence, device=self.device,
        )  # fmt: skip

    @staticmethod
    def mean_step(times: list[float]) -> float:
        """Mean seconds of a step, the first few (warming up) left out; lengths differ, so no median."""
        return float(np.mean(times[min(5, len(times) - 1) :]))


def summarise(records: list[dict[str, Tensor]]) -> dict[str, Any]:
    """Mean over an epoch's steps of every recorded term; one transfer from the device a term."""
    means = {key: float(torch.stack([r[key] for r in records]).mean()) for key in records[0]}
    rates = {key.split("/", 1)[1]: means.pop(key) for key in list(means) if key.startswith("drop_rate/")}
    return means | ({"drop_rate": rates} if rates else {})
