"""Training steps on a GPU, replayed as CUDA graphs: one launch a step instead of a thousand.

The first batches of each shape are ordinary steps. Then one step of that shape is recorded: batch lookup,
clean pass, attack, K passes, masks, optimizer and schedule. From then on such a batch costs one copy of its
row numbers and one replay. Nothing waits for the device inside an epoch; the records are summed there and
read once at its end. Recorded or not, the steps are the same: the same operators on the same numbers.

Never run yet, as this project has had no GPU. The logic is tested without one, with a stand-in that
records a function and calls it again; the tests in tests/zoo/test_graphs.py that need a GPU say so.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor

from zoo.fast.shapes import demand_fixed_shapes
from zoo.method.step import Trainee, train_step
from zoo.recipes import Recipe
from zoo.settings import TrainSettings
from zoo.training.optim import device_schedule, make_optimizer
from zoo.training.resident import Resident

ORDINARY = 3  # steps of a shape before it is recorded: they make what torch makes on first use


class Recorder(Protocol):
    """What records a function of no arguments and gives one that repeats its work."""

    def scope(self) -> AbstractContextManager[Any]:
        """Where all steps run."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record `work` without doing it."""


class CudaRecorder:
    """Records on a stream of its own; all graphs share one pool of memory, as they never run at once."""

    def __init__(self, device: torch.device, generator: torch.Generator) -> None:
        self.stream = torch.cuda.Stream(device)
        self.generator = generator
        self.pool = torch.cuda.graph_pool_handle()

    def scope(self) -> AbstractContextManager[Any]:
        """The recorder's stream."""
        self.stream.wait_stream(torch.cuda.current_stream(self.stream.device))
        return torch.cuda.stream(self.stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """A CUDA graph of `work`; each replay draws new random numbers."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            work()
        replay: Callable[[], None] = graph.replay
        return replay


def why_not_recorded(recipe: Recipe) -> str | None:
    """Why the steps of a recipe stay ordinary ones, or None: their host keeps track of something."""
    if recipe.update == "selective" and recipe.saliency in ("epoch", "per_sample"):
        return f"saliency={recipe.saliency}"
    if recipe.update == "selective" and recipe.resample == "epoch":
        return "resample=epoch"
    if recipe.dropout != "none" and recipe.statistics == "previous_step":
        return "statistics=previous_step"
    return None


class GraphedSteps:
    """The steps of one training run over a resident split.

    Args:
        steps: of the whole run, for the schedule.
        recorder: what records; None leaves every step an ordinary one.
    """

    def __init__(
        self,
        trainee: Trainee,
        settings: TrainSettings,
        split: Resident,
        steps: int,
        recorder: Recorder | None,
    ) -> None:
        self.trainee, self.split, self.recorder = trainee, split, recorder
        device = split.tokens.device
        rates = device_schedule(settings, steps)
        self.learning_rates = rates.tolist()
        kind = torch.float32 if device.type == "cuda" else torch.float64  # what the fused AdamW reads
        self.rates, self.rate = rates.to(device), torch.zeros((), dtype=kind, device=device)
        self.number = torch.zeros(1, dtype=torch.int64, device=device)  # of the step, for the schedule
        self.optimizer = make_optimizer(trainee.model, settings, self.rate)
        self.sums: dict[str, Tensor] = {}
        self.index: dict[int, Tensor] = {}  # by batch size: where the row numbers of a batch are put
        self.seen: dict[tuple[int, int], int] = {}
        self.replays: dict[tuple[int, int], Callable[[], None]] = {}
        self.done = 0

    def epoch(self, size: int, *, seed: int, epoch: int, bucketed: bool) -> dict[str, float]:
        """All steps of an epoch; the mean of every term of the step's record."""
        for total in self.sums.values():
            total.zero_()
        began = self.done
        scope = self.recorder.scope() if self.recorder else nullcontext()
        with scope, demand_fixed_shapes():
            for index, width in self.split.plan(size, seed=seed, epoch=epoch, bucketed=bucketed):
                self.step(index, width, full=len(index) == size)
            values = torch.stack(list(self.sums.values())).tolist()  # waits for the device, once
        return {key: value / (self.done - began) for key, value in zip(self.sums, values, strict=True)}

    def step(self, index: Tensor, width: int, full: bool = True) -> None:
        """One training step on the rows `index` (B,), by replay where the shape has been recorded."""
        shape = len(index), width
        if len(index) not in self.index:
            self.index[len(index)] = torch.empty_like(index)
        buffer = self.index[len(index)].copy_(index)
        if self.recorder is not None and full and shape not in self.replays and self._often(shape):
            self.replays[shape] = self.recorder.record(lambda: self._work(buffer, width))
        self.replays.get(shape, lambda: self._work(buffer, width))()
        self.done += 1

    def _often(self, shape: tuple[int, int]) -> bool:
        self.seen[shape] = self.seen.get(shape, 0) + 1
        return self.seen[shape] > ORDINARY

    def _work(self, index: Tensor, width: int) -> None:
        """What is recorded: everything that a step does on the device."""
        self.rate.copy_(self.rates.index_select(0, self.number).squeeze(0))
        self.number.add_(1)
        record = train_step(self.trainee, self.split.batch(index, width), self.optimizer)
        del record["logits"]
        for key, value in record.items():
            if key not in self.sums:
                self.sums[key] = torch.zeros((), dtype=torch.float64, device=value.device)
            self.sums[key].add_(value)
