"""What a study of variants says: each variant against the reference, corpus by corpus and over all of them.

The mean over the corpora has an interval by what the study is for (`Question.chooses`):

- a setting is chosen for corpora that nobody has seen, so corpora are what it is over: the mean difference of
  each corpus (over models and seeds) is one value, and t has as many degrees of freedom as there are corpora
  less one. From fewer than three corpora there is none: two that happen to agree would look sure;
- what a part of a method does is asked of these corpora: it is over other seeds and other texts, as in every
  comparison of methods (`zoo.evidence.intervals`), and from one seed over other texts alone.

Unit: fractions of 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.core.result import Result
from zoo.evidence.cells import Group, Run
from zoo.evidence.compare import compare_groups
from zoo.evidence.intervals import Estimate, average, by_accuracy, by_run, pool
from zoo.evidence.questions import Rate
from zoo.evidence.statistics import mean_if_all

Place = tuple[str, str, int]  # arch, corpus, seed
_ARCH, _CORPUS = 0, 1  # axes of a place
FEWEST = 3  # corpora that an interval over corpora is from


@dataclass(frozen=True)
class Measure:
    """What is read of a result, and how two groups of runs on one corpus are compared by it."""

    value: Callable[[Result], float | None]
    compare: Callable[[Group, Group], Estimate | None]


def on_validation_part() -> Measure:
    """Accuracy on the validation part, of which single answers are not kept."""
    return Measure(lambda result: result.validation_accuracy, _by_validation)


def on_test_part(name: str) -> Measure:
    """A measure on the test part, by its name in `zoo.core.measures`."""

    def compare(runs: Group, against: Group) -> Estimate | None:
        found = compare_groups(runs, against, measure=name)
        return found.estimate if found else None

    return Measure(lambda result: result.measures.get(name), compare)


@dataclass(frozen=True)
class Row:
    """A variant under one learning rate; None: the preset's.

    Args:
        means: of the measure on each corpus, over models and seeds; None where a run is missing or failed.
        differences: to the reference under the same rate, paired by model and seed.
        models: mean and difference of each model, over corpora and seeds.
        interval: 95 %, of the mean difference; None where there is none.
    """

    variant: str
    rate: Rate
    means: Mapping[str, float | None]
    differences: Mapping[str, float | None]
    models: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    interval: tuple[float, float] | None = None

    @property
    def mean(self) -> float | None:
        """Over the corpora, each with the same weight; None with a gap."""
        return mean_if_all(list(self.means.values()))

    @property
    def difference(self) -> float | None:
        """The mean difference over the corpora; None with a gap."""
        return mean_if_all(list(self.differences.values()))

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
            "interval": self.interval and list(self.interval),
            "models": {name: list(own) for name, own in self.models.items()},
        }  # fmt: skip


def rows(
    measure: Measure,
    reference: str,
    owners: Mapping[tuple[str, Rate], Sequence[str]],
    results: Mapping[str, Result],
    over_corpora: bool,
) -> list[Row]:
    """A row for every variant and learning rate, in the order of `owners`.

    Args:
        owners: (variant, learning rate) -> ids of its cells.
        results: those that are there, by id.
        over_corpora: which interval; see the module.
    """
    values = {key: _values(measure.value, ids, results) for key, ids in owners.items()}
    made = []
    for (variant, rate), own in values.items():
        against = values.get((reference, rate), {})
        less = {place: _less(value, against.get(place)) for place, value in own.items()}
        means, differences = _means(own, _CORPUS), _means(less, _CORPUS)
        by_model = _means(own, _ARCH), _means(less, _ARCH)
        models = {name: (mean, by_model[1][name]) for name, mean in by_model[0].items()}
        if over_corpora:
            estimate = _over_corpora(list(differences.values()))
        else:
            both = (_groups(owners.get((name, rate), ()), results) for name in (variant, reference))
            estimate = _over_runs(measure, *both)
        whole = variant != reference and mean_if_all(list(differences.values())) is not None
        interval = (estimate.low, estimate.high) if estimate and whole else None
        made.append(Row(variant, rate, means, differences, models, interval))
    return made


def _over_corpora(values: Sequence[float | None]) -> Estimate | None:
    """None with a gap, or from too few."""
    known = [value for value in values if value is not None]
    if len(known) < max(FEWEST, len(values)):
        return None
    return by_run(np.array(known)[:, None], floor=0.0)  # corpora in the place of seeds


def _over_runs(
    measure: Measure, runs: Mapping[tuple[str, str], Group], against: Mapping[tuple[str, str], Group]
) -> Estimate | None:
    """The mean over the corpora, then over the models, which share the texts; None with a gap."""
    if not runs or set(runs) != set(against):
        return None
    by_model: dict[str, list[Estimate]] = {}
    for (arch, corpus), own in runs.items():
        found = measure.compare(own, against[arch, corpus])
        if found is None:
            return None
        by_model.setdefault(arch, []).append(found)
    return pool([average(own) for own in by_model.values()])


def _groups(ids: Sequence[str], results: Mapping[str, Result]) -> dict[tuple[str, str], Group]:
    """The runs of each (model, corpus)."""
    found: dict[tuple[str, str], dict[Run, Result]] = {}
    for result in (results[name] for name in ids if name in results):
        cell = result.cell
        own = found.setdefault((cell.arch, cell.corpus), {})
        own |= {Run(cell.seed, cell.fold): result} if result.done else {}
    return {place: Group(own, {}) for place, own in found.items()}


def _by_validation(runs: Group, against: Group) -> Estimate | None:
    """From the accuracies of the seeds that both have."""
    pairs = [(runs.done[run], against.done[run]) for run in sorted(set(runs.done) & set(against.done))]
    known = [(a.validation_accuracy, b.validation_accuracy, a.corpus) for a, b in pairs]
    if not known or any(None in own for own in known):
        return None
    table = np.array([own[:2] for own in known], dtype=float)
    texts = min(corpus.validation_rows for *_, corpus in known if corpus)
    return by_accuracy(table[:, :1], table[:, 1:], texts)


def best(found: Sequence[Row], variant: str) -> Row | None:
    """The row of a variant's best learning rate by the mean of the measure; None where none has a mean."""
    own = [row for row in found if row.variant == variant and row.mean is not None]
    return max(own, key=lambda row: row.mean or 0.0, default=None)


def _values(
    value: Callable[[Result], float | None], ids: Sequence[str], results: Mapping[str, Result]
) -> dict[Place, float | None]:
    found: dict[Place, float | None] = {}
    for name in ids:
        result = results.get(name)
        if result is None:
            continue
        cell = result.cell
        found[cell.arch, cell.corpus, cell.seed] = value(result) if result.done else None
    return found


def _means(values: Mapping[Place, float | None], axis: int) -> dict[str, float | None]:
    """By the names on one axis of the places; None where a value is missing."""
    names = dict.fromkeys(str(place[axis]) for place in values)
    return {n: mean_if_all([v for place, v in values.items() if place[axis] == n]) for n in names}


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other
