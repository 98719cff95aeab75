"""SGD, of which Theorem 1 speaks, and AdamW, which the paper trains with. Nothing is changed in place.

    sgd      theta <- theta - eta ghat
    adamw    u <- b1 u + (1-b1) ghat;  v <- b2 v + (1-b2) ghat^2
             theta <- theta - eta ( (u / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps) + decay theta )

ghat is whatever gradient is handed over, masked and rescaled or not. The decay is decoupled from it and moves
masked entries too; biases do not decay.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .checks import Floats
from .model import Parameters


class Moments(NamedTuple):
    """State of AdamW: steps done, running means of the gradient and of its square."""

    steps: int
    first: Parameters
    second: Parameters


def no_moments(parameters: Parameters) -> Moments:
    """The state before the first step."""
    zeros = {name: np.zeros_like(value) for name, value in parameters.items()}
    return Moments(0, zeros, zeros)


def sgd(parameters: Parameters, gradient: Parameters, learning_rate: float) -> Parameters:
    """One step of gradient descent."""
    return {name: value - learning_rate * gradient[name] for name, value in parameters.items()}


def adamw(
    parameters: Parameters,
    gradient: Parameters,
    moments: Moments,
    learning_rate: float,
    decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Parameters, Moments]:
    """One step of AdamW and its new state. decay: per learning rate, not on names ending in "bias"."""
    (b1, b2), t = betas, moments.steps + 1
    first = {name: b1 * u + (1 - b1) * gradient[name] for name, u in moments.first.items()}
    second = {name: b2 * v + (1 - b2) * gradient[name] ** 2 for name, v in moments.second.items()}

    def stepped(name: str, value: Floats) -> Floats:
        direction = (first[name] / (1 - b1**t)) / (np.sqrt(second[name] / (1 - b2**t)) + eps)
        return value - learning_rate * (direction + (0.0 if name.endswith("bias") else decay) * value)

    return {name: stepped(name, value) for name, value in parameters.items()}, Moments(t, first, second)


def linear_schedule(step: int, steps: int, warmup: float = 0.06) -> float:
    """The paper's factor on the learning rate at `step` 0 .. steps-1: up for 6 %, then down to 0."""
    rise = max(round(warmup * steps), 1)
    return min((step + 1) / rise, (steps - step) / max(steps - rise, 1), 1.0)
