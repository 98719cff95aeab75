"""Epochs, selection on validation, the best weights: what every training run shares, whatever it trains."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from torch import nn

from zoo.core.errors import UserError
from zoo.training.lanes import switch
from zoo.training.settings import CellFailed, TrainSettings
from zoo.training.turns import State, Turn

# Called after every epoch with the share of the cell that is done (1 wherever it stops) and the epoch's entry
# of the curve; in a long epoch now and then with the share alone.
Progress = Callable[[float, dict[str, Any]], None]
BEAT = 10.0  # seconds between two calls within an epoch


class Loop:
    """A subclass says what an epoch of steps is, and how good the model is on the validation part."""

    def __init__(self, model: nn.Module, train: TrainSettings) -> None:
        self.model, self.train = model, train
        self.curve: list[dict[str, Any]] = []
        self.best_epoch, self.best_score, self.best_weights = 0, -math.inf, model.state_dict()
        self.train_seconds = self.evaluate_seconds = 0.0
        self.earlier_seconds = 0.0  # what of both earlier turns took
        self._progress: Progress = lambda share, entry: None
        self._told, self._began = 0.0, 0.0
        self._turn = Turn()

    def begin(self) -> None:
        """What comes before the first epoch, in training mode."""

    def steps_of(self, epoch: int) -> tuple[float, dict[str, float]]:
        """Train one epoch (from 1); its last learning rate, and the mean of every term of the records."""
        raise NotImplementedError

    @property
    def validates(self) -> bool:
        """Whether there is a validation part."""
        return True

    def validate(self) -> float:
        """The main measure on the validation part; higher is better."""
        raise NotImplementedError

    def own_state(self) -> State:
        """What a subclass goes on with after a step, beside the weights."""
        raise NotImplementedError

    def go_on(self, state: State) -> None:
        """Go on from an `own_state`."""
        raise NotImplementedError

    def fit(self, progress: Progress = lambda share, entry: None, turn: Turn | None = None) -> None:
        """All epochs, or those until patience ends; leaves the model with the selected weights.

        The learning rate follows the schedule over all epochs, whether they are reached or not.

        Args:
            turn: where the state is kept, and when to end (see `Turn`); None: nowhere and never.

        Raises:
            CellFailed: the loss is not finite.
            OutOfTime: the turn is over before the training is.
            UserError: there is no validation part, and the settings select by it.
        """
        self.start(progress, turn)
        while not self.stops:
            self.one_epoch()
        self.end()

    def start(self, progress: Progress, turn: Turn | None = None) -> None:
        """What `fit` does before the first epoch of this turn."""
        train = self.train
        self._progress, self._told = progress, time.monotonic()
        self._turn = turn or Turn()
        if not self.validates and train.selection != "last":
            raise UserError("there are no validation rows to select by; expected some, or selection=last")
        self.model.train()
        if (state := self._turn.load(next(self.model.parameters()).device)) is not None:
            self._restore(state)
        else:
            self._began = time.perf_counter()
            self.begin()
            self.train_seconds += time.perf_counter() - self._began

    def one_epoch(self) -> None:
        """One more epoch: steps, validation, the best weights."""
        train, score = self.train, math.nan
        epoch = len(self.curve) + 1
        entry = self._epoch(epoch)
        if self.validates:
            entry["validation_accuracy"] = score = float(self.validate())
        self.curve.append(entry)
        if score > self.best_score or train.selection == "last":
            self.best_epoch, self.best_score = epoch, score
            # By tensor: a deep copy of one that is a view (`zoo.method.several`) copies all that it views.
            self.best_weights = {name: one.clone() for name, one in self.model.state_dict().items()}
        self._progress(1.0 if self.stops else epoch / train.epochs, entry)
        self._told = time.monotonic()
        self._turn.keep(self._state)

    def end(self) -> None:
        """What `fit` does after the last epoch: the selected weights."""
        if self._turn.followed:
            self._turn.save(self._state())
        self.model.load_state_dict(self.best_weights)

    @property
    def stops(self) -> bool:
        """Whether the last epoch is over, or patience has ended."""
        reached = len(self.curve)
        return reached >= self.train.epochs or 0 < self.train.patience <= reached - self.best_epoch

    def stepped(self, epoch: int, done: int, steps: int) -> None:
        """A subclass calls it after each step, with how many of the epoch's steps are done.

        Raises:
            OutOfTime: the turn is over.
        """
        switch()
        if done == steps:
            return
        if (now := time.monotonic()) - self._told >= BEAT:
            self._told = now
            self._progress((epoch - 1 + done / steps) / self.train.epochs, {})
        self._turn.keep(lambda: self._state(done / steps, time.perf_counter() - self._began))

    def _state(self, within: float = 0.0, seconds: float = 0.0) -> State:
        """All of it; `within` is the share of the present epoch that is done, `seconds` what it took."""
        return {
            "share": (len(self.curve) + within) / self.train.epochs, "curve": self.curve,
            "best": [self.best_epoch, self.best_score], "best_weights": self.best_weights,
            "weights": self.model.state_dict(), "own": self.own_state(),
            "seconds": [self.train_seconds + seconds, self.evaluate_seconds],
        }  # fmt: skip

    def _restore(self, state: State) -> None:
        self.curve, self.best_weights = state["curve"], state["best_weights"]
        (self.best_epoch, self.best_score), (self.train_seconds, self.evaluate_seconds) = (
            state["best"], state["seconds"]
        )  # fmt: skip
        self.earlier_seconds = self.train_seconds + self.evaluate_seconds
        self.model.load_state_dict(state["weights"])
        self.go_on(state["own"])
        self._turn.resumed(state["share"])

    def _epoch(self, epoch: int) -> dict[str, Any]:
        self.model.train()
        self._began = time.perf_counter()
        rate, means = self.steps_of(epoch)
        self.train_seconds += time.perf_counter() - self._began
        entry = {"epoch": epoch, "learning_rate": rate, **by_site(means)}
        if not math.isfinite(entry["loss"]):
            raise CellFailed(f"the loss is {entry['loss']} in epoch {epoch}")
        return entry


def by_site(means: dict[str, float]) -> dict[str, Any]:
    """The terms of an epoch with the drop rates, drop_rate/<site>, in a dictionary of their own."""
    rates = {key.split("/", 1)[1]: means.pop(key) for key in list(means) if key.startswith("drop_rate/")}
    return means | ({"drop_rate": rates} if rates else {})
