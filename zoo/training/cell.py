"""One cell of the grid: from a prepared corpus to a result."""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from zoo.core.result import DONE, CorpusInfo, Result, encode_classes, measures_of
from zoo.fast.memory import keep_freed_memory
from zoo.method.contract import TextClassifier
from zoo.models import build_model
from zoo.text import Corpus, load_vectors
from zoo.training.environment import machine, made_by, versions
from zoo.training.graphs import CudaRecorder
from zoo.training.run import Progress, Run
from zoo.training.settings import CellFailed, CellSettings


def train_cell(
    head: Result,
    settings: CellSettings,
    corpus: Corpus,
    device: torch.device,
    progress: Progress = lambda share, entry: None,
    graphs: bool = True,
    cache_dir: Path | None = None,
    keep: Path | None = None,
) -> Result:
    """Train and evaluate one cell.

    All recipes of one (corpus, arch, seed) share the initial weights and the order of the batches, so
    their differences are paired. Selection sees the validation part alone; the test part is read once.
    On a GPU steps are replayed as CUDA graphs, unless `graphs` is off.

    Args:
        head: what is known of the result before: id, cell, settings, corpus.
        keep: a file to write the selected weights to, in the safetensors format; None = not kept.

    Raises:
        CellFailed: the loss is not finite, or memory runs out.
    """
    started = time.perf_counter()
    if device.type == "cpu":
        keep_freed_memory()
    cell = head.cell
    vectors, vector_info = load_vectors(
        settings.train.vectors, corpus, settings.model.embedding, cell.seed, cache_dir=cache_dir  # type: ignore[attr-defined]
    )  # fmt: skip
    model = make_model(cell.arch, cell.seed, settings, corpus, vectors).to(device)
    recorder = partial(CudaRecorder, device) if graphs and device.type == "cuda" else None
    run = Run(model, cell.seed, settings, corpus, device, recorder)
    try:
        run.fit(progress)
        test = run.predict(corpus.test)
        attacked, how = run.attacked(corpus.test)
    except torch.cuda.OutOfMemoryError as error:
        raise CellFailed(f"out of memory: {str(error).splitlines()[0]}") from error
    if keep is not None:
        keep_weights(model, keep)
    wall, cpu = run.steps.times.mean_step()
    return replace(
        head,
        status=DONE,
        measures=measures_of({"test": test, "attacked": attacked}),
        validation_accuracy=run.best_accuracy,
        best_epoch=run.best_epoch,
        curve=tuple(run.curve),
        predictions=encode_classes(test.predictions),
        truth=encode_classes(test.truth),
        attacked={
            **how,
            "predictions": encode_classes(attacked.predictions),
            "truth": encode_classes(attacked.truth),
        },
        parameters=sum(p.numel() for p in model.parameters()),
        vectors=vector_info,
        machine=machine(device),
        recorded=run.steps.recorded,
        seconds={
            "total": time.perf_counter() - started,
            "train": run.train_seconds,
            "evaluate": run.evaluate_seconds,
        },
        step_seconds=wall,
        step_cpu_seconds=cpu if device.type == "cpu" else None,
        peak_memory_mb=peak_memory_mb(device),
        made_by=made_by(),
        versions=versions(),
    )


def make_model(
    arch: str, seed: int, settings: CellSettings, corpus: Corpus, vectors: np.ndarray | None
) -> TextClassifier:
    """The cell's model with its initial weights, a function of (corpus, arch, seed) and the vectors."""
    return build_model(arch, len(corpus.words), len(corpus.labels), settings.model, seed, vectors)


def keep_weights(model: TextClassifier, path: Path) -> None:
    """Write the weights under a temporary name and rename it: they are there as a whole or not at all."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def corpus_info(corpus: Corpus) -> CorpusInfo:
    """What every result says of its corpus, the rows of each part and the notes among it."""
    return CorpusInfo(
        corpus.name, corpus.language, corpus.fingerprint, len(corpus.labels), len(corpus.train),
        len(corpus.validation), len(corpus.test), len(corpus.words), tuple(corpus.notes),
    )  # fmt: skip


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory of the device's allocator, or of the whole process so far on a CPU, in MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
