"""The parts of the variance of a mean, and the interval and p value that they give; see `intervals`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "DOUBT", "NO_PART", "Part", "combined", "dependent", "half_width", "half_widths", "independent",
    "p_value_of",
]  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A part of the variance of a mean, and the degrees of freedom it is known with."""

    variance: float = 0.0
    degrees: float = math.inf


NO_PART = Part()
DOUBT = 4.0  # see `intervals.average`


def independent(parts: Sequence[Part]) -> Part:
    """The part of a mean of independent differences, from theirs; see `intervals.average`."""
    variance, degrees = combined(*_columns(parts))
    return Part(float(variance), float(degrees))


def combined(variances: np.ndarray, degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`independent` of A parts: (A, ...), with degrees that broadcast to it -> those of the mean, (...)."""
    doubted = variances.copy()
    largest = variances.argmax(0)[None]
    np.put_along_axis(doubted, largest, DOUBT * np.take_along_axis(variances, largest, 0), 0)
    below = (doubted**2 / degrees).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(below > 0, doubted.sum(0) ** 2 / below, math.inf)
    return variances.sum(0) / len(variances) ** 2, found


def _columns(parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([part.variance for part in parts]), np.array([part.degrees for part in parts])


def dependent(parts: Sequence[Part]) -> Part:
    """The part of a mean of differences that share all of it; see `intervals.pool`."""
    root = sum(math.sqrt(part.variance) for part in parts) / len(parts)
    return Part(root**2, min(part.degrees for part in parts))


def half_width(level: float, parts: Sequence[Part], floor: float) -> float:
    """Half the width of the interval that misses with probability `level`."""
    return float(half_widths(level, *_columns(parts), floor))


def half_widths(level: float, variances: np.ndarray, degrees: np.ndarray, floor: float) -> np.ndarray:
    """The same of many intervals at once: (parts, ...) each -> (...)."""
    if not 0 < level < 1:
        raise ValueError(f"confidence is {1 - level}, expected a number between 0 and 1")
    # The ufuncs of scipy.special load in half the time that scipy.stats takes.
    from scipy.special import ndtri, stdtrit

    z = float(ndtri(level / 2))
    quantiles = np.where(np.isinf(degrees), z, stdtrit(degrees, level / 2))
    return np.sqrt(np.maximum((quantiles**2 * variances).sum(0), z**2 * floor))


def p_value_of(difference: float, parts: Sequence[Part], floor: float) -> float:
    """The level at which the half-width is |difference|, not below 1e-99; 1 where nothing differs."""
    if not abs(difference) > 0:  # nor is a missing value a difference
        return 1.0
    # The half-width falls as the level rises: bisect, on the exponent because p may be small.
    low, high = -99.0, 0.0
    columns = _columns(parts)
    for _ in range(44):
        middle = (low + high) / 2
        wide = half_widths(10**middle, *columns, floor) > abs(difference)
        low, high = (middle, high) if wide else (low, middle)
    return float(10**high)
