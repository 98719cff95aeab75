"""A training run of a model of Hugging Face, through the public door: what a user's own loop would do.

Index letters: B examples, T tokens, D vector size, C outputs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uegr.adapted import Adapted, adapt
from uegr.dropouts import gpus_of, put_random_states, random_states
from uegr.method import attach
from uegr.objective import Labelled
from zoo.core.measures import ACCURACY, Answers, Outcome, Scores, measure
from zoo.method.recipe import Recipe
from zoo.pretrained.encoder import Encoded, Encoder, Inputs
from zoo.text.batching import batch_rows
from zoo.training.loop import Loop
from zoo.training.optim import make_optimizer, make_schedule
from zoo.training.robustness import ATTACK, attacked_rows, constant, shift
from zoo.training.run import probabilities_of
from zoo.training.settings import TrainSettings
from zoo.training.steps import Records, Times, steps_an_epoch
from zoo.training.turns import State

EVALUATION_BATCH = 64


class PretrainedRun(Loop):
    """Model, method, optimizer, curve, best weights of one run.

    All recipes of one seed share the initial weights and the order of the batches. Selection sees the
    validation part alone.

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
        super().__init__(model.to(device or "cpu"), settings)
        self.encoder, self.seed, self.device = encoder, seed, device or torch.device("cpu")
        self.data, self.validation, self.name = train, validation, name
        self.optimizer = make_optimizer(model, settings)
        self.schedule = make_schedule(
            self.optimizer, steps_an_epoch(train, settings) * settings.epochs, settings.warmup
        )
        # Streams of their own for the masks: weights and batch order do not depend on the recipe.
        self.method = attach(model, self.optimizer, recipe, seed=7_919 * seed + 1)
        self.random = [
            torch.Generator(place).manual_seed(7_919 * seed + 2).get_state()
            for place in [torch.device("cpu"), *gpus_of(model)]
        ]
        self.words: Adapted = adapt(model)
        self.times, self.records = Times(), Records()

    def begin(self) -> None:
        """See `Loop`."""
        rows = self._rows(self.data, self.train.batch_size, epoch=0, shuffle=True)
        with self._own_random_numbers():
            self.method.first_pass(self._labelled(self.data, own) for own in rows)

    def steps_of(self, epoch: int) -> tuple[float, dict[str, float]]:
        """See `Loop`. Dropout draws from torch's own numbers, which this run keeps to itself."""
        if not len(self.records):
            self.method.new_epoch()
        rate, steps = 0.0, steps_an_epoch(self.data, self.train)
        rows_of_batches = self._rows(self.data, self.train.batch_size, epoch, shuffle=True)
        with self._own_random_numbers():
            for rows in islice(rows_of_batches, len(self.records), None):
                rate = float(self.schedule.get_last_lr()[0])
                self.records.add(self.step(self._labelled(self.data, rows)))
                self.random = random_states(self.model)
                self.stepped(epoch, len(self.records), steps)
        return rate, self.records.close()

    def own_state(self) -> State:
        """See `Loop`."""
        return {
            "method": self.method.state_dict(), "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(), "random": self.random,
            "records": self.records.state(), "times": vars(self.times),
        }  # fmt: skip

    def go_on(self, state: State) -> None:
        """See `Loop`."""
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.random = [numbers.cpu() for numbers in state["random"]]
        self.records.load(state["records"])
        self.times = Times(**state["times"])

    @contextmanager
    def _own_random_numbers(self) -> Iterator[None]:
        with torch.random.fork_rng():
            put_random_states(self.model, self.random)
            yield
            self.random = random_states(self.model)

    def step(self, batch: Inputs) -> dict[str, Tensor]:
        """One training step with its timing; returns the step's record."""
        wall, cpu = time.perf_counter(), time.process_time()
        loss = self.method.backward(batch)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.times.cpu.append(time.process_time() - cpu)
        self.times.wall.append(time.perf_counter() - wall)
        self.schedule.step()
        return {"loss": loss.detach(), **self.method.record}

    @property
    def validates(self) -> bool:
        """See `Loop`."""
        return len(self.validation) > 0

    def validate(self) -> float:
        """See `Loop`."""
        return measure(self.name).compute(self.predict(self.validation))

    def predict(self, data: Encoded) -> Answers:
        """What the model says of the texts, in their order."""
        with torch.inference_mode():
            return self._answers(data, lambda batch: self.model(**batch).logits)

    def attacked(self, data: Encoded) -> tuple[Answers, dict[str, Any]]:
        """A seeded sample of the texts under FGSM on their word vectors, and how it was attacked.

        The strength is that of `zoo.training.robustness`, for every recipe and model alike.
        """
        sample = data.take(attacked_rows(len(data)))
        return self._answers(sample, self._attacked_logits, labelled=True), {**ATTACK, "rows": len(sample)}

    def close(self) -> None:
        """Take every hook out of the model."""
        self.words.remove()
        self.method.remove()

    def _attacked_logits(self, batch: Inputs) -> Tensor:
        labels = batch["labels"]
        inputs = {name: own for name, own in batch.items() if name != "labels"}
        with constant(self.model):
            x = self.words.embed(inputs).detach().requires_grad_()
            loss = Labelled().losses(self.words.classify(x, inputs)[None], labels).sum()
            (gradient,) = torch.autograd.grad(loss, x)
        with torch.no_grad():
            return self.words.classify(x + shift(gradient, x, self.words.mask(inputs)), inputs)

    def _answers(self, data: Encoded, logits: Callable[[Inputs], Tensor], labelled: bool = False) -> Answers:
        began = time.perf_counter()

        def batch(rows: np.ndarray) -> Inputs:
            return self._labelled(data, rows) if labelled else self.encoder.batch(data, rows, self.device)

        self.model.eval()
        found = logits_of(data, batch, logits)
        self.evaluate_seconds += time.perf_counter() - began
        if found.shape[1] == 1:
            return Scores(found[:, 0].double().cpu().numpy(), data.labels)
        return Outcome(probabilities_of(found), data.labels)

    def _rows(self, data: Encoded, size: int, epoch: int, shuffle: bool) -> Iterator[np.ndarray]:
        yield from batch_rows(
            data.lengths, size, seed=self.seed, epoch=epoch, shuffle=shuffle, bucketed=self.train.bucketed
        )

    def _labelled(self, data: Encoded, rows: np.ndarray) -> Inputs:
        labels = torch.from_numpy(data.labels[rows]).to(self.device)
        labels = labels.float() if labels.is_floating_point() else labels
        return {**self.encoder.batch(data, rows, self.device), "labels": labels}


def logits_of(
    data: Encoded, batch: Callable[[np.ndarray], Inputs], logits: Callable[[Inputs], Tensor]
) -> Tensor:
    """(n, C) of n >= 1 texts, in their order, in batches of texts of about one length.

    batch: the model's arguments for rows. logits: (B, C) of such a batch.
    """
    found = None
    for rows in batch_rows(data.lengths, EVALUATION_BATCH, seed=0, epoch=0, shuffle=False, bucketed=True):
        own = logits(batch(rows)).detach()
        if found is None:
            found = own.new_zeros(len(data), own.shape[1])
        found[torch.from_numpy(rows)] = own
    assert found is not None
    return found
