"""The straightforward implementation in a process of its own, which runs one step whenever it is told to.

So each side has its own memory and allocator settings, and the two still take turns step by step.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from zoo.benchmark.cases import Case
from zoo.benchmark.timing import Milliseconds


class Twin:
    """Use as a context manager; `step` is a variant for `interleaved`."""

    def __init__(self, case: Case, mask: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, case, mask, threads), daemon=True)

    def __enter__(self) -> Twin:
        self.process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.join()

    def step(self) -> Milliseconds:
        """Run one step; its times as its own process sees them."""
        cpu, wall = self._ask("step")
        return cpu, wall

    def parts(self, rounds: int) -> dict[str, float]:
        """Median milliseconds of each part of the step."""
        found: dict[str, float] = self._ask("parts", rounds)
        return found

    def peak_memory_mb(self) -> float | None:
        """Memory of the model, the optimizer and a step."""
        found: float | None = self._ask("memory")
        return found

    def _ask(self, *question: Any) -> Any:
        self.pipe.send(question)
        return self.pipe.recv()


def _serve(pipe: Connection, case: Case, mask: str, threads: int) -> None:
    import torch

    from zoo.benchmark.cases import Feed, make_straightforward
    from zoo.benchmark.parts import straightforward_parts
    from zoo.benchmark.timing import peak_memory_mb, timed

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    feed, made = Feed(case), []

    def build() -> Any:
        made.append(make_straightforward(case, mask))
        return step

    def step() -> None:
        batch = feed()
        made[0].step(batch.tokens, batch.mask, batch.labels)

    memory = peak_memory_mb(build)
    while True:
        try:
            question, *details = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if question == "step":
            pipe.send(timed(step)())
        elif question == "parts":
            pipe.send(straightforward_parts(made[0], feed, *details))
        else:
            pipe.send(memory)
