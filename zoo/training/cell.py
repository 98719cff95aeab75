"""One cell of the grid: one training run, from a prepared corpus to a result of plain JSON types."""

from __future__ import annotations

import copy
import math
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import zoo
from zoo.method.step import prepare, train_step
from zoo.models import build_model
from zoo.recipes import Recipe
from zoo.results.store import encode_classes
from zoo.settings import ModelSettings, TrainSettings, as_dict
from zoo.text import Batch, Corpus, Split, TextSettings, batches, load_vectors
from zoo.training.optim import make_optimizer, make_schedule

EVALUATION_BATCH = 256


class CellFailed(Exception):
    """The cell cannot give a result; the grid records the reason and goes on."""


@dataclass(frozen=True)
class Cell:
    """Names of one training run."""

    corpus: str
    arch: str
    recipe: str
    seed: int
    fold: int | None = None  # under cross-validation only


@dataclass(frozen=True)
class CellSettings:
    """Everything resolved that decides a cell's result, beside the corpus itself."""

    recipe: Recipe
    model: ModelSettings
    train: TrainSettings
    text: TextSettings

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; hashed into the cell's name."""
        return {part: as_dict(getattr(self, part)) for part in ("recipe", "model", "train", "text")}


# Called after every epoch with the epoch's entry of the curve and the share of the cell that is done.
Progress = Callable[[float, dict[str, Any]], None]


def train_cell(
    cell: Cell,
    settings: CellSettings,
    corpus: Corpus,
    device: torch.device,
    progress: Progress = lambda share, entry: None,
) -> dict[str, Any]:
    """Train and evaluate one cell.

    All recipes of one (corpus, arch, seed) share the initial weights and the order of the batches, so
    their differences are paired. Selection sees the validation part alone; the test part is read once.

    Raises:
        CellFailed: the loss is not finite, or memory runs out.
    """
    started = time.perf_counter()
    train = settings.train
    vectors, vector_info = load_vectors(train.vectors, corpus, settings.model.embedding, cell.seed)
    model = build_model(
        cell.arch, len(corpus.words), len(corpus.labels), settings.model, cell.seed, vectors
    ).to(device)
    generator = torch.Generator(device).manual_seed(7_919 * cell.seed + 1)
    run = _Run(model, cell, settings, corpus, device, generator)
    try:
        run.fit(progress)
        predictions, logits_seconds = run.predict(corpus.test)
    except torch.cuda.OutOfMemoryError as error:
        raise CellFailed(f"out of memory: {str(error).splitlines()[0]}") from error
    truth = corpus.test.labels
    return {
        "curve": run.curve,
        "best_epoch": run.best_epoch,
        "validation_accuracy": run.best_accuracy,
        "test_accuracy": float((predictions == truth).mean()),
        "test_macro_f1": macro_f1(predictions, truth, len(corpus.labels)),
        "predictions": encode_classes(predictions),
        "truth": encode_classes(truth),
        "parameters": sum(p.numel() for p in model.parameters()),
        "vectors": vector_info,
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "seconds": {
            "total": time.perf_counter() - started,
            "train": run.train_seconds,
            "evaluate": run.evaluate_seconds + logits_seconds,
        },
        "step_seconds": run.mean_step(run.step_wall),
        "step_cpu_seconds": run.mean_step(run.step_cpu) if device.type == "cpu" else None,
        "peak_memory_mb": peak_memory_mb(device),
        "versions": versions(),
    }


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        model: nn.Module,
        cell: Cell,
        settings: CellSettings,
        corpus: Corpus,
        device: torch.device,
        generator: torch.Generator,
    ) -> None:
        self.model, self.cell, self.settings, self.device = model, cell, settings, device
        self.corpus = corpus
        self.trainee = prepare(model, settings.recipe, generator)
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
        for batch in self._batches(self.corpus.train, self.settings.train.batch_size, epoch):
            wall, cpu = time.perf_counter(), time.process_time()
            record = train_step(self.trainee, batch, self.optimizer)
            self.step_cpu.append(time.process_time() - cpu)
            self.step_wall.append(time.perf_counter() - wall)
            rate = self.schedule.get_last_lr()[0]
            self.schedule.step()
            del record["logits"]
            records.append(record)
        self.train_seconds += time.perf_counter() - began
        entry = {"epoch": epoch, "learning_rate": rate, **summarise(records)}
        if not math.isfinite(entry["loss"]):
            raise CellFailed(f"the loss is {entry['loss']} in epoch {epoch}")
        return entry

    def predict(self, split: Split) -> tuple[np.ndarray, float]:
        """Predicted classes (n,) in the order of the split, and the seconds it took."""
        self.model.eval()
        began = time.perf_counter()
        predictions = np.zeros(len(split), dtype=np.int64)
        with torch.inference_mode():
            for batch in self._batches(split, EVALUATION_BATCH, epoch=0, shuffle=False):
                logits = self.model.classify(self.model.embed(batch.tokens), batch.mask)  # type: ignore[operator]
                predictions[batch.index.cpu().numpy()] = logits.argmax(1).cpu().numpy()
        return predictions, time.perf_counter() - began

    def _batches(self, split: Split, size: int, epoch: int, shuffle: bool = True) -> Iterator[Batch]:
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


def macro_f1(predictions: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Mean over the classes that occur in either of 2 TP / (2 TP + FP + FN)."""
    hits = np.bincount(truth[predictions == truth], minlength=classes)
    total = np.bincount(truth, minlength=classes) + np.bincount(predictions, minlength=classes)
    return float((2 * hits[total > 0] / total[total > 0]).mean())


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory of the device's allocator, or of the whole process so far on a CPU, in MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def describe_device(device: torch.device) -> str:
    """Name of the device, for the record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()})"


def versions() -> dict[str, str]:
    """Versions that can change a result."""
    return {
        "uegr": zoo.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }


def cell_dict(cell: Cell) -> dict[str, Any]:
    """The cell's names as plain JSON types."""
    return asdict(cell)
