"""One cell of the grid: from a prepared corpus to a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.core.errors import write_whole
from zoo.core.measures import accuracy
from zoo.core.result import DONE, FAILED, CorpusInfo, Result, answers_json, measures_of
from zoo.method.contract import TextClassifier
from zoo.models import build_model
from zoo.text import Corpus, load_vectors
from zoo.training.device import begin_cell, peak_memory_mb, work_of
from zoo.training.ensemble import Ensemble
from zoo.training.environment import machine, made_by, versions
from zoo.training.graphs import CudaRecorder
from zoo.training.loop import Progress
from zoo.training.run import Run
from zoo.training.settings import CellSettings
from zoo.training.turns import Turns

# Between the seeds of the members of one cell: far from those of other cells.
MEMBER_SEEDS = 1_000_000


@dataclass(frozen=True)
class Trained:
    """What a training leaves: one network, or several that vote, with the selected weights.

    The curve and the best epoch are the first one's. vectors: what the first word vectors were.
    """

    arch: str
    seed: int
    settings: CellSettings
    corpus: Corpus
    runs: tuple[Run, ...]
    vectors: Mapping[str, Any]
    validation_accuracy: float  # of the vote, where there is one; NaN without a validation part

    @property
    def run(self) -> Run:
        """The run whose model answers for all of them."""
        return self.runs[0]


def train_networks(
    arch: str,
    seed: int,
    settings: CellSettings,
    corpus: Corpus,
    device: torch.device,
    progress: Progress = lambda share, entry: None,
    graphs: bool = True,
    cache_dir: Path | None = None,
    turns: Turns | None = None,
) -> Trained:
    """Train what the settings say, a cell's networks or those of a classifier to keep; see `train_cell`.

    Of several members each is trained by itself, with a seed of its own.

    Raises:
        OutOfTime: the turn was too short.
        CellFailed: the loss is not finite, or memory runs out.
        UserError: word vectors that cannot be used, or no validation part to select by.
    """
    members, runs, trained = settings.train.members, list[Run](), list[TextClassifier]()
    recorder = partial(CudaRecorder, device) if graphs and device.type == "cuda" else None
    vector_info: Mapping[str, Any] = {}
    with work_of(settings.train):
        for number, own in enumerate(member_seeds(seed, settings)):
            model, vector_info = fresh_model(arch, own, settings, corpus, device, cache_dir)
            trained.append(model)
            runs.append(Run(trained[-1], own, settings, corpus, device, recorder))
            turn = turns.of(number, members) if turns else None
            runs[-1].fit(partial(_member_progress, progress, number, members), turn)
        run, validation_accuracy = runs[0], runs[0].best_score
        if members > 1:
            run.model = Ensemble(trained)
            if len(corpus.validation):
                validation_accuracy = accuracy(run.predict(corpus.validation))
    return Trained(arch, seed, settings, corpus, tuple(runs), vector_info, validation_accuracy)


def train_cell(
    head: Result,
    settings: CellSettings,
    corpus: Corpus,
    device: torch.device,
    progress: Progress = lambda share, entry: None,
    graphs: bool = True,
    cache_dir: Path | None = None,
    keep: Callable[[Trained], None] = lambda trained: None,
    turns: Turns | None = None,
) -> Result:
    """Train and evaluate one cell.

    All recipes of one (corpus, arch, seed) share the initial weights and the order of the batches, so
    their differences are paired. Selection sees the validation part alone; the test part is read once.
    On a GPU steps are replayed as CUDA graphs, unless `graphs` is off.

    Args:
        head: what is known of the result before: id, cell, settings, corpus.
        keep: called with what was trained, after the evaluation, to write it where it is wanted.
        turns: where the state is kept while it trains, to go on from.

    Raises:
        CellFailed: the loss is not finite, or memory runs out.
        OutOfTime: the turn was too short.
    """
    started = time.perf_counter()
    begin_cell(device)
    cell = head.cell
    trained = train_networks(
        cell.arch, cell.seed, settings, corpus, device, progress, graphs, cache_dir, turns
    )
    result = evaluated(head, trained, device)
    keep(trained)
    earlier = sum(member.earlier_seconds for member in trained.runs)
    return timed(result, time.perf_counter() - started + earlier)


def timed(result: Result, total: float) -> Result:
    """With the seconds of the whole cell."""
    return replace(result, seconds={"total": total, **result.seconds})


def evaluated(head: Result, trained: Trained, device: torch.device) -> Result:
    """The result of what was trained, with the seconds of training and evaluation: the test part, read once.

    Raises:
        CellFailed: memory runs out.
    """
    run, corpus = trained.run, trained.corpus
    with work_of(trained.settings.train):
        test = run.predict(corpus.test)
        attacked, how = run.attacked(corpus.test)
    walls, cpus = zip(*(member.steps.times.mean_step() for member in trained.runs), strict=True)
    return replace(
        head,
        status=DONE,
        measures=measures_of({"test": test, "attacked": attacked}),
        validation_accuracy=trained.validation_accuracy,
        best_epoch=run.best_epoch,
        curve=tuple(run.curve),
        **answers_json(test),
        attacked={**how, **answers_json(attacked)},
        parameters=sum(p.numel() for p in run.model.parameters()),
        vectors=trained.vectors,
        machine=machine(device),
        recorded=run.steps.recorded,
        not_recorded=run.not_recorded,
        seconds={
            "train": sum(member.train_seconds for member in trained.runs),
            "evaluate": sum(member.evaluate_seconds for member in trained.runs),
        },
        step_seconds=_sum_if_all(walls),
        step_cpu_seconds=_sum_if_all(cpus) if device.type == "cpu" else None,
        peak_memory_mb=peak_memory_mb(device),
        made_by=made_by(),
        versions=versions(),
    )


def member_seeds(seed: int, settings: CellSettings) -> list[int]:
    """The seed of each network of a cell."""
    return [seed + MEMBER_SEEDS * number for number in range(settings.train.members)]


def _member_progress(progress: Progress, number: int, members: int, share: float, entry: Any) -> None:
    """The share of the whole cell that is done when a member has done its own."""
    progress((number + share) / members, entry)


def _sum_if_all(seconds: Sequence[float | None]) -> float | None:
    known = [value for value in seconds if value is not None]
    return sum(known) if len(known) == len(seconds) else None


def fresh_model(
    arch: str,
    seed: int,
    settings: CellSettings,
    corpus: Corpus,
    device: torch.device,
    cache_dir: Path | None = None,
) -> tuple[TextClassifier, Mapping[str, Any]]:
    """What a cell begins with: the model with its first word vectors, and what these are.

    Raises:
        UserError: word vectors that cannot be used.
    """
    vectors, about = load_vectors(
        settings.train.vectors, corpus, settings.model.embedding, seed, cache_dir=cache_dir  # type: ignore[attr-defined]
    )  # fmt: skip
    return make_model(arch, seed, settings, corpus, vectors).to(device), about


def make_model(
    arch: str, seed: int, settings: CellSettings, corpus: Corpus, vectors: np.ndarray | None
) -> TextClassifier:
    """The cell's model with its initial weights, a function of (corpus, arch, seed) and the vectors."""
    return build_model(arch, len(corpus.words), len(corpus.labels), settings.model, seed, vectors)


def write_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write a state dict; raises as `write_whole`."""
    from safetensors.torch import save

    # Not its `save_file`, which lets nobody else read the file.
    # A copy of each, as it takes no tied weights.
    whole = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in weights.items()}
    write_whole(path, save(whole))


def failed(head: Result, reason: str, device: torch.device) -> Result:
    """The result of a cell that gives none, and why."""
    return replace(head, status=FAILED, reason=reason, machine=machine(device), made_by=made_by())


def corpus_info(corpus: Corpus) -> CorpusInfo:
    """What every result says of its corpus, the rows of each part and the notes among it."""
    return CorpusInfo(
        corpus.name, corpus.language, corpus.fingerprint, len(corpus.labels), len(corpus.train),
        len(corpus.validation), len(corpus.test), len(corpus.words), tuple(corpus.notes),
    )  # fmt: skip
