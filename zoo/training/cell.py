"""One cell of the grid: from a prepared corpus to a result of plain JSON types."""

from __future__ import annotations

import platform
import resource
import sys
import time
from functools import partial
from typing import Any

import numpy as np
import torch

import zoo
from zoo.fast.memory import keep_freed_memory
from zoo.grid.store import encode_classes
from zoo.models import TextClassifier, build_model
from zoo.text import Corpus, load_vectors
from zoo.training.graphs import CudaRecorder
from zoo.training.run import Progress, Run
from zoo.training.settings import Cell, CellFailed, CellSettings


def train_cell(
    cell: Cell,
    settings: CellSettings,
    corpus: Corpus,
    device: torch.device,
    progress: Progress = lambda share, entry: None,
    graphs: bool = True,
) -> dict[str, Any]:
    """Train and evaluate one cell.

    All recipes of one (corpus, arch, seed) share the initial weights and the order of the batches, so
    their differences are paired. Selection sees the validation part alone; the test part is read once.
    On a GPU steps are replayed as CUDA graphs, unless `graphs` is off.

    Raises:
        CellFailed: the loss is not finite, or memory runs out.
    """
    started = time.perf_counter()
    if device.type == "cpu":
        keep_freed_memory()
    vectors, vector_info = load_vectors(settings.train.vectors, corpus, settings.model.embedding, cell.seed)
    model = make_model(cell, settings, corpus, vectors).to(device)
    recorder = partial(CudaRecorder, device) if graphs and device.type == "cuda" else None
    run = Run(model, cell, settings, corpus, device, recorder)
    try:
        run.fit(progress)
        predictions, seconds = run.predict(corpus.test)
        attacked, attack_seconds = run.attacked(corpus.test)
    except torch.cuda.OutOfMemoryError as error:
        raise CellFailed(f"out of memory: {str(error).splitlines()[0]}") from error
    truth = corpus.test.labels
    return {
        "curve": run.curve,
        "best_epoch": run.best_epoch,
        "validation_accuracy": run.best_accuracy,
        "test_accuracy": float((predictions == truth).mean()),
        "test_macro_f1": macro_f1(predictions, truth, len(corpus.labels)),
        "attacked": attacked,
        "predictions": encode_classes(predictions),
        "truth": encode_classes(truth),
        "parameters": sum(p.numel() for p in model.parameters()),
        "vectors": vector_info,
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "recorded": run.recorded is not None,
        "seconds": {
            "total": time.perf_counter() - started,
            "train": run.train_seconds,
            "evaluate": run.evaluate_seconds + seconds + attack_seconds,
        },
        "step_seconds": run.mean_step(run.step_wall),
        "step_cpu_seconds": run.mean_step(run.step_cpu) if device.type == "cpu" else None,
        "peak_memory_mb": peak_memory_mb(device),
        "versions": versions(),
    }


def make_model(
    cell: Cell, settings: CellSettings, corpus: Corpus, vectors: np.ndarray | None
) -> TextClassifier:
    """The cell's model with its initial weights, a function of (corpus, arch, seed) and the vectors."""
    return build_model(cell.arch, len(corpus.words), len(corpus.labels), settings.model, cell.seed, vectors)


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
