"""One step of Algorithm 1 on a small case, and what of it several properties and tests look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...algorithm1 import Report, State
from ...algorithm1 import train_step as reference_train_step
from ...dropout import dropout_mask
from ...model import Dropout
from ...optimizer import no_moments
from ...settings import Settings
from ...stages import Norms, flatten
from ...support.checks import Floats
from .law import Broken, Function
from .small_model import DIMENSIONS, HIDDEN, Case

# Under SGD all places of the mask are one; on the gradient they are so to the last bit.
SGD = Settings(optimizer="sgd", learning_rate=1.0, base_rates=(0.1,), mask_on="gradient")
AT: dict[str, Any] = {"adversarial": 1, "alpha": 0.0, "dropout": "uniform", "update": "all"}


def start(one: Case) -> State:
    """The state before the first step."""
    return State(0, one.parameters, no_moments(one.parameters))


def step(
    one: Case, settings: Settings, seed: int, state: State | None = None,
    train_step: Function = reference_train_step,
) -> tuple[State, Report]:  # fmt: skip
    """One step from `state`, or the first one."""
    answer = train_step(state or start(one), one[1:], settings, np.random.default_rng(seed))
    if not isinstance(answer, tuple) or [type(part) for part in answer] != [State, Report]:
        raise Broken("what a step returns", "a pair (State, Report)", repr(answer)[:60])
    return answer


def averages(state: State) -> Norms:
    """The running mean of the norms that a step leaves in its state."""
    if state.average_norms is None:
        raise Broken("the running mean of the norms in the new State", "known after a step", "None")
    return state.average_norms


def gradient_of_step(
    one: Case, settings: Settings, seed: int, train_step: Function = reference_train_step
) -> Floats:
    """What an SGD step at rate 1 subtracted."""
    after = step(one, settings, seed, train_step=train_step)[0]
    return flatten(one.parameters) - flatten(after.parameters)


def exact_gradient(one: Case, settings: Settings, seed: int, state: State | None = None) -> Floats:
    """The gradient of the total loss as the step has it: with its ties and zeros, which ranks mind."""
    return step(one, settings._replace(saliency="epoch"), seed, state)[0].epoch_gradients[-1]


def probabilities(one: Case, settings: Settings, seed: int, state: State | None = None) -> Floats:
    """The p that a step used (not one that it holds from earlier in its epoch)."""
    fresh = (state or start(one))._replace(epoch_mask=None)
    held = step(one, settings._replace(resample="epoch"), seed, fresh)[0].epoch_mask
    assert held is not None
    return held[1]


def masks_of(seed: int, one: Case, rates: list[Norms]) -> list[Dropout]:
    """The dropout masks that a step draws, pass by pass: `rates` is a list of (site 0, site 1)."""
    rng = np.random.default_rng(seed).spawn(2)[0]
    at_words, at_hidden = (*one.tokens.shape, DIMENSIONS), (len(one.tokens), HIDDEN)
    return [((dropout_mask(q, at_words, rng), q), (dropout_mask(r, at_hidden, rng), r)) for q, r in rates]


def uniform(rate: float) -> Norms:
    """One rate for all units of either site."""
    return np.full(DIMENSIONS, rate), np.full(HIDDEN, rate)
