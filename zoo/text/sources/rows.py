"""Labelled rows as read from files, before cleaning; and the checks that every source shares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.core.errors import UserError

# The three parts of a corpus and the file names under which each is found, the first one preferred.
PART_NAMES = {"train": ("train",), "validation": ("dev", "validation", "valid", "val"), "test": ("test",)}


@dataclass(frozen=True)
class Rows:
    """Texts and their class indices, in the order of the source."""

    texts: list[str]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class RawCorpus:
    """What a source holds: `parts` has "train" and maybe "validation" and "test" as published."""

    name: str
    language: str
    labels: tuple[str, ...]
    parts: dict[str, Rows]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where a corpus was found. `read` does the work; `files` alone decide what `read` returns.

    loose: the files are too many to read each time; their names, sizes and times stand for their content.
    """

    name: str
    layout: str
    files: tuple[Path, ...]
    read: Callable[[], RawCorpus] = field(compare=False)
    loose: bool = False

    def fingerprint(self) -> str:
        """Return a sha256 over the layout and the content of all files, wherever they lie (see `loose`)."""
        digest = hashlib.sha256(f"{self.name}\0{self.layout}\0".encode())
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

    def rows(self, path: Path, numbered: Iterable[tuple[int, str, str]]) -> Rows:
        """Return the rows of a file from (line number, text, label). `UserError` for an unknown label."""
        numbers, texts, names = [], [], []
        for number, text, name in numbered:
            numbers.append(number)
            texts.append(text)
            names.append(name)
        if self._index is None:
            self._index = {name: i for i, name in enumerate(natural_order(set(names)))}
        try:
            return Rows(texts, [self._index[name] for name in names])
        except KeyError:
            row = next(row for row, name in enumerate(names) if name not in self._index)
            shown = ", ".join(self.names[:6]) + (", ..." if len(self._index) > 6 else "")
            place = f"{path}, line {numbers[row]}"
            raise UserError(f"{place}: label {names[row]!r} is unknown; {self._origin} has {shown}") from None


def natural_order(names: Iterable[str]) -> list[str]:
    """Return the names sorted: by value if all are whole numbers, else by code point."""
    names = list(names)
    if all(name.lstrip("-").isdecimal() for name in names):
        return sorted(names, key=int)
    return sorted(names)


def check_parts(corpus: RawCorpus, where: Path | str) -> RawCorpus:
    """Return the corpus unchanged. Raises `UserError` for a missing or empty part, or under two classes."""
    if "train" not in corpus.parts:
        raise UserError(f"{where}: no training part found; expected train.jsonl.gz or train.jsonl")
    for part, rows in corpus.parts.items():
        if not len(rows):
            raise UserError(f"{where}: the {part} part of {corpus.name} is empty; expected at least one row")
        if len(classes := set(rows.labels)) < 2:
            only = corpus.labels[classes.pop()]
            raise UserError(
                f"{where}: every {part} row has the label {only!r}; expected at least two classes"
            )
    return corpus
