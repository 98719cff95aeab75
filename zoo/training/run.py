"""The training run of one cell of a model of the zoo: its steps, its predictions, the attack on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import torch

from zoo.core.batch import Batch
from zoo.core.measures import Outcome, accuracy
from zoo.method.contract import TextClassifier
from zoo.method.step import first_pass, prepare
from zoo.text import Corpus, Split, batches
from zoo.training.ensemble import Ensemble
from zoo.training.graphs import GraphedSteps, Recorder, why_not_recorded
from zoo.training.loop import Loop
from zoo.training.robustness import ATTACK, attacked_logits, attacked_rows
from zoo.training.settings import CellSettings
from zoo.training.steps import OrdinarySteps, Steps
from zoo.training.turns import State

ATTACKED_BATCH = 64


class Run(Loop):
    """The state of one training run: model, steps, curve, best weights."""

    model: TextClassifier | Ensemble
    steps: Steps

    def __init__(
        self,
        model: TextClassifier,
        seed: int,
        settings: CellSettings,
        corpus: Corpus,
        device: torch.device,
        recorder: Callable[[torch.Generator], Recorder] | None = None,
        steps: Steps | None = None,
    ) -> None:
        """`recorder` makes what records steps for replay (`zoo.training.graphs`); None = ordinary steps.

        `steps` are others that train this model, if not those.
        """
        super().__init__(model, settings.train)
        self.seed, self.settings, self.device, self.corpus = seed, settings, device, corpus
        # A stream of its own for the masks: weights and batch order do not depend on the recipe.
        generator = torch.Generator(device).manual_seed(7_919 * seed + 1)
        self.trainee = prepare(model, settings.recipe, generator)
        parts = (self.trainee, settings.train, corpus.train, seed, device)
        self._why_not = (why_not_recorded(settings.recipe) or "") if recorder is not None else ""
        if steps is not None:
            self.steps = steps
        elif recorder is not None and not self._why_not:
            self.steps = GraphedSteps(*parts, recorder(generator))
        else:
            self.steps = OrdinarySteps(*parts)

    @property
    def not_recorded(self) -> str:
        """Why steps are not replayed although a recorder was there; else empty."""
        return self._why_not or self.steps.not_recorded

    def begin(self) -> None:
        """See `Loop`: the pass over the training part that some backward stages begin with."""
        first_pass(
            self.trainee,
            batches(
                self.corpus.train, self.settings.train.batch_size, seed=self.seed, epoch=0,
                bucketed=self.settings.train.bucketed, words_per_sentence=self.model.line,
                device=self.device,
            ),
        )  # fmt: skip

    def steps_of(self, epoch: int) -> tuple[float, dict[str, float]]:
        """See `Loop`."""
        if self.trainee.backward is not None and not self.steps.within:
            self.trainee.backward.new_epoch()
        return self.steps.epoch(epoch, partial(self.stepped, epoch))

    def own_state(self) -> State:
        """See `Loop`."""
        return {"trainee": self.trainee.state_dict(), "steps": self.steps.state()}

    def go_on(self, state: State) -> None:
        """See `Loop`."""
        self.trainee.load_state_dict(state["trainee"])
        self.steps.load(state["steps"])

    @property
    def validates(self) -> bool:
        """See `Loop`."""
        return len(self.corpus.validation) > 0

    def validate(self) -> float:
        """See `Loop`."""
        return accuracy(self.predict(self.corpus.validation))

    def predict(self, split: Split) -> Outcome:
        """What the model says of a split, in the order of the split."""
        began = time.perf_counter()
        shape = len(split), len(self.corpus.labels)
        logits = logits_of(self.model, self.steps.evaluation_batches(split), shape, self.device)
        outcome = _outcome(logits, split)
        self.evaluate_seconds += time.perf_counter() - began
        return outcome

    def attacked(self, split: Split) -> tuple[Outcome, dict[str, Any]]:
        """A seeded sample of the split under FGSM, and how it was attacked."""
        began = time.perf_counter()
        sample = split.take(attacked_rows(len(split)))
        logits = torch.zeros(len(sample), len(self.corpus.labels), device=self.device)
        for batch in batches(
            sample, ATTACKED_BATCH, seed=0, epoch=0, shuffle=False, words_per_sentence=self.model.line,
            device=self.device,
        ):  # fmt: skip
            logits[batch.index] = attacked_logits(self.model, batch)
        self.evaluate_seconds += time.perf_counter() - began
        return _outcome(logits, sample), {**ATTACK, "rows": len(sample)}


def logits_of(
    model: TextClassifier | Ensemble, batches: Iterable[Batch], shape: tuple[int, int], device: torch.device
) -> torch.Tensor:
    """(n, C) logits of the n texts that the batches hold, each at its index; nothing is dropped."""
    model.eval()
    with torch.inference_mode():
        logits = torch.zeros(shape, device=device)
        for batch in batches:
            logits[batch.index] = model.classify(model.embed(batch.tokens), batch.mask)
    return logits


def probabilities_of(logits: torch.Tensor) -> np.ndarray:
    """(n, C) class probabilities, in double precision: close logits must not become equal."""
    found: np.ndarray = logits.double().softmax(1).cpu().numpy()
    return found


def _outcome(logits: torch.Tensor, split: Split) -> Outcome:
    return Outcome(probabilities_of(logits), np.asarray(split.labels))
