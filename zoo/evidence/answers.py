"""What a study of variants says: each variant against the reference, corpus by corpus and over all of them.

A setting is chosen for corpora that nobody has seen, so corpora are what the interval of the mean is over:
the mean difference of each corpus (over models and seeds) is one value, and t has as many degrees of freedom
as there are corpora less one. Unit: fractions of 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.core.result import Result
from zoo.evidence.intervals import by_run
from zoo.evidence.questions import Rate
from zoo.evidence.statistics import mean_if_all

Measure = Callable[[Result], float | None]
Place = tuple[str, str, int]  # arch, corpus, seed
_ARCH, _CORPUS = 0, 1  # axes of a place


@dataclass(frozen=True)
class Row:
    """A variant under one learning rate; None: the preset's.

    Args:
        means: of the measure on each corpus, over models and seeds; None where a run is missing or failed.
        differences: to the reference under the same rate, paired by model and seed.
        models: mean and difference of each model, over corpora and seeds.
    """

    variant: str
    rate: Rate
    means: Mapping[str, float | None]
    differences: Mapping[str, float | None]
    models: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """Over the corpora, each with the same weight; None with a gap."""
        return mean_if_all(list(self.means.values()))

    @property
    def difference(self) -> float | None:
        """The mean difference over the corpora; None with a gap."""
        return mean_if_all(list(self.differences.values()))

    @property
    def half_width(self) -> float | None:
        """Of the 95 % interval of `difference` over corpora; None from fewer than two, or with a gap."""
        values = [value for value in self.differences.values() if value is not None]
        if len(values) < 2 or len(values) < len(self.differences):
            return None
        estimate = by_run(np.array(values)[:, None], floor=0.0)  # corpora in the place of seeds
        return estimate.high - estimate.difference

    @property
    def worst(self) -> tuple[str, float] | None:
        """The corpus with the lowest difference, and that."""
        known = {name: value for name, value in self.differences.items() if value is not None}
        return min(known.items(), key=lambda item: item[1]) if known else None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "variant": self.variant, "learning_rate": self.rate, "means": dict(self.means),
            "mean": self.mean, "differences": dict(self.differences), "difference": self.difference,
            "half_width": self.half_width, "models": {name: list(own) for name, own in self.models.items()},
        }  # fmt: skip


def rows(
    measure: Measure,
    reference: str,
    owners: Mapping[tuple[str, Rate], Sequence[str]],
    results: Mapping[str, Result],
) -> list[Row]:
    """A row for every variant and learning rate, in the order of `owners`.

    Args:
        owners: (variant, learning rate) -> ids of its cells.
        results: those that are there, by id.
    """
    values = {key: _values(measure, ids, results) for key, ids in owners.items()}
    made = []
    for (variant, rate), own in values.items():
        against = values.get((reference, rate), {})
        less = {place: _less(value, against.get(place)) for place, value in own.items()}
        means, differences = _means(own, _CORPUS), _means(less, _CORPUS)
        by_model = _means(own, _ARCH), _means(less, _ARCH)
        models = {name: (mean, by_model[1][name]) for name, mean in by_model[0].items()}
        made.append(Row(variant, rate, means, differences, models))
    return made


def best(found: Sequence[Row], variant: str) -> Row | None:
    """The row of a variant's best learning rate by the mean of the measure; None where none has a mean."""
    own = [row for row in found if row.variant == variant and row.mean is not None]
    return max(own, key=lambda row: row.mean or 0.0, default=None)


def _values(measure: Measure, ids: Sequence[str], results: Mapping[str, Result]) -> dict[Place, float | None]:
    found: dict[Place, float | None] = {}
    for name in ids:
        result = results.get(name)
        if result is None:
            continue
        cell = result.cell
        found[cell.arch, cell.corpus, cell.seed] = measure(result) if result.done else None
    return found


def _means(values: Mapping[Place, float | None], axis: int) -> dict[str, float | None]:
    """By the names on one axis of the places; None where a value is missing."""
    names = dict.fromkeys(str(place[axis]) for place in values)
    return {n: mean_if_all([v for place, v in values.items() if place[axis] == n]) for n in names}


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other
