"""Measures: one row each, read by results, tables, page, CSV and report.

A measure is computed from an outcome (the class probabilities of a set of texts, and their true classes) when
a cell ends. To add one, add a row: nothing else changes. Results that were made before a row lack it, and
tables leave it out where nobody has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["MEASURES", "Measure", "Outcome", "accuracy", "macro_f1", "measure"]


@dataclass(frozen=True)
class Outcome:
    """What a model said about n texts. probabilities: (n, C), rows sum to 1. truth: (n,) class indices."""

    probabilities: np.ndarray
    truth: np.ndarray

    @property
    def predictions(self) -> np.ndarray:
        """(n,) the most probable class."""
        found: np.ndarray = self.probabilities.argmax(1)
        return found


@dataclass(frozen=True)
class Measure:
    """One row.

    Args:
        name: key of a result's `measures`.
        title: as a table heads it.
        on: which texts: `test`, or `attacked` (a sample of the test part under FGSM).
        compute: from the outcome on those texts; a fraction of 1 where `unit` is %.
        unit: "%" (printed times 100) or "" (printed as it is).
        higher_is_better: which way.
        text: one sentence for the reader.
    """

    name: str
    title: str
    on: str
    compute: Callable[[Outcome], float]
    unit: str = "%"
    higher_is_better: bool = True
    text: str = ""

    @property
    def heading(self) -> str:
        """The title with the unit, and which way is better where it is the other."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.title}{unit}{'' if self.higher_is_better else ' (lower is better)'}"

    @property
    def scale(self) -> float:
        """What a value is multiplied by in print."""
        return 100.0 if self.unit == "%" else 1.0


def accuracy(outcome: Outcome) -> float:
    """Share of the texts whose most probable class is the true one."""
    return float((outcome.predictions == outcome.truth).mean())


def macro_f1(outcome: Outcome) -> float:
    """Mean over the classes that occur in truth or predictions of 2 TP / (2 TP + FP + FN)."""
    truth, predictions = outcome.truth, outcome.predictions
    classes = int(max(truth.max(), predictions.max())) + 1
    hits = np.bincount(truth[predictions == truth], minlength=classes)
    total = np.bincount(truth, minlength=classes) + np.bincount(predictions, minlength=classes)
    return float((2 * hits[total > 0] / total[total > 0]).mean())


# The first row is the one that differences and verdicts are about.
MEASURES: tuple[Measure, ...] = (
    Measure("accuracy", "Test accuracy", "test", accuracy),
    Measure("macro_f1", "Test macro-F1", "test", macro_f1, text="Mean of the classes' F1."),
    Measure(
        "attacked_accuracy", "Test accuracy under FGSM", "attacked", accuracy,
        text="One step on the word vectors from the clean point: an upper bound on what an attack leaves.",
    ),
)  # fmt: skip


def measure(name: str) -> Measure:
    """The row of this name."""
    return next(row for row in MEASURES if row.name == name)
