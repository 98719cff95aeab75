"""New texts in the ids of a prepared corpus: exactly those that `prepare` gives the same texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from zoo.core.cards import LANGUAGES
from zoo.core.errors import UserError
from zoo.text.corpus import Corpus, Split
from zoo.text.segment import tokenise_rows
from zoo.text.settings import PAD, TOKENISERS, UNK, UNK_ID, Report, TextSettings, silent
from zoo.text.tokenise import Tokens, tokeniser_name, tokeniser_version

# What a tokeniser makes of these tells whether it is the one of the corpus, whatever its version says.
PROBE = (
    "Don't pay $1,234.50 to the U.S. firm... <br />It&#39;s naïve! 😀 co-operate\n\nNew paragraph?",
    "南京市长江大桥的研究生命起源,这部电影太好看了!服务态度极差。ＡＢＣ１２３",
)


def numbers_of(words: Sequence[str]) -> dict[str, int]:
    """Return the id of each word. A text can contain the literal "<pad>": only real words have an id."""
    return {word: i for i, word in enumerate(words) if i > UNK_ID}


def ids_of_forms(forms: Sequence[str], numbers: Mapping[str, int]) -> np.ndarray:
    """Return the vocabulary id of each form: (forms,) int32."""
    return np.array([numbers.get(form, UNK_ID) for form in forms], np.int32)


def numbered(tokens: Tokens, id_of_form: np.ndarray, labels: np.ndarray) -> Split:
    """Return all rows with vocabulary ids; a row without tokens becomes one <unk>."""
    lengths = np.diff(tokens.offsets)
    before = tokens.offsets[:-1][lengths == 0]
    ids = np.insert(id_of_form[tokens.ids], before, UNK_ID).astype(np.int32)
    starts = np.insert(tokens.starts, before, True)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.maximum(lengths, 1), dtype=np.int64)])
    return Split(ids, offsets, labels, starts)


@dataclass(frozen=True)
class Encoder:
    """How a text is cut and numbered.

    words: by id, "<pad>" and "<unk>" first. tokeniser: which one, not "auto". max_length: tokens at which a
    text is cut.
    """

    kind: ClassVar[str] = "words"

    words: tuple[str, ...] = field(repr=False)
    language: str
    tokeniser: str
    max_length: int

    @classmethod
    def of(cls, corpus: Corpus, settings: TextSettings) -> Encoder:
        """Return that of a corpus which was prepared under `settings`."""
        tokeniser = tokeniser_name(settings.tokeniser, corpus.language)
        return cls(corpus.words, corpus.language, tokeniser, settings.max_length)

    @property
    def size(self) -> int:
        """Number of ids."""
        return len(self.words)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return numbers_of(self.words)

    def encode(self, texts: Sequence[str], report: Report = silent) -> Split:
        """Return the ids of texts, in their order; every label is 0. report: takes lines of progress.

        Raises `TypeError` for what is no string, `UserError` where the tokeniser's library is missing.
        """
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"text {number} is {type(text).__name__}; expected a string")
        tokens = tokenise_rows(texts, self.language, self.tokeniser, self.max_length, report, "texts")
        labels = np.zeros(len(texts), np.int64)
        return numbered(tokens, ids_of_forms(tokens.forms, self._numbers), labels)

    def fingerprint(self) -> str:
        """Return 16 hex digits that change when the tokeniser cuts otherwise."""
        tokens = tokenise_rows(PROBE, self.language, self.tokeniser, 256, silent, "")
        cut = [tokens.forms[i] for i in tokens.ids]
        return hashlib.sha256("\n".join([*cut, str(tokens.offsets.tolist())]).encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "language": self.language,
            "tokeniser": self.tokeniser,
            "tokeniser_version": tokeniser_version(self.tokeniser),
            "max_length": self.max_length,
            "words": list(self.words),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Encoder:
        """Return the encoder of `as_json`. Raises `UserError` for values that are none."""
        try:
            words, length = tuple(values["words"]), values["max_length"]
            found = cls(words, values["language"], values["tokeniser"], length)
        except (KeyError, TypeError) as error:
            raise UserError(
                f"no encoder ({error}); expected language, tokeniser, max_length and words"
            ) from None
        sound = {
            "language": found.language in LANGUAGES,
            "tokeniser": found.tokeniser in TOKENISERS[1:],
            "max_length": type(length) is int and length > 0,
            "words": words[:2] == (PAD, UNK) and all(isinstance(word, str) for word in words),
        }
        if wrong := [name for name, good in sound.items() if not good]:
            raise UserError(f"{wrong[0]} is not that of an encoder; expected what a saved model has")
        return found
