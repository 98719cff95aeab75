"""The smallest difference that an experiment can tell from 0, given the spread that was found.

A difference is told where the interval of the reports lies wholly above 0. With the parts of its variance
(`zoo.evidence.intervals`) taken as the true ones, S seeds, and chi2 for each part that is estimated with few
degrees of freedom,

    power(delta) = E[ Phi((delta - h) / sigma) ],   sigma^2 = V_seeds + V_folds + V_examples
    h^2 = t^2 V_seeds chi2_(S-1) / (S - 1) + t^2 V_folds chi2_(F-1) / (F - 1) + z^2 V_examples

and the smallest detectable difference is the delta whose power is 0.8. For other numbers of seeds V_seeds
goes as 1 / S; more seeds do not lower V_examples, which is the choice of texts. For seeds alone this is the
power of the t test, from the noncentral t distribution. Sources: Bloom, Evaluation Review 19 (1995) 547, for
the notion; Hillis, Obuchowski & Berbaum, Acad. Radiol. 18 (2011) 129, for readers (here seeds) by cases.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from zoo.evidence.intervals import Estimate
from zoo.evidence.parts import Part, combined, half_widths

__all__ = ["Plan", "known_within", "seeds_needed"]

MOST_SEEDS = 100
POINTS = 512


@dataclass(frozen=True)
class Plan:
    """An experiment like the one that gave `estimates`, one a corpus, and their mean, with `seeds` seeds.

    `seeds` is None for as many as each corpus has. Unit: fractions of 1.
    """

    estimates: tuple[Estimate, ...]
    seeds: int | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Raises ValueError where no spread over seeds is known."""
        least = min((e.seeds for e in self.estimates), default=0)
        if least < 2 or (self.seeds is not None and self.seeds < 2):
            raise ValueError(
                f"estimates are over {least} seeds at least, planned are {self.seeds}; expected two or more"
            )

    @cached_property
    def parts(self) -> tuple[tuple[Part, Part, Part, float], ...]:
        """For each corpus the parts of seeds, folds and examples, and the floor, at the planned seeds."""
        found = []
        for e in self.estimates:
            more = 1 if self.seeds is None else e.seeds / self.seeds
            floor = e.floor * more
            # Outcomes that are independent vary by the floor; accuracies that agree by accident show less.
            least = floor - e.folds_part.variance - e.examples_part.variance
            seeds = Part(max(e.seeds_part.variance * more, least), (self.seeds or e.seeds) - 1)
            found.append((seeds, e.folds_part, e.examples_part, floor))
        return tuple(found)

    @cached_property
    def standard_error(self) -> float:
        """Standard deviation of the mean difference over repetitions of the experiment."""
        total = sum(part.variance for *parts, _ in self.parts for part in parts)
        return math.sqrt(total) / len(self.parts)

    @cached_property
    def half_widths(self) -> np.ndarray:
        """(POINTS,) half-widths of the interval, evenly over what the experiment may find."""
        drawn = iter(_even(2 * len(self.parts)))
        columns: tuple[list[np.ndarray], ...] = ([], [], [])  # variances over seeds, folds and examples
        for seeds, folds, examples, _ in self.parts:
            columns[0].append(_found(seeds, next(drawn)))
            columns[1].append(_found(folds, next(drawn)))
            columns[2].append(np.full(POINTS, examples.variance))
        degrees = np.array([[part.degrees for part in own] for *own, _ in self.parts]).T[:, :, None]
        means = [combined(np.stack(own), df) for own, df in zip(columns, degrees, strict=True)]
        variances, freedom = (np.stack(own) for own in zip(*means, strict=True))
        floor = sum(floor for *_, floor in self.parts) / len(self.parts) ** 2
        return half_widths(1 - self.confidence, variances, freedom, floor)

    def power(self, difference: float) -> float:
        """The chance that the interval lies wholly above 0 if this is the true difference."""
        from scipy.special import ndtr

        return float(ndtr((difference - self.half_widths) / self.standard_error).mean())

    def detectable(self, power: float = 0.8) -> float:
        """The smallest difference that is told with this chance."""
        if not 0 < power < 1:
            raise ValueError(f"power is {power}, expected a number between 0 and 1")
        low, high = 0.0, self.standard_error
        while self.power(high) < power:
            low, high = high, 2 * high
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if self.power(middle) >= power else (middle, high)
        return high


def seeds_needed(plan: Plan, difference: float, power: float = 0.8) -> int | None:
    """How many seeds tell this difference with this chance; None beyond MOST_SEEDS."""

    def enough(seeds: int) -> bool:
        return replace(plan, seeds=seeds).power(difference) >= power

    if not enough(MOST_SEEDS):
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def known_within(degrees: float, confidence: float = 0.95) -> tuple[float, float]:
    """True over found standard deviation of a normal sample: the interval's two ends (chi square)."""
    from scipy.special import chdtri

    tail = (1 - confidence) / 2
    low, high = (math.sqrt(degrees / float(chdtri(degrees, p))) for p in (tail, 1 - tail))
    return low, high


def _even(dimensions: int) -> np.ndarray:
    """(dimensions, POINTS) in (0, 1), no random numbers: points k sqrt(p) mod 1, p prime, fill a cube evenly.

    Source: Weyl, Math. Ann. 77 (1916) 313.
    """
    primes = (p for p in itertools.count(2) if all(p % q for q in range(2, math.isqrt(p) + 1)))
    k = np.arange(POINTS) + 0.5
    return np.stack([k / POINTS, *(k * math.sqrt(p) % 1 for p in itertools.islice(primes, dimensions - 1))])


def _found(part: Part, quantiles: np.ndarray) -> np.ndarray:
    """The variances that experiments may find of a part, at these quantiles of chi square."""
    if math.isinf(part.degrees):
        return np.full(len(quantiles), part.variance)
    from scipy.special import chdtri

    found: np.ndarray = part.variance * chdtri(part.degrees, 1 - quantiles) / part.degrees
    return found
