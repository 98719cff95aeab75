"""A training step in a process of its own, which runs it whenever it is told to.

So each side has its own memory and allocator settings, and they still take turns step by step.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from bench.cases import Case
from bench.timing import Milliseconds
from zoo.core.processes import environment


class Twin:
    """Use as a context manager; after `take`, `step` is a variant for `interleaved`."""

    def __init__(self, threads: int, environment: dict[str, str] | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, self.other = context.Pipe()
        self.environment = environment or {}
        self.process = context.Process(target=_serve, args=(self.other, threads), daemon=True)

    def __enter__(self) -> Twin:
        with environment(self.environment):
            self.process.start()
        self.other.close()  # so that a dead process ends the wait for its answer
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.join()

    def take(self, case: Case, what: str) -> float | None:
        """Build this case and run one step; returns the peak memory of it in MiB, where known.

        Args:
            what: the straightforward implementation with this mask (sort, zscore), or the zoo's step
                (zoo, or `zoo, memory kept`).
        """
        memory: float | None = self._ask("take", case, what)
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
            raise RuntimeError(f"the process that runs {question} ended") from None


def _serve(pipe: Connection, threads: int) -> None:
    import torch

    from bench.cases import Feed, make_straightforward, make_trainee
    from bench.parts import straightforward_parts
    from bench.timing import peak_memory_mb, timed
    from zoo.fast.memory import keep_freed_memory
    from zoo.method.step import train_step

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # no research code does: the ratio is to tell of the method
    torch.manual_seed(0)
    model: Any = None
    step: Callable[[], object] = int  # nothing taken yet
    feed: Any = None

    def build(case: Case, what: str) -> Callable[[], object]:
        nonlocal model
        if what.startswith("zoo"):
            if what == "zoo, memory kept":
                keep_freed_memory()
            trainee, optimizer = make_trainee(case)
            return lambda: train_step(trainee, feed(), optimizer)
        model = make_straightforward(case, what)

        def straightforward() -> None:
            batch = feed()
            model.step(batch.tokens, batch.mask, batch.labels)

        return straightforward

    while True:
        try:
            question, *details = pipe.recv()
            if question == "step":
                answer: Any = timed(step)()
            elif question == "parts":
                answer = straightforward_parts(model, feed, *details)
            else:
                model, step, feed = None, int, Feed(details[0])

                def take(case: Case = details[0], what: str = details[1]) -> Callable[[], object]:
                    nonlocal step
                    step = build(case, what)
                    return step

                answer = peak_memory_mb(take)
            pipe.send(answer)
        except (EOFError, BrokenPipeError, KeyboardInterrupt):  # the parent is gone
            return
