"""How long a grid will take: a few real steps of every kind of cell, timed here and now."""

from __future__ import annotations

import itertools
import time

import torch

from zoo.core.names import BASELINE
from zoo.grid.worker import Job, Places
from zoo.text import load_corpus
from zoo.training.cell import make_model
from zoo.training.run import Run
from zoo.training.settings import CellSettings

WARM, TIMED = 2, 4


def estimate_seconds(jobs: list[Job], places: Places, workers: int) -> float:
    """Seconds for `jobs` with so many workers, from TIMED steps of each (corpus, arch, recipe).

    Evaluation is taken for a tenth of the training; the reference row for nothing.
    """
    torch.set_num_threads(1)
    step_seconds: dict[tuple[str, str, CellSettings], float] = {}
    total = 0.0
    for job in jobs:
        if job.cell.recipe == BASELINE:
            continue
        kind = (job.source, job.cell.arch, job.settings)
        if kind not in step_seconds:
            step_seconds[kind] = _step_seconds(job, places)
        train = job.settings.train
        steps = -(-job.corpus_info["train_rows"] // train.batch_size) * train.epochs
        total += 1.1 * steps * step_seconds[kind]
    return total / workers


def _step_seconds(job: Job, places: Places) -> float:
    corpus = load_corpus(job.source, job.settings.text, places.data_dir, places.cache_dir)
    device = torch.device(places.device)
    model = make_model(job.cell, job.settings, corpus, vectors=None).to(device)
    run = Run(model, job.cell, job.settings, corpus, device)
    model.train()
    began = 0.0
    batches = run.batches(corpus.train, job.settings.train.batch_size, epoch=1)
    for i, batch in enumerate(itertools.islice(itertools.cycle(batches), WARM + TIMED)):
        if i == WARM:
            began = time.perf_counter()
        run.step(batch)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / TIMED
