"""Measures: one row each, read by results, tables, page, CSV and report.

A measure is computed from an outcome (the class probabilities of a set of texts, and their true classes; or
scores, given and true) when a cell ends. To add one, add a row: nothing else changes. Results that were made
before a row lack it, and tables leave it out where nobody has it. A corpus has one main measure, which
selection, differences and verdicts are about: accuracy, unless its card names another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "ACCURACY", "MEASURES", "Measure", "Outcome", "Scores", "accuracy", "f1", "macro_f1", "matthews",
    "measure", "pearson", "spearman",
]  # fmt: skip

ACCURACY = "accuracy"  # the main measure of a corpus that names none
CLASSES, SCORES = "classes", "scores"


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
class Scores:
    """What a model said about n texts where the answer is a number. predictions, truth: (n,) float."""

    predictions: np.ndarray
    truth: np.ndarray


Answers = Outcome | Scores


@dataclass(frozen=True)
class Measure:
    """One row.

    Args:
        name: key of a result's `measures`.
        title: as a table heads it.
        on: which texts: `test`, `attacked` (a sample of the test part under FGSM), or a further test set of a
            card, as `advglue` (texts that were changed to mislead).
        compute: from the outcome on those texts; a fraction of 1 where `unit` is %.
        unit: "%" (printed times 100) or "" (printed as it is).
        higher_is_better: which way.
        text: one sentence for the reader.
        of: what it takes, `classes` or `scores`.
        by_name: whether it is computed only for corpora whose card names it.
        short: as a list of several names it.
    """

    name: str
    title: str
    on: str
    compute: Callable[[Any], float]
    unit: str = "%"
    higher_is_better: bool = True
    text: str = ""
    of: str = CLASSES
    by_name: bool = False
    short: str = ""

    def fits(self, answers: Answers) -> bool:
        """Whether it can be computed from these answers."""
        return isinstance(answers, Outcome if self.of == CLASSES else Scores)

    @property
    def heading(self) -> str:
        """The title with the unit, and which way is better where it is the other."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.title}{unit}{'' if self.higher_is_better else ' (lower is better)'}"

    @property
    def is_correlation(self) -> bool:
        """Whether its values go from -1 to 1."""
        return self.compute in (matthews, pearson, spearman)

    @property
    def scale(self) -> float:
        """What a value is multiplied by in print."""
        return 100.0 if self.unit == "%" else 1.0


def accuracy(outcome: Answers) -> float:
    """Share of the texts whose most probable class is the true one."""
    return float((outcome.predictions == outcome.truth).mean())


def lack_of_skill(truth: np.ndarray, predictions: np.ndarray) -> str:
    """What is wrong with answers (n,) that do little more than name the largest classes; else empty.

    They are one class only, or less than a tenth of the classes (with many classes of unlike size that can
    pass for a good accuracy), or their accuracy is not above the share of the largest class, what always
    naming that class gives (at least 1/C). Texts of one class tell nothing.
    """
    classes, predicted = len(np.unique(truth)), len(np.unique(predictions))
    if classes == 1:
        return ""
    if predicted == 1:
        return "predicts one class only"
    if predicted < classes / 10:
        return "predicts less than a tenth of the classes"
    largest = np.bincount(truth).max() / len(truth)
    return "is at chance" if float((truth == predictions).mean()) <= largest else ""


def matthews(outcome: Answers) -> float:
    """Matthews' correlation coefficient; 0 where all predictions are one class."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(outcome.truth, outcome.predictions))


def f1(outcome: Answers) -> float:
    """2 TP / (2 TP + FP + FN) of class 1, the positive one; 0 where nothing is or is called positive."""
    from sklearn.metrics import f1_score

    return float(f1_score(outcome.truth, outcome.predictions, zero_division=0.0))


def pearson(scores: Answers) -> float:
    """Correlation of the scores given with the true ones; 0 where either are all the same."""
    from scipy.stats import pearsonr

    return 0.0 if _constant(scores) else float(pearsonr(scores.predictions, scores.truth).statistic)


def spearman(scores: Answers) -> float:
    """Correlation of the ranks; 0 where either are all the same."""
    from scipy.stats import spearmanr

    return 0.0 if _constant(scores) else float(spearmanr(scores.predictions, scores.truth).statistic)


def _constant(scores: Answers) -> bool:
    # scipy warns and gives nan.
    return len(scores.truth) < 2 or np.ptp(scores.predictions) == 0 or np.ptp(scores.truth) == 0


def macro_f1(outcome: Answers) -> float:
    """Mean over the classes that occur in truth or predictions of 2 TP / (2 TP + FP + FN)."""
    truth, predictions = outcome.truth, outcome.predictions
    classes = int(max(truth.max(), predictions.max())) + 1
    hits = np.bincount(truth[predictions == truth], minlength=classes)
    total = np.bincount(truth, minlength=classes) + np.bincount(predictions, minlength=classes)
    return float((2 * hits[total > 0] / total[total > 0]).mean())


# The first row is the main measure of every corpus that names none.
MEASURES: tuple[Measure, ...] = (
    Measure(ACCURACY, "Test accuracy", "test", accuracy, short="accuracy"),
    Measure(
        "matthews", "Test Matthews correlation", "test", matthews, by_name=True, short="Matthews",
        text="Times 100, as GLUE prints it.",
    ),
    Measure(
        "pearson", "Test Pearson correlation", "test", pearson, of=SCORES, short="Pearson",
        text="Times 100, as GLUE prints it.",
    ),
    Measure(
        "spearman", "Test Spearman correlation", "test", spearman, of=SCORES, short="Spearman",
        text="Times 100, as GLUE prints it.",
    ),
    Measure("f1", "Test F1", "test", f1, by_name=True, short="F1", text="Of the positive class."),
    Measure("macro_f1", "Test macro-F1", "test", macro_f1, text="Mean of the classes' F1."),
    Measure(
        "attacked_accuracy", "Test accuracy under FGSM", "attacked", accuracy,
        text="One step on the word vectors from the clean point: an upper bound on what an attack leaves.",
    ),
    Measure(
        "attacked_pearson", "Test Pearson correlation under FGSM", "attacked", pearson, of=SCORES,
        text="One step on the word vectors from the clean point, up the squared error.",
    ),
    Measure(
        "advglue_accuracy", "AdvGLUE accuracy", "advglue", accuracy,
        text="On the public texts of AdvGLUE, which were changed to mislead other models.",
    ),
    Measure(
        "advglue_mm_accuracy", "AdvGLUE accuracy, mismatched", "advglue_mm", accuracy,
        text="On AdvGLUE's texts of MNLI's mismatched part, whose genres are not those of training.",
    ),
)  # fmt: skip


def measure(name: str) -> Measure:
    """The row of this name."""
    return next(row for row in MEASURES if row.name == name)
