"""A small model and batch that several tests of the reference share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from uegr_ref.dropout import dropout_mask
from uegr_ref.model import Dropout, initialise
from uegr_ref.support.checks import Parameters

WORDS, DIMENSIONS, HIDDEN, CLASSES = 12, 4, 5, 3


class Case(NamedTuple):
    parameters: Parameters
    tokens: np.ndarray
    mask: np.ndarray
    labels: np.ndarray


def case(rng: np.random.Generator, examples: int = 4, length: int = 5) -> Case:
    """Random parameters, words and lengths (at least one word a text); word 0 stands on padding only."""
    lengths = rng.integers(1, length + 1, examples)
    mask = np.arange(length) < lengths[:, None]
    tokens = np.where(mask, rng.integers(1, WORDS, (examples, length)), 0)
    parameters = initialise(WORDS, DIMENSIONS, HIDDEN, CLASSES, rng)
    return Case(parameters, tokens, mask, rng.integers(0, CLASSES, examples))


def dropout(rng: np.random.Generator, tokens: np.ndarray, rate: float = 0.3) -> Dropout:
    """Masks at both sites with rates around `rate`."""
    rates = [rng.uniform(0.5 * rate, 1.5 * rate, size) for size in (DIMENSIONS, HIDDEN)]
    shapes = [(*tokens.shape, DIMENSIONS), (len(tokens), HIDDEN)]
    return [(dropout_mask(q, shape, rng), q) for q, shape in zip(rates, shapes, strict=True)]
