"""A training run of a model of Hugging Face, through the public door: what a user's own loop would do.

Index letters: B examples, C outputs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uegr.method import attach
from uegr.random_numbers import accelerators_of, put_random_states, random_states
from zoo.core.measures import ACCURACY, Answers, measure
from zoo.method.recipe import Recipe
from zoo.pretrained.answers import Answering
from zoo.pretrained.encoder import Encoded, Encoder
from zoo.text.batching import batch_rows
from zoo.training.loop import Loop
from zoo.training.optim import make_optimizer, make_schedule
from zoo.training.settings import TrainSettings
from zoo.training.steps import Records, Times, put_state, state_of, steps_an_epoch
from zoo.training.turns import State


class MethodRun(Loop):
    """A recipe attached to a model and its optimizer; a subclass says what the batches of an epoch are.

    All recipes of one seed share the initial weights and the order of the batches.

    Args:
        steps: of an epoch.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: str | Recipe,
        settings: TrainSettings,
        steps: int,
        seed: int,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(model.to(device or "cpu"), settings)
        self.seed, self.device, self.steps = seed, device or torch.device("cpu"), steps
        self.optimizer = make_optimizer(model, settings)
        self.schedule = make_schedule(self.optimizer, steps * settings.epochs, settings.warmup)
        # Streams of their own for the masks: weights and batch order do not depend on the recipe.
        self.method = attach(model, self.optimizer, recipe)
        # Not by `attach`, which makes another of it: committed results have this one's.
        self.method.trainee.generator.manual_seed(7_919 * seed + 1)
        self.random = [
            torch.Generator(place).manual_seed(7_919 * seed + 2).get_state()
            for place in [torch.device("cpu"), *accelerators_of(model)]
        ]
        self.times, self.records = Times(), Records()

    def batches(self, epoch: int) -> Iterator[dict[str, Any]]:
        """The labelled batches of an epoch (from 1; 0: of the pass before the first step) in their order."""
        raise NotImplementedError

    @property
    def answerings(self) -> Sequence[Answering]:
        """What answers for the model, a task each."""
        raise NotImplementedError

    def begin(self) -> None:
        """See `Loop`."""
        with self._own_random_numbers():
            self.method.first_pass(self.batches(0))

    def steps_of(self, epoch: int) -> tuple[float, dict[str, float]]:
        """See `Loop`. Dropout draws from torch's own numbers, which this run keeps to itself.

        A term that some steps alone have is their mean.
        """
        if not len(self.records):
            self.method.new_epoch()
        rate = 0.0
        with self._own_random_numbers():
            for batch in islice(self.batches(epoch), len(self.records), None):
                rate = float(self.schedule.get_last_lr()[0])
                self.records.add(self.step(batch))
                self.random = random_states(self.model)
                self.stepped(epoch, len(self.records), self.steps)
        return rate, self.records.close()

    def own_state(self) -> State:
        """See `Loop`."""
        return {
            **state_of(self), "method": self.method.state_dict(), "random": self.random,
            "answering": [own.seconds for own in self.answerings],
        }  # fmt: skip

    def go_on(self, state: State) -> None:
        """See `Loop`."""
        put_state(self, state)
        self.method.load_state_dict(state["method"])
        self.random = [numbers.cpu() for numbers in state["random"]]
        for own, seconds in zip(self.answerings, state["answering"], strict=True):
            own.seconds = seconds
        self.earlier_seconds += sum(state["answering"])

    @contextmanager
    def _own_random_numbers(self) -> Iterator[None]:
        with torch.random.fork_rng():
            put_random_states(self.model, self.random)
            yield
            self.random = random_states(self.model)

    def step(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """One training step with its timing; returns the step's record."""
        wall, cpu = time.perf_counter(), time.process_time()
        loss = self.method.backward(batch)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.times.cpu.append(time.process_time() - cpu)
        self.times.wall.append(time.perf_counter() - wall)
        self.schedule.step()
        return {"loss": loss.detach(), **self.method.record}

    def close(self) -> None:
        """Take every hook out of the model."""
        self.method.remove()


class PretrainedRun(MethodRun):
    """Model, method, optimizer, curve, best weights of one run on one corpus.

    Selection sees the validation part alone.

    Args:
        model: gives `.logits` (B, C); C = 1 for a score, else classes.
        encoder: lays out batches.
        name: of the main measure, by which validation selects.
    """

    def __init__(
        self,
        model: nn.Module,
        encoder: Encoder,
        recipe: str | Recipe,
        settings: TrainSettings,
        train: Encoded,
        validation: Encoded,
        seed: int,
        device: torch.device | None = None,
        name: str = ACCURACY,
    ) -> None:
        super().__init__(model, recipe, settings, steps_an_epoch(train, settings), seed, device)
        self.encoder, self.data, self.validation, self.name = encoder, train, validation, name
        self.answering = Answering(self.model, encoder, self.device)

    @property
    def answerings(self) -> Sequence[Answering]:
        """See `MethodRun`."""
        return [self.answering]

    def batches(self, epoch: int) -> Iterator[dict[str, Any]]:
        """See `MethodRun`."""
        for rows in rows_of(self.data, self.train, self.seed, epoch):
            yield self.answering.labelled(self.data, rows)

    @property
    def validates(self) -> bool:
        """See `Loop`."""
        return len(self.validation) > 0

    def validate(self) -> float:
        """See `Loop`."""
        return measure(self.name).compute(self.predict(self.validation))

    def predict(self, data: Encoded) -> Answers:
        """What the model says of the texts, in their order."""
        return self.answering.predict(data)

    def attacked(self, data: Encoded) -> tuple[Answers, dict[str, Any]]:
        """See `Answering`."""
        return self.answering.attacked(data)


def rows_of(data: Encoded, settings: TrainSettings, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """The rows of each training batch of an epoch."""
    yield from batch_rows(
        data.lengths, settings.batch_size, seed=seed, epoch=epoch, shuffle=True, bucketed=settings.bucketed
    )
