"""Where the time of a step goes: the step's own calls, timed by wrapping them while it runs.

    forward    looking up the words, the model's passes (embed, classify, trunk, head)
    backward   every backward pass, the table's gradient included
    mask       saliency, keep probabilities, noise, masking the update or the gradient
    optimizer  AdamW and clearing the gradients
    other      losses, attack, drop rates, records

Wrapping costs some microseconds a call, so the parts come from runs of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from bench.cases import Feed
from zoo.method.step import Trainee, train_step

PARTS = ("forward", "backward", "mask", "optimizer", "other")


class Clock:
    """Adds up thread CPU time by part; a call inside another counts for the inner one only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.inside = 0.0  # seconds of the calls that ended inside the one that runs

    def wrap(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            before, self.inside = self.inside, 0.0
            began = time.thread_time()
            try:
                return call(*args, **kwargs)
            finally:
                spent = time.thread_time() - began
                self.seconds[part] = self.seconds.get(part, 0.0) + spent - self.inside
                self.inside = before + spent

        return timed


def step_parts(
    trainee: Trainee, optimizer: torch.optim.Optimizer, feed: Feed, rounds: int
) -> dict[str, float]:
    """Median milliseconds of each part of the zoo's step."""
    calls: list[tuple[Any, str, str]] = [
        (trainee.model, name, "forward")
        for name in ("embed", "classify", "trunk", "head")
        if hasattr(trainee.model, name)
    ]
    calls += [
        (trainee, "embed_backward", "backward"),
        (torch.Tensor, "backward", "backward"),
        (torch.autograd, "grad", "backward"),
    ]
    calls += [(optimizer, "step", "optimizer"), (optimizer, "zero_grad", "optimizer")]
    if trainee.backward is not None:
        calls += [(trainee.backward, "step", "mask")]
    return _measure(calls, lambda: train_step(trainee, feed(), optimizer), rounds)


def straightforward_parts(twin: Any, feed: Feed, rounds: int) -> dict[str, float]:
    """The same of the slow twin; perturbing and restoring the table count as other."""
    calls = [
        (twin, "_forward", "forward"),
        (torch.Tensor, "backward", "backward"),
        (twin, "select", "mask"),
        (twin.optimizer, "step", "optimizer"),
        (twin.optimizer, "zero_grad", "optimizer"),
    ]

    def step() -> None:
        batch = feed()
        twin.step(batch.tokens, batch.mask, batch.labels)

    return _measure(calls, step, rounds)


def _measure(calls: list[tuple[Any, str, str]], step: Callable[[], object], rounds: int) -> dict[str, float]:
    records = []
    for _ in range(rounds):
        clock = Clock()
        with ExitStack() as stack:
            for owner, name, part in calls:
                stack.enter_context(patch.object(owner, name, clock.wrap(part, getattr(owner, name))))
            began = time.thread_time()
            step()
            whole = time.thread_time() - began
        clock.seconds["other"] = whole - sum(clock.seconds.values())
        records.append(clock.seconds)
    return {part: 1e3 * median(record.get(part, 0.0) for record in records) for part in PARTS}
