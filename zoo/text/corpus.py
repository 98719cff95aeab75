"""The prepared corpus: three parts of token ids in CSR form, and the words that the ids stand for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Split:
    """One part of a corpus. Row i has the tokens ids[offsets[i]:offsets[i + 1]], at least one of them.

    ids: (total tokens,) int32. offsets: (n + 1,) int64. labels: (n,) int64, class indices.
    starts: (total tokens,) bool, True where a sentence starts; the first token of a row always starts one.
    """

    ids: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row: (n,) int64."""
        return np.diff(self.offsets)

    def row(self, index: int) -> np.ndarray:
        """Token ids of one row: (length,) int32."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def take(self, rows: np.ndarray) -> Split:
        """Return the rows with these numbers, in this order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        # Position of every kept token in the old arrays: the row's old start plus its place in the row.
        where = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Split(self.ids[where], offsets, self.labels[rows], self.starts[where])


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus. `words[i]` is the word of id i; words[0] is "<pad>" and words[1] is "<unk>".

    fingerprint: the first 16 hex digits of a sha256 over the prepared content (not over the notes).
    notes: what a reader of a table must know, e.g. "demo" or "partial: 45,746 of 120,000 training rows".
    """

    name: str
    language: str
    labels: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    words: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...]

    @property
    def parts(self) -> dict[str, Split]:
        """The three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def fingerprint(labels: tuple[str, ...], words: tuple[str, ...], parts: dict[str, Split]) -> str:
    """Return the first 16 hex digits of a sha256 over labels, words and every array, platform-independent."""
    digest = hashlib.sha256()
    for names in (labels, words):
        digest.update("\n".join(names).encode("utf-8", "surrogatepass") + b"\0")
    for name in sorted(parts):
        part = parts[name]
        digest.update(name.encode())
        for array, kind in (
            (part.ids, "<i4"),
            (part.offsets, "<i8"),
            (part.labels, "<i8"),
            (part.starts, "|b1"),
        ):
            digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
    return digest.hexdigest()[:16]
