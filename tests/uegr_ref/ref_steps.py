"""One step of Algorithm 1 on a small case, and what of it several tests look at."""

from __future__ import annotations

import numpy as np
from ref_model import DIMENSIONS, HIDDEN

from uegr_ref.algorithm1 import State, train_step
from uegr_ref.dropout import dropout_mask
from uegr_ref.optimizer import no_moments
from uegr_ref.settings import Settings
from uegr_ref.stages import flatten

# Under SGD all places of the mask are one; on the gradient they are so to the last bit.
SGD = Settings(optimizer="sgd", learning_rate=1.0, base_rates=(0.1,), mask_on="gradient")
AT = {"adversarial": 1, "alpha": 0.0, "dropout": "uniform", "update": "all"}


def start(one) -> State:
    return State(0, one.parameters, no_moments(one.parameters))


def step(one, settings: Settings, seed: int, state: State | None = None):
    return train_step(state or start(one), one[1:], settings, np.random.default_rng(seed))


def gradient_of_step(one, settings: Settings, seed: int) -> np.ndarray:
    """What an SGD step at rate 1 subtracted."""
    return flatten(one.parameters) - flatten(step(one, settings, seed)[0].parameters)


def exact_gradient(one, settings: Settings, seed: int, state: State | None = None) -> np.ndarray:
    """The gradient of the total loss as the step has it: with its ties and zeros, which ranks mind."""
    return step(one, settings._replace(saliency="epoch"), seed, state)[0].epoch_gradients[-1]


def probabilities(one, settings: Settings, seed: int, state: State | None = None) -> np.ndarray:
    """The p that a step used (not one that it holds from earlier in its epoch)."""
    fresh = (state or start(one))._replace(epoch_mask=None)
    return step(one, settings._replace(resample="epoch"), seed, fresh)[0].epoch_mask[1]


def masks_of(seed: int, one, rates):
    """The dropout masks that a step draws, pass by pass: `rates` is a list of (site 0, site 1)."""
    rng = np.random.default_rng(seed).spawn(2)[0]
    shapes = ((*one.tokens.shape, DIMENSIONS), (len(one.tokens), HIDDEN))
    return [[(dropout_mask(q, s, rng), q) for q, s in zip(pair, shapes, strict=True)] for pair in rates]


def uniform(rate: float):
    return np.full(DIMENSIONS, rate), np.full(HIDDEN, rate)
