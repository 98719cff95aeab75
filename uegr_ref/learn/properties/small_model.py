"""A small model and batch that several properties and tests share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...dropout import dropout_mask
from ...model import Dropout, initialise
from ...support.checks import Bools, Ints, Parameters

WORDS, DIMENSIONS, HIDDEN, CLASSES = 12, 4, 5, 3


class Case(NamedTuple):
    """Parameters and a batch: tokens (B, T), mask (B, T), labels (B,)."""

    parameters: Parameters
    tokens: Ints
    mask: Bools
    labels: Ints


def case(rng: np.random.Generator, examples: int = 4, length: int = 5) -> Case:
    """Random parameters, words and lengths (at least one word a text); word 0 stands on padding only."""
    lengths = rng.integers(1, length + 1, examples)
    mask = np.arange(length) < lengths[:, None]
    tokens = np.where(mask, rng.integers(1, WORDS, (examples, length)), 0)
    parameters = initialise(WORDS, DIMENSIONS, HIDDEN, CLASSES, rng)
    return Case(parameters, tokens, mask, rng.integers(0, CLASSES, examples))


def dropout(rng: np.random.Generator, tokens: Ints, rate: float = 0.3) -> Dropout:
    """Masks at both sites with rates around `rate`."""
    at_words, at_hidden = (rng.uniform(0.5 * rate, 1.5 * rate, size) for size in (DIMENSIONS, HIDDEN))
    return (
        (dropout_mask(at_words, (*tokens.shape, DIMENSIONS), rng), at_words),
        (dropout_mask(at_hidden, (len(tokens), HIDDEN), rng), at_hidden),
    )
