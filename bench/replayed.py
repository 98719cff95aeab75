"""Training steps of a case on a GPU, replayed as CUDA graphs or ordinary, over a few batches of one shape."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext

import torch

from bench.cases import Case, make_split, make_trainee
from zoo.fast.shapes import demand_fixed_shapes
from zoo.training.graphs import CudaRecorder, GraphedSteps, Recorder
from zoo.training.lanes import switch
from zoo.training.settings import TrainSettings

MakeRecorder = Callable[[torch.device, torch.Generator], Recorder]
BATCHES = 8


class Replayed:
    """The steps of one case, ready to run."""

    def __init__(
        self, case: Case, device: torch.device, record: bool, recorder: MakeRecorder = CudaRecorder
    ) -> None:
        generator = torch.Generator(device).manual_seed(1)
        trainee, _ = make_trainee(case, device, generator)
        self.recorder = recorder(device, generator) if record else None
        settings = TrainSettings(batch_size=case.batch, epochs=1_000)
        self.steps = GraphedSteps(trainee, settings, make_split(case, BATCHES), 0, device, self.recorder)
        self.batches = list(self.steps.split.plan(case.batch))
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
