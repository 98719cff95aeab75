"""The last exercise's reward: a classifier of hotel reviews, trained with the learner's own functions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .. import __main__ as demo
from ..algorithm1 import State
from ..model import initialise
from ..optimizer import no_moments
from ..support.grammar import LABELS, corpora
from . import earlier

EPOCHS = 8  # after half of them the accuracy is still near chance


def train(train_step: Callable[..., Any], epochs: int = EPOCHS) -> Iterator[dict[str, float]]:
    """A row an epoch: mean loss, share of entries kept, accuracy on reviews that were not trained on."""
    put_in_place(earlier.own)
    (train, test), words = corpora("english", (demo.TRAIN, demo.TEST), np.random.default_rng([0, 0]))
    theta = initialise(len(words), demo.DIMENSIONS, demo.HIDDEN, len(LABELS), np.random.default_rng([0, 1]))
    steps = -(-demo.TRAIN // demo.BATCH_SIZE)
    settings = demo.METHODS["uegr"]._replace(steps=epochs * steps)
    state, rng = State(0, theta, no_moments(theta)), np.random.default_rng([0, 3])
    reports = []
    for batch in demo.batches(train, epochs, np.random.default_rng([0, 2])):
        state, report = train_step(state, batch, settings, rng)
        reports.append(report)
        if len(reports) == steps:
            yield {
                "epoch": state.step // steps,
                "loss": float(np.mean([one.loss for one in reports])),
                "kept_share": float(np.mean([one.kept_share for one in reports])),
                "test_accuracy": demo.accuracy(state.parameters, test),
            }
            reports = []


def put_in_place(own: Mapping[str, Callable[..., Any]]) -> None:
    """Wherever the reference calls one of these functions, the learner's is called from now on."""
    instead = {id(earlier.reference(name)): function for name, function in own.items()}

    def replaced(value: Any) -> Any:
        if isinstance(value, tuple) and type(value) is tuple:
            return tuple(replaced(one) for one in value)
        return instead.get(id(value), value)

    for name, module in list(sys.modules.items()):
        if name.startswith("uegr_ref.") and not name.startswith("uegr_ref.learn"):
            for label, value in list(vars(module).items()):
                if label.isupper() and isinstance(
                    value, dict
                ):  # the tables of divergences and normalisations
                    value.update({key: replaced(one) for key, one in value.items()})
                elif id(value) in instead:
                    setattr(module, label, instead[id(value)])
