"""Training steps of a case on a GPU, replayed as CUDA graphs or ordinary, over a few batches of one shape."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext

import torch

from bench.cases import Case, make_split, make_trainee, recipe_of
from zoo.fast.shapes import demand_fixed_shapes
from zoo.training.graphs import CudaRecorder, GraphedSteps, Recorder
from zoo.training.lanes import switch
from zoo.training.seeds import StackedSteps
from zoo.training.settings import TrainSettings

MakeRecorder = Callable[..., Recorder]  # of the device and the generators of all masks
BATCHES = 8


class Replayed:
    """The steps of one case, or of so many seeds of it as one model, ready to run."""

    def __init__(
        self,
        case: Case,
        device: torch.device,
        record: bool,
        recorder: MakeRecorder = CudaRecorder,
        seeds: int = 1,
    ) -> None:
        generators = [torch.Generator(device).manual_seed(1 + seed) for seed in range(seeds)]
        trainees = [make_trainee(case, device, generator)[0] for generator in generators]
        self.recorder = recorder(device, *generators) if record else None
        train, split = TrainSettings(batch_size=case.batch, epochs=1_000), make_split(case, BATCHES)
        self.steps: GraphedSteps
        if seeds == 1:
            self.steps = GraphedSteps(trainees[0], train, split, 0, device, self.recorder)
        else:
            parts = (trainees, recipe_of(case), train, split)
            self.steps = StackedSteps(*parts, range(seeds), device, self.recorder)
        self.batches = list(self.steps.plan(0))
        self.device = device

    def run(self, count: int) -> float:
        """Wall seconds of so many steps, with one wait for the device at the end."""
        scope = self.recorder.scope() if self.recorder else nullcontext()
        self.steps.number.zero_()  # the schedule starts again
        self._wait()
        began = time.perf_counter()
        with scope, demand_fixed_shapes():
            for i in range(count):
                self.steps.step(*self.batches[i % len(self.batches)])
                switch()
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
