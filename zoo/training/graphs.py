"""Training steps on a GPU, replayed as CUDA graphs: one launch a step instead of a thousand.

The first batches of each shape are ordinary steps. Then one step of that shape is recorded: batch lookup,
clean pass, attack, K passes, masks, optimizer and schedule. From then on such a batch costs one copy of its
row numbers and one replay. Nothing waits for the device inside an epoch; the records are summed there and
read once at its end. Recorded or not, the steps are the same: the same operators on the same numbers.

Never run yet, as this project has had no GPU. The logic is tested without one, with a stand-in that
records a function and calls it again; the tests in tests/zoo/training/test_graphs.py that need a GPU say so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from zoo.core.batch import Batch
from zoo.fast.shapes import demand_fixed_shapes
from zoo.method.recipe import Recipe
from zoo.method.step import Trainee, train_step
from zoo.text import Split
from zoo.training.lanes import in_lane
from zoo.training.optim import device_schedule, make_optimizer
from zoo.training.resident import Resident
from zoo.training.settings import TrainSettings
from zoo.training.steps import EVALUATION_BATCH, Stepped, Times, silent, steps_an_epoch
from zoo.training.turns import State

ORDINARY = 3  # steps of a shape before it is recorded: they make what torch makes on first use


class Recorder(Protocol):
    """What records a function of no arguments and gives one that repeats its work."""

    def scope(self) -> AbstractContextManager[Any]:
        """Where all steps run."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record `work` without doing it."""


class CudaRecorder:
    """Records on a stream of its own; all graphs share one pool of memory, as they never run at once."""

    def __init__(self, device: torch.device, *generators: torch.Generator) -> None:
        self.stream = _stream(torch.cuda.current_stream(device))
        self.generators = generators
        self.pool = torch.cuda.graph_pool_handle()

    def scope(self) -> AbstractContextManager[Any]:
        """The recorder's stream."""
        self.stream.wait_stream(torch.cuda.current_stream(self.stream.device))
        return torch.cuda.stream(self.stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """A CUDA graph of `work`; each replay draws new random numbers."""
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            work()
        replay: Callable[[], None] = graph.replay
        return replay


@cache
def _stream(of: Any) -> Any:
    """One for all runs that begin on a stream: torch keeps workspaces for each that there ever was."""
    return torch.cuda.Stream(of.device)


def why_not_recorded(recipe: Recipe) -> str | None:
    """Why the steps of a recipe stay ordinary ones, or None: their host keeps track of something."""
    settings = recipe.flat()
    for name, values in {
        "saliency": ("epoch", "per_sample"), "resample": ("epoch",), "statistics": ("previous_step",),
    }.items():  # fmt: skip
        if settings.get(name) in values:
            return f"{name}={settings[name]}"
    return None


class GraphedSteps:
    """The steps of one training run over a split that lies on the device (see `zoo.training.steps.Steps`).

    Args:
        recorder: what records; None leaves every step an ordinary one.
    """

    stacked = False  # whether the parameters are those of several models

    def __init__(
        self,
        trainee: Trainee,
        settings: TrainSettings,
        split: Split,
        seed: int,
        device: torch.device,
        recorder: Recorder | None,
    ) -> None:
        self.trainee, self.settings, self.seed, self.device = trainee, settings, seed, device
        self.recorder = recorder
        self.split = Resident.of(split, device, trainee.model.line)
        self.residents = {id(split): self.split}
        rates = device_schedule(settings, steps_an_epoch(split, settings) * settings.epochs)
        self.learning_rates = rates.tolist()
        kind = torch.float32 if device.type == "cuda" else torch.float64  # what the fused AdamW reads
        self.rates, self.rate = rates.to(device), torch.zeros((), dtype=kind, device=device)
        self.number = torch.zeros(1, dtype=torch.int64, device=device)  # of the step, for the schedule
        self.optimizer = make_optimizer(trainee.model, settings, self.rate, self.stacked)
        self.full = settings.batch_size  # rows of a batch that is worth recording
        self.sums: dict[str, Tensor] = {}
        self.index: dict[int, Tensor] = {}  # by batch size: where the row numbers of a batch are put
        self.seen: dict[tuple[int, int], int] = {}
        self.replays: dict[tuple[int, int], Callable[[], None]] = {}
        self.done = self.within = 0  # steps; of an epoch that was cut off
        self.times = Times()
        self.not_recorded = ""

    @property
    def recorded(self) -> bool:
        """See `Steps`."""
        return self.recorder is not None

    def epoch(self, epoch: int, stepped: Stepped = silent) -> tuple[float, dict[str, float]]:
        """See `Steps`; nothing waits for the device before the end."""
        rate, means = self.steps_of(epoch, stepped)
        return rate, {key: float(mean) for key, mean in means.items()}

    def plan(self, epoch: int) -> Iterator[tuple[Tensor, int]]:
        """Row numbers and width of each batch of an epoch."""
        size, bucketed = self.settings.batch_size, self.settings.bucketed
        return self.split.plan(size, seed=self.seed, epoch=epoch, bucketed=bucketed)

    def steps_of(self, epoch: int, stepped: Stepped) -> tuple[float, dict[str, np.ndarray]]:
        """`epoch`, with the means as they lie on the device."""
        if not self.within:
            for total in self.sums.values():
                total.zero_()
        began, started, before = self.done, time.perf_counter(), self.within
        steps = len(self.learning_rates) // self.settings.epochs
        scope = self.recorder.scope() if self.recorder else nullcontext()
        with scope, demand_fixed_shapes():
            for index, width in islice(self.plan(epoch), before, None):
                self.step(index, width, full=len(index) == self.full)
                self.within += 1
                stepped(self.within, steps)
            values = torch.stack(list(self.sums.values())).cpu().numpy()  # waits for the device, once
        self.within = 0
        if not in_lane():  # single steps cannot be timed without waiting for each
            self.times.wall.append((time.perf_counter() - started) / (self.done - began))
        means = {key: value / steps for key, value in zip(self.sums, values, strict=True)}
        return self.learning_rates[self.done - 1], means

    def state(self) -> State:
        """See `Steps`; the schedule's step is `done`."""
        return {
            "optimizer": self.optimizer.state_dict(), "sums": self.sums, "done": self.done,
            "within": self.within, "times": vars(self.times),
        }  # fmt: skip

    def load(self, state: State) -> None:
        """See `Steps`; shapes are recorded anew."""
        self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate  # the place that recorded steps write to, and not a copy of it
        self.sums, self.done, self.within = state["sums"], state["done"], state["within"]
        self.number.fill_(self.done)
        self.times = Times(**state["times"])

    def evaluation_batches(self, split: Split) -> Iterator[Batch]:
        """See `Steps`; from the device."""
        if id(split) not in self.residents:
            self.residents[id(split)] = Resident.of(split, self.device, self.trainee.model.line)
        resident = self.residents[id(split)]
        for index, width in resident.plan(EVALUATION_BATCH, shuffle=False):
            yield resident.batch(index, width)

    def step(self, index: Tensor, width: int, full: bool = True) -> None:
        """One training step on the rows `index` (B,), by replay where the shape has been recorded."""
        shape = len(index), width
        if len(index) not in self.index:
            self.index[len(index)] = torch.empty_like(index)
        buffer = self.index[len(index)].copy_(index)
        if self.recorder is not None and full and shape not in self.replays and self._often(shape):
            self._record(shape, lambda: self._work(buffer, width))
        self.replays.get(shape, lambda: self._work(buffer, width))()
        self.done += 1

    def batch(self, index: Tensor, width: int) -> Batch:
        """What a step trains on."""
        return self.split.batch(index, width)

    def _record(self, shape: tuple[int, int], work: Callable[[], None]) -> None:
        """Record a shape. Where that fails, this step and all later ones are ordinary; it is said why."""
        assert self.recorder is not None
        try:
            self.replays[shape] = self.recorder.record(work)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:  # what a capture cannot hold
            self.not_recorded = f"recording failed: {' '.join(str(error).split())[:200]}"
            self.recorder, self.replays = None, {}

    def _often(self, shape: tuple[int, int]) -> bool:
        self.seen[shape] = self.seen.get(shape, 0) + 1
        return self.seen[shape] > ORDINARY

    def _work(self, index: Tensor, width: int) -> None:
        """What is recorded: everything that a step does on the device."""
        self.rate.copy_(self.rates.index_select(0, self.number).squeeze(0))
        self.number.add_(1)
        record = train_step(self.trainee, self.batch(index, width), self.optimizer)
        del record["logits"]
        for key, value in record.items():
            if key not in self.sums:
                self.sums[key] = torch.zeros_like(value, dtype=torch.float64)
            self.sums[key].add_(value)
