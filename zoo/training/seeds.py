"""The seeds of one setting trained as one model: each operator of a step once for all of them.

On a GPU a step of UEGR waits for its launches, not for its arithmetic, and here they are those of one model
(`zoo.method.several`, which says what is the same as alone). The batches of a step are padded to the longest
of them, so the masks of a site with one number a word are other draws than alone, of the same distribution.

A seed that patience has stopped goes on being trained until all have stopped; its weights and its curve are
those of its end. One whose loss is not finite has failed alone. A training that is cut off begins anew.
Never run on a GPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.core.batch import Batch
from zoo.core.result import Result
from zoo.method.recipe import Recipe
from zoo.method.several import TraineeOfSeveral, why_alone
from zoo.method.step import Trainee
from zoo.text import Corpus, Split
from zoo.training.cell import Trained, evaluated, failed, fresh_model, timed
from zoo.training.device import begin_cell, work_of
from zoo.training.graphs import CudaRecorder, GraphedSteps, Recorder
from zoo.training.run import Run
from zoo.training.settings import CellFailed, CellSettings, TrainSettings
from zoo.training.steps import Stepped, Times, silent
from zoo.training.turns import State, Turn

Told = Callable[[int, float, dict[str, Any]], None]  # the number of a seed, and what `Progress` is told


def why_not_stacked(settings: CellSettings) -> str:
    """Why the seeds of a setting are trained one by one; empty where they need not be."""
    return f"members={settings.train.members}" if settings.train.members > 1 else why_alone(settings.recipe)


class StackedSteps(GraphedSteps):
    """The steps of all seeds; the arguments as those of `GraphedSteps`, but a trainee and a seed each."""

    stacked = True
    trainee: TraineeOfSeveral

    def __init__(
        self,
        trainees: Sequence[Trainee],
        recipe: Recipe,
        settings: TrainSettings,
        split: Split,
        seeds: Sequence[int],
        device: torch.device,
        recorder: Recorder | None,
    ) -> None:
        together = TraineeOfSeveral(trainees, recipe)
        together.model.train()
        super().__init__(together, settings, split, seeds[0], device, recorder)
        self.seeds, self.empty = seeds, len(split)
        self.split = self.split.with_empty()
        self.full = len(seeds) * settings.batch_size
        self.last: tuple[int, float, dict[str, np.ndarray]] = (0, 0.0, {})

    def plan(self, epoch: int) -> Iterator[tuple[Tensor, int]]:
        """The batches of all seeds, one behind the other, filled up to the same number of rows."""
        size, bucketed = self.settings.batch_size, self.settings.bucketed
        plans = [self.split.plan(size, seed=seed, epoch=epoch, bucketed=bucketed) for seed in self.seeds]
        for batches in zip(*plans, strict=True):
            rows = max(len(index) for index, _ in batches)
            filled = [F.pad(index, (0, rows - len(index)), value=self.empty) for index, _ in batches]
            yield torch.cat(filled), max(width for _, width in batches)

    def batch(self, index: Tensor, width: int) -> Batch:
        """See `GraphedSteps`."""
        self.trainee.weigh((index < self.empty).unflatten(0, (len(self.seeds), -1)))
        return super().batch(index, width)

    def epoch_of(self, number: int, epoch: int, stepped: Stepped) -> tuple[float, dict[str, float]]:
        """`Steps.epoch` of one seed; the first that asks has all of them trained."""
        if self.last[0] != epoch:
            self.last = (epoch, *self.steps_of(epoch, stepped))
        _, rate, means = self.last
        return rate, {key: float(values[number]) for key, values in means.items()}


class OneOfStacked:
    """The steps of one seed, as its run sees them (`Steps`); `all` is set before the first."""

    within = 0
    all: StackedSteps

    def __init__(self, number: int) -> None:
        self.number = number

    @property
    def times(self) -> Times:
        """A step of all costs each its part."""
        return Times([seconds / len(self.all.seeds) for seconds in self.all.times.wall])

    @property
    def recorded(self) -> bool:
        """See `Steps`."""
        return self.all.recorded

    @property
    def not_recorded(self) -> str:
        """See `Steps`."""
        return self.all.not_recorded

    def epoch(self, epoch: int, stepped: Stepped = silent) -> tuple[float, dict[str, float]]:
        """See `Steps`."""
        return self.all.epoch_of(self.number, epoch, stepped)

    def evaluation_batches(self, split: Split) -> Iterator[Batch]:
        """See `Steps`."""
        return self.all.evaluation_batches(split)

    def state(self) -> State:
        """Nobody goes on with it."""
        return {}

    def load(self, state: State) -> None:
        """Nothing to go on with."""


def train_seeds(
    heads: Sequence[Result],
    settings: CellSettings,
    corpus: Corpus,
    device: torch.device,
    progress: Told = lambda number, share, entry: None,
    graphs: bool = True,
    cache_dir: Path | None = None,
    keep: Callable[[int, Trained], None] = lambda number, trained: None,
    until: float = math.inf,
) -> list[Result]:
    """Train and evaluate cells that differ in their seeds alone; the arguments as those of `train_cell`.

    Seconds of a result are its part of all. Not for what `why_not_stacked` names.

    Raises:
        CellFailed: memory runs out.
        OutOfTime: it is later than `until`; nothing is left.
    """
    started = time.perf_counter()
    begin_cell(device)
    arch, seeds = heads[0].cell.arch, [head.cell.seed for head in heads]
    results: dict[int, Result] = {}
    with work_of(settings.train):
        runs, vectors = list[Run](), list[Any]()
        for number, seed in enumerate(seeds):
            model, about = fresh_model(arch, seed, settings, corpus, device, cache_dir)
            runs.append(Run(model, seed, settings, corpus, device, steps=OneOfStacked(number)))
            vectors.append(about)
        trainees = [run.trainee for run in runs]
        recorder = _recorder(trainees, device) if graphs and device.type == "cuda" else None
        parts = (trainees, settings.recipe, settings.train, corpus.train)
        steps = StackedSteps(*parts, seeds, device, recorder)
        for number, run in enumerate(runs):
            assert isinstance(run.steps, OneOfStacked)
            run.steps.all = steps
            run.start(partial(progress, number), Turn(until=until))
        while left := [n for n, run in enumerate(runs) if n not in results and not run.stops]:
            for number in left:
                try:
                    runs[number].one_epoch()
                except CellFailed as error:
                    results[number] = failed(heads[number], str(error), device)
        trained_seconds = sum(run.train_seconds for run in runs) / len(runs)
        for number, run in enumerate(runs):
            if number not in results:
                run.end()
                run.train_seconds = trained_seconds
    for number, run in enumerate(runs):
        if number in results:
            continue
        trained = Trained(arch, run.seed, settings, corpus, (run,), vectors[number], run.best_score)
        results[number] = evaluated(heads[number], trained, device)
        keep(number, trained)
    total = (time.perf_counter() - started) / len(runs)
    return [timed(results[n], total) if results[n].done else results[n] for n in range(len(runs))]


def _recorder(trainees: Sequence[Trainee], device: torch.device) -> CudaRecorder:
    """One that lets every seed's generator draw anew with each replay."""
    return CudaRecorder(device, *(trainee.generator for trainee in trainees))
