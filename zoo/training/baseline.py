"""The reference row that is no neural network: TF-IDF n-grams with a linear SVM.

It reads the same prepared corpus as the networks (the kept tokens of the cut texts, the vocabulary of the
training part), so it also has the same splits and the same test texts. On the whole texts it does better: see
the note of its result.
"""

from __future__ import annotations

import platform
import time
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zoo.core.measures import Outcome
from zoo.core.names import BASELINE
from zoo.core.result import DONE, Machine, Result, answers_json, measures_of
from zoo.training.device import peak_memory_mb
from zoo.training.environment import made_by

if TYPE_CHECKING:
    from zoo.core.records import Settings
    from zoo.text import Corpus, Split

__all__ = ["BASELINE", "BaselineSettings", "baseline_settings", "run_baseline"]

# `strength` is C of the SVM, chosen by validation accuracy (the smallest of the best). `most` n-grams, the
# most frequent, bound the memory: a linear model has one weight an n-gram and class, IFLYTEK 119 classes.
_BY_LANGUAGE: dict[str, dict[str, Any]] = {
    "en": {"analyzer": "word", "ngrams": [1, 2], "most": 200_000, "strength": [0.1, 1, 10]},
    "zh": {"analyzer": "char", "ngrams": [1, 3], "most": 200_000, "strength": [0.1, 1, 10]},
}
_UNKNOWN = "\ufffd"  # one character for a word outside the vocabulary, so that it is one character n-gram too


@dataclass(frozen=True)
class BaselineSettings:
    """Everything that decides the row's result, beside the corpus: those of the text, and of the machine."""

    text: Settings
    chosen: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"text": self.text.as_json(), "baseline": self.chosen}

    def named(self) -> dict[str, Any]:
        """What enters the cell's name."""
        return {"text": self.text.named(), "baseline": self.chosen}


def baseline_settings(corpus: Corpus, text: Settings) -> BaselineSettings:
    """Those of the row on `corpus`, which was prepared under `text`."""
    return BaselineSettings(text, _BY_LANGUAGE.get(corpus.language, _BY_LANGUAGE["en"]))


def run_baseline(head: Result, corpus: Corpus, settings: BaselineSettings) -> Result:
    """Train on the training part, choose C on the validation part, predict the test part.

    Deterministic: one run stands for all seeds. What only a network has (steps, epochs) is left out.
    """
    import sklearn
    from sklearn.feature_extraction.text import TfidfVectorizer

    started = time.perf_counter()
    chosen = settings.chosen
    vectorizer = TfidfVectorizer(
        analyzer=chosen["analyzer"],
        token_pattern=r"[^ ]+" if chosen["analyzer"] == "word" else None,
        lowercase=False,  # the tokeniser has decided that
        ngram_range=tuple(chosen["ngrams"]),
        max_features=chosen["most"],
        sublinear_tf=True,
        dtype=np.float32,
    )
    separator = " " if chosen["analyzer"] == "word" else ""
    train = vectorizer.fit_transform(_texts(corpus, corpus.train, separator))
    validation = vectorizer.transform(_texts(corpus, corpus.validation, separator))
    best, tried, notes = _choose(
        train, corpus.train.labels, validation, corpus.validation.labels, chosen["strength"]
    )
    trained = time.perf_counter()
    predictions = best.predict(vectorizer.transform(_texts(corpus, corpus.test, separator)))
    outcome = Outcome(np.eye(len(corpus.labels))[predictions], np.asarray(corpus.test.labels))
    ended = time.perf_counter()
    return replace(
        head,
        status=DONE,
        measures=measures_of({"test": outcome}),
        validation_accuracy=max(point["validation_accuracy"] for point in tried),
        **answers_json(outcome),
        parameters=int(best.coef_.size + best.intercept_.size),
        notes=tuple(notes),
        strengths=tuple(tried),
        machine=Machine(device=f"cpu ({platform.machine()})", threads=1),
        seconds={"total": ended - started, "train": trained - started, "evaluate": ended - trained},
        peak_memory_mb=peak_memory_mb(torch.device("cpu")),
        made_by=made_by(),
        versions={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
    )


def _choose(
    train: Any, labels: np.ndarray, validation: Any, validation_labels: np.ndarray, strengths: list[float]
) -> tuple[Any, list[dict[str, float]], list[str]]:
    """The SVM whose C is best on the validation part, the accuracies on the way, and what went wrong."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    best, tried = None, list[dict[str, float]]()
    notes = ["from the cut texts and the vocabulary of the networks, C chosen on the validation part"]
    for strength in strengths:
        # The dual is the faster way for many n-grams; its order of visits is random, hence the seed.
        machine = LinearSVC(C=strength, dual=True, random_state=0, max_iter=2000)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            machine.fit(train, labels)
        if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
            notes.append(f"the SVM with C = {strength} stopped before it converged")
        accuracy = float((machine.predict(validation) == validation_labels).mean())
        if accuracy > max((point["validation_accuracy"] for point in tried), default=-1):
            best = machine
        tried.append({"strength": strength, "validation_accuracy": accuracy})
    return best, tried, notes


def _texts(corpus: Corpus, split: Split, separator: str) -> list[str]:
    words = [" " if separator else "", _UNKNOWN, *corpus.words[2:]]
    bounds = zip(split.offsets[:-1], split.offsets[1:], strict=True)
    return [separator.join(words[i] for i in split.ids[start:stop]) for start, stop in bounds]
