"""The steps of a training run, epoch by epoch, and the batches of its evaluation: ordinary ones.

`zoo.training.graphs` has the same two calls with steps that a GPU replays, so one loop serves both.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from zoo.core.batch import Batch
from zoo.method.step import Trainee, train_step
from zoo.text import Split, batches
from zoo.training.optim import make_optimizer, make_schedule
from zoo.training.settings import TrainSettings
from zoo.training.turns import State

EVALUATION_BATCH = 256
Stepped = Callable[[int, int], None]


def silent(done: int, steps: int) -> None:
    """Nobody is told."""


@dataclass
class Times:
    """Seconds of the single steps; `cpu` stays empty where they are not timed one by one."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def mean_step(self) -> tuple[float | None, float | None]:
        """Mean wall and CPU seconds of a step, without the first few; lengths differ, so no median."""
        wall, cpu = (
            float(np.mean(times[min(5, len(times) - 1) :])) if times else None
            for times in (self.wall, self.cpu)
        )
        return wall, cpu


class Records:
    """The records of the steps of an epoch so far."""

    def __init__(self) -> None:
        self._kept: list[dict[str, Tensor]] = []

    def __len__(self) -> int:
        """Steps."""
        return len(self._kept)

    def add(self, record: dict[str, Tensor]) -> None:
        """One step's scalars."""
        self._kept.append(record)

    def close(self) -> dict[str, float]:
        """The mean of every term over the steps of the epoch that have it; they are then forgotten."""
        kept, self._kept = self._kept, []
        names = dict.fromkeys(name for record in kept for name in record)
        return {key: float(torch.stack([r[key] for r in kept if key in r]).mean()) for key in names}

    def state(self) -> list[dict[str, Tensor]]:
        """What `load` takes."""
        return self._kept

    def load(self, state: list[dict[str, Tensor]]) -> None:
        """Go on from a `state`."""
        self._kept = state


class Steps(Protocol):
    """What the training loop asks for."""

    @property
    def times(self) -> Times:
        """Of the steps so far."""

    @property
    def not_recorded(self) -> str:
        """Why steps are not replayed, where a recorder was there; else empty."""

    @property
    def recorded(self) -> bool:
        """Whether steps are replayed."""

    def epoch(self, epoch: int, stepped: Stepped = silent) -> tuple[float, dict[str, float]]:
        """Train one epoch (from 1); its last learning rate, and the mean of every term of the records.

        stepped: called after each step with the number of those that are done, and of all.
        """

    def evaluation_batches(self, split: Split) -> Iterator[Batch]:
        """A split in large batches of similar lengths."""

    @property
    def within(self) -> int:
        """Steps of an epoch that was cut off: the next call of `epoch` goes on behind them."""

    def state(self) -> State:
        """What a training goes on with after a step: optimizer, schedule, records, times."""

    def load(self, state: State) -> None:
        """Go on from a `state`, in a run that has done no step."""


class Stepping(Protocol):
    """Whoever makes ordinary steps."""

    optimizer: torch.optim.AdamW
    schedule: torch.optim.lr_scheduler.LambdaLR
    records: Records
    times: Times


def state_of(own: Stepping) -> State:
    """What a training goes on with after a step, beside the model and what is the method's."""
    return {
        "optimizer": own.optimizer.state_dict(), "schedule": own.schedule.state_dict(),
        "records": own.records.state(), "times": vars(own.times),
    }  # fmt: skip


def put_state(own: Stepping, state: State) -> None:
    """Go on from a `state_of`."""
    own.optimizer.load_state_dict(state["optimizer"])
    own.schedule.load_state_dict(state["schedule"])
    own.records.load(state["records"])
    own.times = Times(**state["times"])


def steps_an_epoch(split: Sized, settings: TrainSettings) -> int:
    """Batches of an epoch; the last one may be smaller."""
    return math.ceil(len(split) / settings.batch_size)


class OrdinarySteps:
    """One call after the other, each batch made on the host."""

    recorded, not_recorded = False, ""

    def __init__(
        self, trainee: Trainee, settings: TrainSettings, split: Split, seed: int, device: torch.device
    ) -> None:
        self.trainee, self.settings, self.split, self.seed, self.device = (
            trainee,
            settings,
            split,
            seed,
            device,
        )
        self.optimizer = make_optimizer(trainee.model, settings)
        steps = steps_an_epoch(split, settings) * settings.epochs
        self.schedule = make_schedule(self.optimizer, steps, settings.warmup)
        self.times = Times()
        self.records = Records()

    def epoch(self, epoch: int, stepped: Stepped = silent) -> tuple[float, dict[str, float]]:
        """See `Steps`; one transfer from the device a term."""
        steps = steps_an_epoch(self.split, self.settings)
        left = islice(self.batches(self.split, self.settings.batch_size, epoch), self.within, None)
        for batch in left:
            rate = self.schedule.get_last_lr()[0]
            self.records.add(self.step(batch))
            stepped(self.within, steps)
        return float(rate), self.records.close()

    @property
    def within(self) -> int:
        """See `Steps`."""
        return len(self.records)

    def state(self) -> State:
        """See `Steps`."""
        return state_of(self)

    def load(self, state: State) -> None:
        """See `Steps`."""
        put_state(self, state)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One training step with its timing; returns the step's record without the logits."""
        wall, cpu = time.perf_counter(), time.process_time()
        record = train_step(self.trainee, batch, self.optimizer)
        self.times.cpu.append(time.process_time() - cpu)
        self.times.wall.append(time.perf_counter() - wall)
        self.schedule.step()
        del record["logits"]
        return record

    def evaluation_batches(self, split: Split) -> Iterator[Batch]:
        """See `Steps`."""
        return self.batches(split, EVALUATION_BATCH, epoch=0, shuffle=False)

    def batches(self, split: Split, size: int, epoch: int, shuffle: bool = True) -> Iterator[Batch]:
        """Batches of a split as the model wants them laid out."""
        return batches(
            split, size, seed=self.seed, epoch=epoch, shuffle=shuffle, bucketed=self.settings.bucketed,
            words_per_sentence=self.trainee.model.line, device=self.device,
        )  # fmt: skip
