"""Sets of the same task whose texts are of another kind, as a corpus's card names them; read as corpora."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from zoo.core.cards import is_known, load_card
from zoo.core.errors import UserError
from zoo.text.examples import TEST_NAMES, Part
from zoo.text.settings import silent
from zoo.text.sources.columns import Asked
from zoo.text.sources.find import find_source
from zoo.text.sources.rows import RawCorpus
from zoo.text.sources.simple import JSON_LINES, simple_source

__all__ = ["Shifted", "load_shifts", "other_texts"]


@dataclass(frozen=True)
class Shifted:
    """One such set.

    Args:
        part: labels are indices into its own `classes`.
        own: (C,) for each class of the corpus its index there; several may share one.
        original: row by row what `part` was rewritten from, with its labels.
    """

    name: str
    part: Part
    classes: tuple[str, ...]
    own: np.ndarray
    original: Part | None = None

    def merged(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, C) probabilities of the corpus's classes -> (n, C') of the set's: sums over those of one."""
        found: np.ndarray = probabilities @ np.eye(len(self.classes))[self.own]
        return found

    def ordered(self, before: Sequence[str], now: Sequence[str]) -> Shifted:
        """For a network whose classes stand in another order.

        Raises `UserError` where they are others.
        """
        if set(before) != set(now):
            raise UserError(
                f"classes {', '.join(now)}; expected {', '.join(before)}, to compare with {self.name}"
            )
        return replace(self, own=self.own[[list(before).index(name) for name in now]])


@lru_cache(maxsize=16)
def load_shifts(corpus: str, data_dir: Path | None) -> tuple[tuple[Shifted, ...], tuple[str, ...]]:
    """The sets of a known corpus, and the names of those whose folder is not there.

    Raises `UserError` for a set that cannot be read, or with other classes than the card says.
    """
    found, missing = list[Shifted](), list[str]()
    card = load_card(corpus) if is_known(corpus) else None
    for name, shift in card.shifts.items() if card else ():
        folder = None if data_dir is None else data_dir / shift.folder
        if folder is None or not folder.is_dir():
            missing.append(name)
            continue
        assert card is not None
        raw = _read(folder, card.language, shift.part)
        wanted = shift.classes or card.labels
        if set(wanted) != set(raw.labels):
            raise UserError(
                f"{folder}: classes {', '.join(raw.labels)}; expected {', '.join(wanted)}, as the card of "
                f"{corpus} says"
            )
        own = np.array([raw.labels.index(label) for label in wanted])
        part = _part(raw)
        original = _part(_read(folder, card.language, shift.original)) if shift.original else None
        if original is not None and len(original) != len(part):
            raise UserError(
                f"{folder}: {len(part)} rows in {shift.part} and {len(original)} in {shift.original}; "
                "expected pairs of rows"
            )
        found.append(Shifted(name, part, raw.labels, own, original))
    return tuple(found), tuple(missing)


@lru_cache(maxsize=16)
def other_texts(corpus: str, rows: int, data_dir: Path | None, cache_dir: Path) -> tuple[str, ...]:
    """A seeded sample of a corpus's test texts (training texts where it has no test part), pairs joined.

    Raises `UserError` where the corpus is not there.
    """
    raw = find_source(corpus, Asked(), data_dir, cache_dir, silent).read()
    own = raw.parts.get("test", raw.parts["train"])
    texts = [f"{a} {b}" for a, b in zip(own.texts, own.pairs, strict=True)] if own.pairs else own.texts
    return tuple(texts[i] for i in sample(len(texts), rows))


def sample(count: int, rows: int) -> np.ndarray:
    """At most `rows` of so many row numbers, ascending: the same for every network."""
    return np.sort(np.random.default_rng(0).permutation(count)[:rows])


def _read(folder: Path, language: str, part: str) -> RawCorpus:
    names = (part,) if part else TEST_NAMES
    source = simple_source(folder.name, folder, language, suffixes=JSON_LINES, only=names)
    if source is None:
        raise UserError(f"{folder}: no {' or '.join(f'{name}.jsonl.gz' for name in names)}; expected one")
    return source.read()


def _part(raw: RawCorpus) -> Part:
    rows = next(iter(raw.parts.values()))
    return Part(rows.texts, rows.pairs, np.array(rows.labels))
