"""Labelled texts as they are, for models that bring a tokeniser of their own: parts chosen, nothing cut.

The parts are those of `zoo.text.loading` for the same rows and settings. Texts may be pairs, and answers may
be scores.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zoo.core.cards import is_known, load_card
from zoo.core.errors import UserError
from zoo.core.measures import ACCURACY
from zoo.text.loading import find
from zoo.text.normalise import duplicate_key
from zoo.text.parts import Cuts, choose_rows, end_to_end
from zoo.text.settings import Report, TextSettings, resolve_data_dir, silent
from zoo.text.sources.rows import RawCorpus, Rows
from zoo.text.sources.simple import JSON_LINES, simple_source

TEST_NAMES = ("dev", "test")  # of the one file of a further test set, the first one preferred


@dataclass(frozen=True)
class Part:
    """texts, and the second ones (empty where a text is one): n each. labels: (n,) int64 or float64."""

    texts: list[str]
    pairs: list[str]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> Part:
        """Return the rows with these numbers, in this order."""
        pairs = [self.pairs[i] for i in rows] if self.pairs else []
        return Part([self.texts[i] for i in rows], pairs, self.labels[rows])


@dataclass(frozen=True)
class Examples:
    """A corpus as texts. labels: the classes; empty where the answer is a score.

    further: more test sets by the name of their measures' texts. measure: the main one; measures: names
    of others. fingerprint: the first 16 hex digits of a sha256 over all of it but the notes.
    """

    name: str
    language: str
    labels: tuple[str, ...]
    train: Part
    validation: Part
    test: Part
    further: dict[str, Part] = field(default_factory=dict)
    measure: str = ACCURACY
    measures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def parts(self) -> dict[str, Part]:
        """All parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test, **self.further}

    @property
    def outputs(self) -> int:
        """Outputs of a model: one a class, or one for a score."""
        return len(self.labels) or 1


def load_examples(
    name_or_path: str | os.PathLike[str],
    settings: TextSettings,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    report: Report = silent,
) -> Examples:
    """Return the labelled texts of a corpus; arguments as those of `zoo.text.load_corpus`.

    Raises `UserError` for any input that cannot be used, naming file and line.
    """
    raw = find(name_or_path, settings, data_dir, cache_dir, report).read()
    card = load_card(os.fspath(name_or_path)) if is_known(os.fspath(name_or_path)) else None
    if card is None:
        return choose_examples(raw, settings)
    folder = resolve_data_dir(data_dir)
    further = {
        on: part
        for on, place in card.also_test.items()
        if (part := _further(raw, folder, place, card.scores))
    }
    return choose_examples(raw, settings, card.measure, card.measures, further)


def choose_examples(
    raw: RawCorpus,
    settings: TextSettings,
    measure: str = ACCURACY,
    measures: Iterable[str] = (),
    further: dict[str, Part] | None = None,
    cuts: Cuts = Cuts(),  # noqa: B008 (frozen)
) -> Examples:
    """Return the chosen rows of a corpus in memory; see `Examples`.

    Scores are cut as if each whole number were a class, so that parts have scores of all sizes.
    Raises `UserError` for rows that leave a part empty.
    """
    texts, labels = end_to_end(raw)
    pairs = pairs_end_to_end(raw)
    keys = [f"{text}\0{pair}" for text, pair in zip(texts, pairs, strict=True)] if pairs else texts
    strata = labels if raw.labels else np.rint(labels - labels.min()).astype(np.int64)
    chosen, notes = choose_rows(raw, keys, strata, settings, cuts)
    whole = Part(texts, pairs, labels)
    parts = {part: whole.take(rows) for part, rows in chosen.items()}
    notes = [*raw.notes, *notes, *_repeats(keys, chosen)]
    further = further or {}
    return Examples(
        raw.name, raw.language, raw.labels, **parts, further=further, measure=measure,
        measures=tuple(measures), notes=tuple(notes),
        fingerprint=_fingerprint(raw.labels, measure, {**parts, **further}),
    )  # fmt: skip


def pairs_end_to_end(raw: RawCorpus) -> list[str]:
    """Return the second texts of all parts in the order of `end_to_end`; empty where a text is one.

    Raises `UserError` where some parts have pairs and others have not.
    """
    ordered = [raw.parts[part] for part in ("train", "validation", "test") if part in raw.parts]
    if not any(rows.pairs for rows in ordered):
        return []
    if bad := [name for name, rows in raw.parts.items() if len(rows.pairs) != len(rows.texts)]:
        raise UserError(
            f"{raw.where or raw.name}: {bad[0]} has no text_pair; expected it as in the other parts"
        )
    return [pair for rows in ordered for pair in rows.pairs]


def _further(
    raw: RawCorpus, data_dir: Path | None, place: str, scores: tuple[float, float] | None
) -> Part | None:
    """The rows of a further test set, or None where its folder is not there."""
    folder = None if data_dir is None else data_dir / place
    if folder is None or not folder.is_dir():
        return None
    source = simple_source(place, folder, raw.language, suffixes=JSON_LINES, scores=scores, only=TEST_NAMES)
    if source is None:
        raise UserError(
            f"{folder}: no {' or '.join(f'{name}.jsonl.gz' for name in TEST_NAMES)}; expected one"
        )
    found = source.read()
    if found.labels != raw.labels:
        names = ", ".join(found.labels)
        raise UserError(f"{folder}: classes {names}; expected {', '.join(raw.labels)}, as {raw.name}")
    rows: Rows = next(iter(found.parts.values()))
    return Part(rows.texts, rows.pairs, np.array(rows.labels))


def _repeats(keys: Sequence[str], chosen: dict[str, np.ndarray]) -> list[str]:
    """A note for each part on the texts that it shares with train: the same letters and digits."""
    train = {duplicate_key(keys[i]) for i in chosen["train"]}
    notes = []
    for part in ("validation", "test"):
        if exact := sum(duplicate_key(keys[i]) in train for i in chosen[part]):
            notes.append(f"{part}: {exact:,} of {len(chosen[part]):,} texts are in train too")
    return notes


def _fingerprint(labels: tuple[str, ...], measure: str, parts: dict[str, Part]) -> str:
    digest = hashlib.sha256("\n".join((*labels, measure)).encode("utf-8", "surrogatepass"))
    for name in sorted(parts):
        part = parts[name]
        digest.update(f"\0{name}\0".encode())
        for texts in (part.texts, part.pairs):
            digest.update("\0".join(texts).encode("utf-8", "surrogatepass") + b"\0\0")
        digest.update(part.labels.astype("<f8").tobytes())
    return digest.hexdigest()[:16]
