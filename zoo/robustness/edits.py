"""What may be done to a text: to the letters of a word, to the characters of a Chinese word, to a whole word.

    letters     English: swap two neighbours, replace, delete or insert one (DeepWordBug, arXiv 1801.04354)
    characters  Chinese: likewise; what is put in is a character of the texts at hand or the neighbour again
    words       the word's nearest neighbours among given word vectors, by cosine

A text is cut into words and what lies between them, so that an edit leaves the rest as it is. No letter is
replaced by one that only looks like it.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from zoo.text.tokenise import make_cutter

_WORD = re.compile(r"[^\W\d_]+")
_HAN = re.compile(r"[\u3400-\u9fff]")


@dataclass
class Cut:
    """A text as words and the gaps around them: gaps[0] words[0] gaps[1] ... words[-1] gaps[-1]."""

    words: list[str]
    gaps: list[str]

    def text(self, at: int = -1, word: str = "") -> str:
        """The whole, with another word at a place."""
        parts = [self.gaps[0]]
        for i, own in enumerate(self.words):
            parts += [word if i == at else own, self.gaps[i + 1]]
        return "".join(parts)


def cut(text: str, language: str) -> Cut:
    """Words of an English text: runs of letters; of a Chinese one: jieba's words with a Chinese character.

    Raises:
        UserError: a Chinese text, and jieba is not installed.
    """
    if language == "en":
        found = [(match.start(), match.end()) for match in _WORD.finditer(text)]
    else:
        found, at = [], 0
        for word in make_cutter("jieba")(text):
            at = text.index(word, at)
            if _HAN.search(word):
                found.append((at, at + len(word)))
            at += len(word)
    starts, ends = [0, *(b for _, b in found)], [*(a for a, _ in found), len(text)]
    return Cut([text[a:b] for a, b in found], [text[a:b] for a, b in zip(starts, ends, strict=True)])


class Edits(Protocol):
    """Versions of a word, each other than it; none where it has none. A function of word and generator."""

    @property
    def name(self) -> str:
        """How they are called."""

    def of(self, word: str, rng: np.random.Generator) -> list[str]:
        """The versions."""


@dataclass(frozen=True)
class Letters:
    """One version of each of the four kinds, at a random place.

    Args:
        alphabet: what a letter may be replaced by, and what may be put in.
    """

    alphabet: str = string.ascii_lowercase
    name: str = "letters"

    def of(self, word: str, rng: np.random.Generator) -> list[str]:
        """See `Edits`."""
        found = []
        if len(word) > 1:
            at = int(rng.integers(len(word) - 1))
            found.append(word[:at] + word[at + 1] + word[at] + word[at + 2 :])
        at, letter = int(rng.integers(len(word))), self._letter(rng)
        found.append(word[:at] + letter + word[at + 1 :])
        if len(word) > 1:
            at = int(rng.integers(len(word)))
            found.append(word[:at] + word[at + 1 :])
        at = int(rng.integers(len(word) + 1))
        found.append(word[:at] + self._put_in(word, at, rng) + word[at:])
        return [other for other in dict.fromkeys(found) if other != word]

    def _letter(self, rng: np.random.Generator) -> str:
        return self.alphabet[int(rng.integers(len(self.alphabet)))]

    def _put_in(self, word: str, at: int, rng: np.random.Generator) -> str:
        return self._letter(rng)


@dataclass(frozen=True)
class Characters(Letters):
    """The same of Chinese words; what is put in is the character before it once more, as by a slip."""

    name: str = "characters"

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> Characters:
        """With the Chinese characters of some texts as its alphabet."""
        return cls("".join(sorted({c for text in texts for c in _HAN.findall(text)})) or "的")

    def _put_in(self, word: str, at: int, rng: np.random.Generator) -> str:
        return word[max(at - 1, 0)]


@dataclass(frozen=True)
class Neighbours:
    """The nearest words.

    Args:
        words, vectors: (V,) and (V, D).
        count: at most so many of a word. least: the smallest cosine.
    """

    words: Sequence[str]
    vectors: np.ndarray = field(repr=False)
    count: int = 8
    least: float = 0.5
    name: str = "words"

    @cached_property
    def _unit(self) -> np.ndarray:
        lengths = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        found: np.ndarray = (self.vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
        return found

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    def of(self, word: str, rng: np.random.Generator) -> list[str]:
        """See `Edits`: the nearest first, with a capital where the word has one; not random."""
        at = self._index.get(word, self._index.get(word.lower()))
        if at is None:
            return []
        near = self._unit @ self._unit[at]
        best = np.argsort(-near, kind="stable")[: self.count + 1]
        found = [self.words[i] for i in best if i != at and near[i] >= self.least][: self.count]
        return [w.capitalize() if word[:1].isupper() else w for w in found if w.lower() != word.lower()]
