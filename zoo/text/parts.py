"""Which rows of a corpus are training, validation and test: published parts, our cuts, folds, fractions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.core.cards import LANGUAGES
from zoo.core.errors import UserError
from zoo.text.normalise import duplicate_key
from zoo.text.settings import TextSettings
from zoo.text.sources.rows import PART_NAMES, RawCorpus, Rows
from zoo.text.splits import (
    OWN_TEST_SHARE,
    SMALLEST_PART,
    VALIDATION_CAP,
    VALIDATION_SHARE,
    cut,
    fold_numbers,
    stratified_fraction,
)


def end_to_end(raw: RawCorpus) -> tuple[list[str], np.ndarray]:
    """Return the texts and labels of train, validation and test, laid end to end in this order.

    Labels: (n,) int64, or float64 where the corpus has scores.
    Raises `TypeError` or `ValueError` for rows that are no texts with class indices.
    """
    if not isinstance(raw, RawCorpus):
        raise TypeError(f"raw is {type(raw).__name__}; expected a RawCorpus")
    if raw.language not in LANGUAGES:
        raise ValueError(f"{raw.name}: language is {raw.language!r}; expected {' or '.join(LANGUAGES)}")
    if unknown := set(raw.parts) - set(PART_NAMES):
        raise ValueError(f"{raw.name}: part {sorted(unknown)[0]!r}; expected {', '.join(PART_NAMES)}")
    if not len(raw.parts.get("train", ())):
        raise UserError(f"{raw.name}: no training rows; expected at least one row of each class")
    texts: list[str] = []
    labels: list[float] = []
    for part, rows in _in_order(raw).items():
        if len(rows.texts) != len(rows.labels):
            counts = f"{len(rows.texts)} texts and {len(rows.labels)} labels"
            raise ValueError(f"{raw.name}, {part}: {counts}; expected one label a text")
        for number, text in enumerate(rows.texts):
            if not isinstance(text, str):
                kind = type(text).__name__
                raise TypeError(f"{raw.name}, {part}, text {number}: {kind}; expected a string")
        if raw.labels and (bad := [x for x in rows.labels if not _is_class(x, len(raw.labels))]):
            last = len(raw.labels) - 1
            raise ValueError(f"{raw.name}, {part}: label {bad[0]!r}; expected a class index from 0 to {last}")
        texts += rows.texts
        labels += rows.labels
    return texts, np.array(labels, np.int64 if raw.labels else np.float64)


def _is_class(label: object, classes: int) -> bool:
    whole = isinstance(label, int | np.integer) and not isinstance(label, bool)
    return whole and 0 <= label < classes  # type: ignore[operator]


def _in_order(raw: RawCorpus) -> dict[str, Rows]:
    return {part: raw.parts[part] for part in PART_NAMES if part in raw.parts}


@dataclass(frozen=True)
class Cuts:
    """What is cut from train where it is not published.

    test: whether a test part is. validation: the share of the rows for validation, 0 for none of them. A part
    that is not wanted is empty. The defaults are those of a comparison.
    """

    test: bool = True
    validation: float = VALIDATION_SHARE

    @property
    def wanted(self) -> tuple[str, ...]:
        """The parts that must have rows."""
        there = {"train": True, "validation": self.validation > 0, "test": self.test}
        return tuple(part for part in PART_NAMES if there[part])


def choose_rows(
    raw: RawCorpus,
    texts: Sequence[str],
    labels: np.ndarray,
    settings: TextSettings,
    cuts: Cuts = Cuts(),
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the row numbers (ascending, into `end_to_end`'s rows) of train, validation and test; and notes.

    Published parts stay as they are. A missing test part is cut from train, 20 % of it; a missing validation
    part likewise, 10 %, or as `cuts` says. Then folds, then the fraction. Raises `UserError` where a part is
    left without rows.
    """
    rng = np.random.default_rng([settings.split_seed, 0])
    seed = f"seed {settings.split_seed}"
    chosen, first = {}, 0
    for part, rows in _in_order(raw).items():
        chosen[part] = np.arange(first, first + len(rows))
        first += len(rows)
    key_of = _Keys(texts)
    notes = []
    published = set(chosen)
    pool = chosen["train"]
    if "test" not in published and cuts.test:
        wanted = ["test"] if "validation" in published else ["test", "validation"]
        counts = [round(len(pool) * share) for share in (OWN_TEST_SHARE, cuts.validation)][: len(wanted)]
        *taken, rest = cut(key_of.rows(pool), labels[pool], counts, rng)
        chosen |= {part: pool[places] for part, places in zip(wanted, taken, strict=True)}
        chosen["train"] = pool[rest]
        if "validation" in published:
            notes.append(f"test: {len(chosen['test']):,} rows cut from train, {seed}")
        else:
            notes.append(f"split by us 70/10/20, {seed}")
    elif "validation" not in published and not settings.folds and cuts.validation:
        count = min(round(len(pool) * cuts.validation), VALIDATION_CAP)
        places, rest = cut(key_of.rows(pool), labels[pool], [count], rng)
        chosen["validation"], chosen["train"] = pool[places], pool[rest]
        notes.append(f"validation: {len(places):,} rows cut from train, {seed}")
    if settings.folds:
        pool = np.union1d(chosen["train"], chosen.get("validation", np.empty(0, np.int64)))
        fold = fold_numbers(key_of.rows(pool), labels[pool], settings.folds, rng)
        chosen["validation"], chosen["train"] = pool[fold == settings.fold], pool[fold != settings.fold]
        notes.append(f"fold {settings.fold} of {settings.folds}, {seed}")
    if settings.fraction < 1:
        notes.append(f"fraction {settings.fraction:g}")
        chosen = {part: _fraction(part, rows, labels, settings) for part, rows in chosen.items()}
    for part in cuts.wanted:
        if not len(chosen[part]):
            raise UserError(f"{raw.where or raw.name}: {_too_few(part, key_of, labels, settings)}")
    return {part: chosen.get(part, np.empty(0, np.int64)) for part in PART_NAMES}, notes


class _Keys:
    """The duplicate keys of texts, each made when first asked for."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._known: dict[int, bytes] = {}

    def rows(self, numbers: Iterable[int]) -> list[bytes]:
        """Return the keys of these rows."""
        for row in (numbers := list(numbers)):
            if row not in self._known:
                self._known[row] = duplicate_key(self._texts[row])
        return [self._known[row] for row in numbers]


def _fraction(part: str, rows: np.ndarray, labels: np.ndarray, settings: TextSettings) -> np.ndarray:
    """Return the share of a part's rows that the settings ask for, classes in proportion."""
    count = max(round(settings.fraction * len(rows)), min(len(rows), SMALLEST_PART[part]))
    rng = np.random.default_rng([settings.split_seed, 1 + list(PART_NAMES).index(part)])
    return rows[stratified_fraction(labels[rows], count, rng, every_class=part == "train")]


def _too_few(part: str, key_of: _Keys, labels: np.ndarray, settings: TextSettings) -> str:
    """Say why the rows leave none for a part, and what was expected."""
    rows, classes = len(labels), len(np.unique(labels))
    distinct = len(set(key_of.rows(range(rows))))
    if classes == rows > 2:
        return f"each of the {rows:,} rows has a label of its own (ids? numbers?); expected a few classes"
    if 2 * distinct <= rows:
        return f"{rows:,} rows, but {distinct:,} distinct texts, leave none for {part}; expected more texts"
    if settings.folds:
        return f"{rows:,} rows leave none for {part} in {settings.folds} folds; expected fewer folds"
    return f"{rows:,} rows leave none for {part}; expected more rows"
