"""Labelled rows as read from files, before cleaning; and the checks that every source shares."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from zoo.core.errors import UserError
from zoo.text.normalise import SURROGATES

# The three parts of a corpus and the file names under which each is found, the first one preferred.
PART_NAMES = {"train": ("train",), "validation": ("dev", "validation", "valid", "val"), "test": ("test",)}

DEV_AS_TEST = "test part: the official dev"  # a note

# More classes than this, and than half of the rows, are taken for ids or numbers.
MOST_SURE_CLASSES = 20


@dataclass(frozen=True)
class Rows:
    """Texts and their class indices (or scores), in the order of the source.

    pairs: the second text of each row; empty where a text is one.
    """

    texts: list[str]
    labels: list[int] | list[float]
    pairs: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)


class Line(NamedTuple):
    """A row of a file as it is written there; number: of its line or row."""

    number: int
    text: str
    label: str
    pair: str = ""
    split: str = ""


@dataclass(frozen=True)
class RawCorpus:
    """What a source holds: `parts` has "train" and maybe "validation" and "test" as published.

    labels: the classes; empty where the answer is a score. where: the file or folder, for errors.
    """

    name: str
    language: str
    labels: tuple[str, ...]
    parts: dict[str, Rows]
    notes: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class Source:
    """Where a corpus was found. `read` does the work; `files` and `identity` decide what `read` returns.

    identity: what `read` depends on beside the files, such as fields of a card or the columns chosen.
    loose: the files are too many to read each time; their names, sizes and times stand for their content.
    """

    name: str
    layout: str
    files: tuple[Path, ...]
    read: Callable[[], RawCorpus] = field(compare=False)
    loose: bool = False
    identity: str = ""

    def fingerprint(self) -> str:
        """Return a sha256 over identity, layout and content of all files, wherever they lie (see `loose`)."""
        digest = hashlib.sha256(f"{self.name}\0{self.layout}\0{self.identity}\0".encode())
        for path in self.files:
            digest.update(f"{path.parent.name}/{path.name}\0".encode("utf-8", "surrogateescape"))
            try:
                if self.loose:
                    status = path.stat()
                    digest.update(f"{status.st_size} {status.st_mtime_ns}\0".encode())
                    continue
                with path.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
            except OSError as error:
                raise UserError(
                    f"{path}: cannot be read ({error.strerror}); expected a readable file"
                ) from error
        return digest.hexdigest()


class LabelTable:
    """Class names to indices; learns the names from the first part read where none are given."""

    def __init__(self, names: Sequence[str] | None, origin: Path | str) -> None:
        self._index = {name: i for i, name in enumerate(names)} if names is not None else None
        self._origin = origin

    @property
    def names(self) -> tuple[str, ...]:
        """The class names in the order of their indices."""
        return tuple(self._index or ())

    def rows(self, path: Path, lines: Iterable[Line], unit: str = "line") -> Rows:
        """Return the rows of a file; unit: what the lines' numbers count.

        Raises `UserError` for an unknown label, or one that names no class.
        """
        every = list(lines)
        numbers, names = [line.number for line in every], [line.label for line in every]
        for line in every:
            if wrong := _wrong(line.label):
                raise UserError(f"{path}, {unit} {line.number}: {wrong}")
        if self._index is None:
            self._index = {name: i for i, name in enumerate(natural_order(set(names)))}
        try:
            return Rows([line.text for line in every], [self._index[name] for name in names], _pairs(every))
        except KeyError:
            row = next(row for row, name in enumerate(names) if name not in self._index)
            shown = ", ".join(self.names[:6]) + (", ..." if len(self._index) > 6 else "")
            place = f"{path}, {unit} {numbers[row]}"
            raise UserError(f"{place}: label {names[row]!r} is unknown; {self._origin} has {shown}") from None


def _wrong(label: str) -> str:
    """Why a label names no class; nothing of one that does."""
    if not label.strip():
        return "the label is empty; expected the name of a class"
    if SURROGATES.search(label):  # it could be trained on, and neither printed nor kept
        return f"label {label!r} has half a character (a lone surrogate); expected Unicode"
    return ""


class ScoreTable:
    """Labels that are numbers within bounds, in the place of a `LabelTable`."""

    names: tuple[str, ...] = ()

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def rows(self, path: Path, lines: Iterable[Line], unit: str = "line") -> Rows:
        """Return the rows of a file; unit: what the lines' numbers count.

        Raises `UserError` for a label that is no number within the bounds.
        """
        every, scores = list(lines), list[float]()
        for line in every:
            try:
                scores.append(float(line.label))
            except ValueError:
                scores.append(math.nan)
            if not self._low <= scores[-1] <= self._high:
                raise UserError(
                    f"{path}, {unit} {line.number}: score {line.label!r}; expected a number from "
                    f"{self._low:g} to {self._high:g}"
                )
        return Rows([line.text for line in every], scores, _pairs(every))


def _pairs(lines: Sequence[Line]) -> list[str]:
    return [line.pair for line in lines] if any(line.pair for line in lines) else []


def natural_order(names: Iterable[str]) -> list[str]:
    """Return the names sorted: by value if all are whole numbers, else by code point."""
    names = list(names)
    if all(re.fullmatch(r"-?\d+", name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def check_parts(corpus: RawCorpus, where: Path | str) -> RawCorpus:
    """Return the corpus, saying where it is from.

    Raises `UserError` for a missing or empty part, under two classes, or labels that are no classes.
    """
    if "train" not in corpus.parts:
        raise UserError(f"{where}: no training part; expected rows for training")
    for part, rows in corpus.parts.items():
        if not len(rows):
            raise UserError(f"{where}: the {part} part of {corpus.name} is empty; expected at least one row")
        if len(classes := set(rows.labels)) < 2:
            only = rows.labels[0] if not corpus.labels else corpus.labels[int(rows.labels[0])]
            wanted = "classes" if corpus.labels else "scores"
            raise UserError(
                f"{where}: every {part} row has the label {only!r}; expected at least two {wanted}"
            )
        if corpus.labels and part == "train" and len(classes) > max(MOST_SURE_CLASSES, len(rows) / 2):
            counts = f"{len(classes):,} distinct labels in {len(rows):,} rows"
            raise UserError(f"{where}: {counts} (ids? numbers to be predicted?); expected classes")
    return replace(corpus, where=str(where))


def dev_as_test(corpus: RawCorpus) -> RawCorpus:
    """Return the corpus with its dev part as test part, where it has dev and no test.

    Of CLUE and GLUE, whose test labels are secret and whose dev part all compare on. A dev part of one's own
    is what it is called: it selects, and a missing test part is cut from train.
    """
    if "test" in corpus.parts or "validation" not in corpus.parts:
        return corpus
    parts = {part: rows for part, rows in corpus.parts.items() if part != "validation"}
    parts["test"] = corpus.parts["validation"]
    return replace(corpus, parts=parts, notes=(*corpus.notes, DEV_AS_TEST))


def guess_language(texts: list[str]) -> str:
    """Return "zh" if at least three tenths of the first texts' letters are Han characters, else "en"."""
    letters = [character for text in texts[:200] for character in text[:500] if character.isalpha()]
    han = sum("\u3400" <= character <= "\u9fff" for character in letters)
    return "zh" if letters and han >= 0.3 * len(letters) else "en"
