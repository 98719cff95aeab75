"""The reference row that is no neural network: TF-IDF n-grams with a linear SVM.

It reads the same prepared corpus as the networks (the kept tokens of the cut texts, the vocabulary of the
training part), so it also has the same splits and the same test texts. On the whole texts it does better: see
the note of its result.
"""

from __future__ import annotations

import platform
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

import zoo
from zoo.core.names import BASELINE, NO_ARCH
from zoo.grid.store import cell_id, encode_classes
from zoo.settings import as_dict

if TYPE_CHECKING:
    from zoo.text import Corpus, Split, TextSettings

__all__ = ["SETTINGS", "baseline_cell", "corpus_info", "run_baseline"]

# `strength` is C of the SVM, chosen by validation accuracy (the smallest of the best). `most` n-grams, the
# most frequent, bound the memory: a linear model has one weight an n-gram and class, IFLYTEK 119 classes.
SETTINGS: dict[str, Any] = {
    "en": {"analyzer": "word", "ngrams": [1, 2], "most": 200_000, "strength": [0.1, 1, 10]},
    "zh": {"analyzer": "char", "ngrams": [1, 3], "most": 200_000, "strength": [0.1, 1, 10]},
}
_UNKNOWN = "\ufffd"  # one character for a word outside the vocabulary, so that it is one character n-gram too


def baseline_cell(corpus: Corpus, text: TextSettings) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Cell, settings and id of the baseline on `corpus`, which was prepared under `text`."""
    fold = text.fold if text.folds else None
    cell = {"corpus": corpus.name, "arch": NO_ARCH, "recipe": BASELINE, "seed": 0, "fold": fold}
    settings = {"text": as_dict(text), "baseline": SETTINGS.get(corpus.language, SETTINGS["en"])}
    return cell, settings, cell_id(cell, settings, corpus.fingerprint)


def corpus_info(corpus: Corpus) -> dict[str, Any]:
    """What every result says of its corpus, the rows of each part and the notes among it."""
    return {
        "name": corpus.name,
        "language": corpus.language,
        "fingerprint": corpus.fingerprint,
        "labels": len(corpus.labels),
        "train_rows": len(corpus.train),
        "validation_rows": len(corpus.validation),
        "test_rows": len(corpus.test),
        "words": len(corpus.words),
        "notes": list(corpus.notes),
    }


def run_baseline(corpus: Corpus, text: TextSettings) -> dict[str, Any]:
    """Train on the training part, choose C on the validation part, predict the test part.

    Deterministic: one run stands for all seeds. Returns a result like that of any other cell; what only a
    network has (steps, epochs) is None or empty.
    """
    import sklearn
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import f1_score

    started = time.perf_counter()
    cell, settings, name = baseline_cell(corpus, text)
    chosen = settings["baseline"]
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
    truth = np.asarray(corpus.test.labels)
    predictions = best.predict(vectorizer.transform(_texts(corpus, corpus.test, separator)))
    ended = time.perf_counter()
    return {
        "id": name,
        "cell": cell,
        "settings": settings,
        "status": "done",
        "corpus": corpus_info(corpus),
        "versions": {
            "uegr": zoo.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "device": "cpu",
        "threads": 1,
        "seconds": {"total": ended - started, "train": trained - started, "evaluate": ended - trained},
        "step_seconds": None,
        "step_cpu_seconds": None,
        "peak_memory_mb": _peak_memory_mb(),
        "parameters": int(best.coef_.size + best.intercept_.size),
        "curve": [],
        "strengths": tried,
        "notes": notes,
        "best_epoch": None,
        "validation_accuracy": max(point["validation_accuracy"] for point in tried),
        "test_accuracy": float((predictions == truth).mean()),
        "test_macro_f1": float(f1_score(truth, predictions, average="macro")),
        "predictions": encode_classes(predictions),
        "truth": encode_classes(truth),
    }


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


def _peak_memory_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
