"""What takes the place of CUDA graphs where there is no GPU, and of a clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from zoo.core.errors import OutOfTime
from zoo.training.turns import State, Turn


class StandIn:
    """Records a function without calling it and calls it at each replay, as a CUDA graph does its work."""

    def __init__(self, generator: torch.Generator) -> None:
        self.recorded = self.replayed = 0

    def scope(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            work()

        return replay


class Short(Turn):
    """A turn that is over when it has been asked so often."""

    def __init__(self, path: Path, looks: int) -> None:
        super().__init__(path)
        self.left = looks

    def keep(self, state: Callable[[], State]) -> None:
        self.left -= 1
        if self.left == 0:
            self.save(state())
            raise OutOfTime("the time of this turn is over")
