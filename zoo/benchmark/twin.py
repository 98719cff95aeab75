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
    """Use as a context manager; after `take`, `step` is a variant for `interleaved`."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, self.other = context.Pipe()
        self.process = context.Process(target=_serve, args=(self.other, threads), daemon=True)

    def __enter__(self) -> Twin:
        self.process.start()
        self.other.close()  # so that a dead process ends the wait for its answer
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.join()

    def take(self, case: Case, mask: str) -> float | None:
        """Build this case and run one step; returns the peak memory of it in MiB, where known."""
        memory: float | None = self._ask("take", case, mask)
        return memory

    def step(self) -> Milliseconds:
        """Run one step; its times as its own process sees them."""
        cpu, wall = self._ask("step")
        return cpu, wall

    def parts(self, rounds: int) -> dict[str, float]:
        """Median milliseconds of each part of the step."""
        found: dict[str, float] = self._ask("parts", rounds)
        return found

    def _ask(self, *question: Any) -> Any:
        self.pipe.send(question)
        try:
            return self.pipe.recv()
        except EOFError:
            raise RuntimeError(f"the straightforward process ended at {question}") from None


def _serve(pipe: Connection, threads: int) -> None:
    import torch

    from zoo.benchmark.cases import Feed, make_straightforward
    from zoo.benchmark.parts import straightforward_parts
    from zoo.benchmark.timing import peak_memory_mb, timed

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model: Any = None
    feed: Any = None

    def step() -> None:
        batch = feed()
        model.step(batch.tokens, batch.mask, batch.labels)

    while True:
        try:
            question, *details = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if question == "step":
            pipe.send(timed(step)())
        elif question == "parts":
            pipe.send(straightforward_parts(model, feed, *details))
        else:
            model, feed = None, Feed(details[0])

            def build(case: Case = details[0], mask: str = details[1]) -> Any:
                nonlocal model
                model = make_straightforward(case, mask)
                return step

            pipe.send(peak_memory_mb(build))
