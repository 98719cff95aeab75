"""The whole examination of one network, as plain JSON types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.core.cards import is_known, load_card
from zoo.core.classes import encode_classes, encode_scores
from zoo.core.errors import UserError
from zoo.fast.denormals import flushed
from zoo.robustness.calibration import calibrated, softmax, temperature
from zoo.robustness.detection import auroc, confidence, energy
from zoo.robustness.edits import Characters, Edits, Letters, Neighbours
from zoo.robustness.greedy import Budget, mislead
from zoo.robustness.settings import Robust
from zoo.robustness.target import Target
from zoo.robustness.vectors import Ladder, climbed
from zoo.text.examples import Part
from zoo.text.normalise import duplicate_key
from zoo.text.packaged import PACKAGED
from zoo.text.shifts import Shifted, load_shifts, other_texts, sample
from zoo.text.vector_files import read_vectors

Report = Callable[[str], None]
_SCORES = {"confidence": confidence, "energy": energy}
_DIMENSIONS = 100  # of e5's vectors: its first principal components


@dataclass(frozen=True)
class Material:
    """The texts of an examination.

    Args:
        validation: for the temperature; None: there is none.
        shifts: sets of another kind. outside: texts of other corpora by name.
        train: keys of the training texts (`zoo.text.normalise.duplicate_key`); None: not known.
        left_out: what was wanted and is not there.
    """

    test: Part
    validation: Part | None = None
    shifts: tuple[Shifted, ...] = ()
    outside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    train: frozenset[bytes] | None = None
    left_out: tuple[str, ...] = ()


def gathered(
    corpus: str,
    parts: Mapping[str, Part],
    settings: Robust,
    data_dir: Path | None,
    cache_dir: Path,
    target: Target,
) -> Material:
    """What there is to examine a network of this corpus with.

    Args:
        corpus: whose card names sets of another kind; one without a card has none.
        parts: `test`, and where they are known `validation` and `train`.

    Raises:
        UserError: a set that is there and cannot be read; or `outside` names what is no corpus.
    """
    shifts, missing = load_shifts(corpus, data_dir)
    gone = [f"shift {name}: not in the data folder" for name in missing]
    shifts = tuple(s.ordered(load_card(corpus).labels, target.classes) for s in shifts)
    outside = {}
    task = {corpus, *(s.folder for s in load_card(corpus).shifts.values())} if is_known(corpus) else {corpus}
    for name in settings.outside:
        if name in task or (is_known(name) and load_card(name).language != target.language):
            continue
        try:
            outside[name] = other_texts(name, settings.other_rows, data_dir, cache_dir)
        except UserError:
            if not is_known(name):
                raise
            gone.append(f"outside {name}: not in the data folder")
    train = parts.get("train")
    keys = None if train is None else frozenset(map(_key, train.texts, train.pairs or [""] * len(train)))
    return Material(parts["test"], parts.get("validation"), shifts, outside, keys, tuple(gone))


@flushed()
def examine(
    target: Target, material: Material, settings: Robust, report: Report = lambda line: None
) -> dict[str, Any]:
    """Everything that `settings` asks, on one network; every answer is kept text by text.

    Raises:
        UserError: word vectors for neighbours that cannot be read.
    """
    test = material.test
    report(f"answers: {len(test):,} test texts")
    logits = target.logits(test)
    found: dict[str, Any] = {
        "test": _outcome(softmax(logits), test.labels),
        "calibration": _calibration(target, logits, material),
    }
    ladder = Ladder(settings.strengths, settings.norms, settings.pgd_steps)
    found["vectors"] = climbed(target, test.take(sample(len(test), settings.rows)), ladder, report)
    edited = test.take(sample(len(test), settings.text_rows))
    budget = Budget(settings.queries, settings.share)
    found["edits"] = {
        edits.name: mislead(target, edited, edits, budget, settings.seed, report)
        for edits in _edits(target, edited, settings)
    }
    found["shifts"] = {s.name: _shifted(target, s, material, settings.other_rows) for s in material.shifts}
    own = logits[sample(len(test), settings.other_rows)]
    found["familiar"] = {name: encode_scores(score(own)) for name, score in _SCORES.items()}
    found["outside"] = {
        name: _detected(own, target.logits(_texts(texts))) for name, texts in material.outside.items()
    }
    found["left_out"] = list(material.left_out)
    return found


def _edits(target: Target, part: Part, settings: Robust) -> Iterable[Edits]:
    chinese = target.language == "zh"
    yield Characters.of_texts(part.pairs or part.texts) if chinese else Letters()
    if settings.neighbours != "none":
        words, vectors = _table(target, settings.neighbours)
        yield Neighbours(words, vectors, settings.near, settings.similarity)


def _table(target: Target, source: str) -> tuple[list[str], np.ndarray]:
    """Whole words that the network knows, no marks and numbers, and the vectors that are asked for."""
    every, own = target.table()
    words = [word for word in every if word.isalpha()]
    if source == "own":
        return words, own[[word.isalpha() for word in every]]
    file = PACKAGED[source].read(words, _DIMENSIONS) if source in PACKAGED else read_vectors(source)
    # What the network does not know is no neighbour: it would be an unknown word, whatever it means.
    known = [word for word in words if word in file.index]
    return known, file.vectors[[file.index[word] for word in known]]


def _calibration(target: Target, logits: np.ndarray, material: Material) -> dict[str, Any]:
    """At temperature 1, and at the one that suits the validation texts."""
    labels, validation = material.test.labels, material.validation
    found: dict[str, Any] = {"rows": len(labels), "plain": calibrated(logits, labels, 1.0)}
    if validation is not None and len(validation):
        by = temperature(target.logits(validation), validation.labels)
        found |= {"fitted_on": len(validation), "scaled": calibrated(logits, labels, by)}
    return found


def _shifted(target: Target, shifted: Shifted, material: Material, rows: int) -> dict[str, Any]:
    chosen = sample(len(shifted.part), rows)
    part = shifted.part.take(chosen)
    found = _outcome(shifted.merged(softmax(target.logits(part))), part.labels)
    parts = {"seen": part}
    if shifted.original is not None:
        original = parts["original_seen"] = shifted.original.take(chosen)
        found["original"] = _outcome(shifted.merged(softmax(target.logits(original))), original.labels)
    if material.train is not None:
        for name, own in parts.items():
            keys = map(_key, own.texts, own.pairs or [""] * len(own))
            found[name] = sum(key in material.train for key in keys)
    return found


def _detected(inside: np.ndarray, outside: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {"rows": [len(inside), len(outside)]}
    for name, score in _SCORES.items():
        other = score(outside)
        found[name] = {"auroc": auroc(score(inside), other), "scores": encode_scores(other)}
    return found


def _outcome(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    answers = probabilities.argmax(1)
    return {
        "rows": len(truth), "accuracy": float((answers == truth).mean()),
        "predictions": encode_classes(answers), "truth": encode_classes(truth),
    }  # fmt: skip


def _texts(texts: Iterable[str]) -> Part:
    own = list(texts)
    return Part(own, [], np.zeros(len(own), np.int64))


def _key(text: str, pair: str) -> bytes:
    return duplicate_key(f"{text}\0{pair}" if pair else text)
