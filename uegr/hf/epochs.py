"""When an epoch of a Trainer's begins."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback


class Epochs(TrainerCallback):
    """Hears of each epoch that begins.

    The event says it and no number does: where the data has no length, `state.epoch` is a share of all steps
    and passes over whole numbers nowhere.
    """

    def __init__(self) -> None:
        self._begun, self._amid = False, False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A training that is resumed in the middle of an epoch goes on with it."""
        self._begun, self._amid = False, (state.epoch or 0.0) % 1 != 0

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One begins, or the resumed one goes on."""
        self._begun, self._amid = not self._amid, False

    def begun(self) -> bool:
        """Whether an epoch has begun since the last call."""
        begun, self._begun = self._begun, False
        return begun
