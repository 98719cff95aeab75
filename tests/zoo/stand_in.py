"""What takes the place of CUDA graphs where there is no GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


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
