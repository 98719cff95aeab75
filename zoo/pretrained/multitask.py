"""MT-DNN: one encoder under a head for each of several tasks, trained in turn by one optimizer.

Liu et al. (2019), Multi-Task Deep Neural Networks for Natural Language Understanding, ACL: a batch has the
texts of one task; the batches of all tasks are shuffled together each epoch, so that tasks come in proportion
to their size; the loss of a step is that of its task alone.

A step of task t gives a gradient to the encoder and to head t. The other heads have none, so they are neither
ranked nor masked nor moved, by weight decay neither.

Index letters: B examples, C outputs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.core.errors import UserError
from zoo.core.measures import measure
from zoo.method.recipe import Recipe
from zoo.pretrained.answers import Answering
from zoo.pretrained.encoder import Encoded, Encoder
from zoo.pretrained.run import MethodRun, rows_of
from zoo.training.loop import Progress
from zoo.training.settings import TrainSettings
from zoo.training.steps import steps_an_epoch
from zoo.training.turns import State, Turn


class MultiTask(nn.Module):
    """Classifiers of one family of Hugging Face that share what the family calls its `base_model`.

    Each stays a model of its own, `tasks[t]`: what the family has around the encoder is the head (a dense
    layer and the logits in RoBERTa, the logits alone in BERT, whose pooler is in the encoder).

    Args:
        classifiers: one a task; all but the first one's encoder are dropped.

    Raises:
        UserError: a family without a `base_model`.
    """

    def __init__(self, classifiers: Sequence[Any]) -> None:
        super().__init__()
        first = classifiers[0]
        if first.base_model is first:
            raise UserError(f"{type(first).__name__} has no base_model to share; expected an encoder in it")
        self.base_model: Any = first.base_model
        for other in classifiers[1:]:
            setattr(other, other.base_model_prefix, self.base_model)
        self.tasks = nn.ModuleList(classifiers)

    def get_input_embeddings(self) -> nn.Module:
        """The encoder's word embedding."""
        found: nn.Module = self.base_model.get_input_embeddings()
        return found

    def forward(self, task: int, **inputs: Tensor) -> Any:
        """What classifier `task` gives for these arguments: `.logits` (B, C)."""
        return self.tasks[task](**inputs)


@dataclass(frozen=True)
class Task:
    """One task: its parts, and the main measure, by which validation selects."""

    train: Encoded
    validation: Encoded
    measure: str


@dataclass(frozen=True)
class Best:
    """The epoch that a task's validation part selects, the score there, and the whole model's weights."""

    epoch: int
    score: float
    weights: Mapping[str, Tensor]


class MultiTaskRun(MethodRun):
    """One training of all tasks, each of which keeps the weights that its own validation part selects.

    The mean over the tasks of their main measures ends the training where patience is asked for, and stands
    as the score of the run itself.

    Args:
        model: its classifiers in the order of `tasks`.
    """

    model: MultiTask

    def __init__(
        self,
        model: MultiTask,
        encoder: Encoder,
        recipe: str | Recipe,
        settings: TrainSettings,
        tasks: Sequence[Task],
        seed: int,
        device: torch.device | None = None,
    ) -> None:
        self.steps_of_task = [steps_an_epoch(task.train, settings) for task in tasks]
        super().__init__(model, recipe, settings, sum(self.steps_of_task), seed, device)
        self.encoder, self.tasks = encoder, tasks
        self.answering = [Answering(own, encoder, self.device) for own in model.tasks]
        self.scores: list[list[float]] = []  # an entry an epoch: the main measure of each task
        self.best = [Best(0, -math.inf, {}) for _ in tasks]

    def batches(self, epoch: int) -> Iterator[dict[str, Any]]:
        """See `MethodRun`: those of every task, in an order of all together."""
        every = [
            (number, rows)
            for number, task in enumerate(self.tasks)
            for rows in rows_of(task.train, self.train, self.seed, epoch)
        ]
        for at in np.random.default_rng((self.seed, epoch, len(every))).permutation(len(every)):
            number, rows = every[at]
            yield {"task": number, **self.answering[number].labelled(self.tasks[number].train, rows)}

    @property
    def validates(self) -> bool:
        """See `Loop`: every task has such a part."""
        return all(len(task.validation) > 0 for task in self.tasks)

    def validate(self) -> float:
        """See `Loop`; the mean over the tasks."""
        found = [
            float(measure(task.measure).compute(own.predict(task.validation)))
            for task, own in zip(self.tasks, self.answering, strict=True)
        ]
        self.scores.append(found)
        better = [n for n, score in enumerate(found) if score > self.best[n].score]
        if better and self.train.selection != "last":
            weights = copy.deepcopy(self.model.state_dict())
            for number in better:
                self.best[number] = Best(len(self.scores), found[number], weights)
        return float(np.mean(found))

    @property
    def answerings(self) -> Sequence[Answering]:
        """See `MethodRun`."""
        return self.answering

    def own_state(self) -> State:
        """See `Loop`."""
        best = [[own.epoch, own.score, dict(own.weights)] for own in self.best]
        return super().own_state() | {"scores": self.scores, "best": best}

    def go_on(self, state: State) -> None:
        """See `Loop`."""
        super().go_on(state)
        self.scores, self.best = state["scores"], [Best(*own) for own in state["best"]]

    def fit(self, progress: Progress = lambda share, entry: None, turn: Turn | None = None) -> None:
        """See `Loop`."""
        super().fit(progress, turn)
        if self.train.selection == "last":
            last = self.scores[-1] if self.scores else [math.nan] * len(self.tasks)
            self.best = [Best(self.best_epoch, score, self.best_weights) for score in last]

    def select(self, number: int) -> Answering:
        """Put the weights in that a task has selected; its classifier, which answers with them."""
        self.model.load_state_dict(self.best[number].weights)
        self.model.to(self.device)
        return self.answering[number]

    def entry_of(self, number: int, entry: Mapping[str, Any]) -> dict[str, Any]:
        """An epoch's entry of the curve as one task has it: terms of all steps, the score its own.

        Of an empty one, as there are within an epoch, an empty one.
        """
        if not entry:
            return {}
        own = {"validation_accuracy": self.scores[entry["epoch"] - 1][number]} if self.scores else {}
        return {**entry, **own}
