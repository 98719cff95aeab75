"""SGD, of which Theorem 1 speaks, and AdamW, which the paper trains with. Nothing is changed in place.

    sgd      theta <- theta - eta ghat
    adamw    u <- b1 u + (1-b1) ghat;  v <- b2 v + (1-b2) ghat^2,  or g^2 where a g is given
             theta <- theta - eta ( (u / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps) + lambda theta )

    eta           learning_rate     times `learning_rate_factor`: up in the warm-up, then down
    lambda        weight_decay      decoupled from ghat: masked entries move too, unless the update is masked
    b1, b2, eps   beta1, beta2, adam_epsilon

ghat is whatever gradient is handed over, masked and rescaled or not; g is the one before the mask.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .support.checks import Floats, Parameters
from .support.contract import contract


class Moments(NamedTuple):
    """State of AdamW: steps done, running means of the gradient and of its square."""

    steps: int
    first: Parameters
    second: Parameters


@contract(parameters="each floats")
def no_moments(parameters: Parameters) -> Moments:
    """The state before the first step."""
    zeros = {name: np.zeros_like(value) for name, value in parameters.items()}
    return Moments(0, zeros, zeros)


@contract(parameters="each floats", gradient="each floats", learning_rate="number in [0, inf)")
def sgd(parameters: Parameters, gradient: Parameters, learning_rate: float) -> Parameters:
    """One step of gradient descent."""
    return {name: value - learning_rate * gradient[name] for name, value in parameters.items()}


@contract(
    parameters="each floats",
    gradient="each floats",
    moments={"steps": "natural", "first": "each floats", "second": "each floats"},
    learning_rate="number in [0, inf)",
    weight_decay="number in [0, inf)",
    beta1="number in [0, 1)",
    beta2="number in [0, 1)",
    adam_epsilon="number in [0, inf)",
    unmasked="each floats",
)
def adamw(
    parameters: Parameters,
    gradient: Parameters,
    moments: Moments,
    learning_rate: float,
    weight_decay: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
    adam_epsilon: float = 1e-8,
    unmasked: Parameters | None = None,
) -> tuple[Parameters, Moments]:
    """One step of AdamW and its new state. weight_decay: not on names ending in "bias". unmasked: g."""
    b1, b2, t = beta1, beta2, moments.steps + 1
    first = {name: b1 * u + (1 - b1) * gradient[name] for name, u in moments.first.items()}
    scale = gradient if unmasked is None else unmasked
    second = {name: b2 * v + (1 - b2) * scale[name] ** 2 for name, v in moments.second.items()}

    def stepped(name: str, value: Floats) -> Floats:
        direction = (first[name] / (1 - b1**t)) / (np.sqrt(second[name] / (1 - b2**t)) + adam_epsilon)
        return value - learning_rate * (direction + (0.0 if name.endswith("bias") else weight_decay) * value)

    return {name: stepped(name, value) for name, value in parameters.items()}, Moments(t, first, second)


@contract(step="natural", steps="count", warmup="number in [0, 1]")
def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate in step 0 .. steps - 1: up over `warmup` of the steps, then down to 0."""
    rising = max(1, math.ceil(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / max(1, steps - rising + 1)
