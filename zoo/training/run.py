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

from zoo.core.batch import Batch
from zoo.method.step import prepare, train_step
from zoo.models import TextClassifier
from zoo.text import Corpus, Split, batches
from zoo.training.graphs import GraphedSteps, Recorder, why_not_recorded
from zoo.training.optim import make_optimizer, make_schedule
from zoo.training.resident import Resident
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
        recorder: Callable[[torch.Generator], Recorder] | None = None,
    ) -> None:
        """`recorder` makes what records steps for replay (`zoo.training.graphs`); None = ordinary steps."""
        self.model, self.cell, self.settings, self.device = model, cell, settings, device
        self.corpus = corpus
        # A stream of its own for the masks: weights and batch order do not depend on the recipe.
        generator = torch.Generator(device).manual_seed(7_919 * cell.seed + 1)
        self.trainee = prepare(model, settings.recipe, generator)
        self.epoch_steps = math.ceil(len(corpus.train) / settings.train.batch_size)
        steps = self.epoch_steps * settings.train.epochs
        self.recorded: GraphedSteps | None = None
        if recorder is not None and why_not_recorded(settings.recipe) is None:
            train = Resident.of(corpus.train, device, self._line)
            self.recorded = GraphedSteps(self.trainee, settings.train, train, steps, recorder(generator))
            self.residents = {id(corpus.train): train}
        else:
            self.optimizer = make_optimizer(model, settings.train)
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
        began = time.perf_counter()
        rate, means = self._recorded_epoch(epoch) if self.recorded else self._ordinary_epoch(epoch)
        seconds = time.perf_counter() - began
        self.train_seconds += seconds
        if self.recorded:  # single steps cannot be timed without waiting for each
            self.step_wall.append(seconds / self.epoch_steps)
        entry = {"epoch": epoch, "learning_rate": rate, **by_site(means)}
        if not math.isfinite(entry["loss"]):
            raise CellFailed(f"the loss is {entry['loss']} in epoch {epoch}")
        return entry

    def _ordinary_epoch(self, epoch: int) -> tuple[float, dict[str, float]]:
        """Last learning rate, and the mean of every recorded term: one transfer from the device a term."""
        records = []
        for batch in self.batches(self.corpus.train, self.settings.train.batch_size, epoch):
            rate = self.schedule.get_last_lr()[0]
            records.append(self.step(batch))
        return float(rate), {key: float(torch.stack([r[key] for r in records]).mean()) for key in records[0]}

    def _recorded_epoch(self, epoch: int) -> tuple[float, dict[str, float]]:
        assert self.recorded is not None
        train = self.settings.train
        means = self.recorded.epoch(
            train.batch_size, seed=self.cell.seed, epoch=epoch, bucketed=train.bucketed
        )
        return self.recorded.learning_rates[self.recorded.done - 1], means

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
        with torch.inference_mode():
            predicted = torch.zeros(len(split), dtype=torch.int64, device=self.device)
            for batch in self._evaluation_batches(split):
                logits = self.model.classify(self.model.embed(batch.tokens), batch.mask)
                predicted[batch.index] = logits.argmax(1)
        return predicted.cpu().numpy(), time.perf_counter() - began

    def attacked(self, split: Split) -> tuple[dict[str, Any], float]:
        """Accuracy of a seeded sample of the split under FGSM, with what was done, and the seconds."""
        began = time.perf_counter()
        order = np.random.default_rng(0).permutation(len(split))[:MOST_ROWS]
        sample = split.take(np.sort(order))
        accuracy = attacked_accuracy(self.model, self.batches(sample, 64, epoch=0, shuffle=False))
        return {**ATTACK, "rows": len(sample), "accuracy": accuracy}, time.perf_counter() - began

    def _evaluation_batches(self, split: Split) -> Iterator[Batch]:
        """The split in large batches of similar lengths; from the device where steps are recorded."""
        if self.recorded is None:
            yield from self.batches(split, EVALUATION_BATCH, epoch=0, shuffle=False)
            return
        if id(split) not in self.residents:
            self.residents[id(split)] = Resident.of(split, self.device, self._line)
        resident = self.residents[id(split)]
        for index, width in resident.plan(EVALUATION_BATCH, shuffle=False):
            yield resident.batch(index, width)

    @property
    def _line(self) -> int:
        """Words a line of the arch's layout; 0 = running text."""
        return self.settings.model.words_per_sentence if self.cell.arch == "han" else 0

    def batches(self, split: Split, size: int, epoch: int, shuffle: bool = True) -> Iterator[Batch]:
        """Batches of a split as this arch wants them laid out."""
        return batches(
            split, size, seed=self.cell.seed, epoch=epoch, shuffle=shuffle,
            bucketed=self.settings.train.bucketed, words_per_sentence=self._line, device=self.device,
        )  # fmt: skip

    @staticmethod
    def mean_step(times: list[float]) -> float:
        """Mean seconds of a step, the first few (warming up) left out; lengths differ, so no median."""
        return float(np.mean(times[min(5, len(times) - 1) :]))


def by_site(means: dict[str, float]) -> dict[str, Any]:
    """The terms of an epoch with the drop rates, drop_rate/<site>, in a dictionary of their own."""
    rates = {key.split("/", 1)[1]: means.pop(key) for key in list(means) if key.startswith("drop_rate/")}
    return means | ({"drop_rate": rates} if rates else {})
