"""Which texts a network has seen, so that nobody takes them for texts that it is judged by.

Kept beside the network as 8 bytes of a hash a text, of which no text can be read; who has a text can ask
whether it is among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from zoo.core.errors import UserError
from zoo.text import RawCorpus, TextSettings
from zoo.text.normalise import duplicate_key
from zoo.text.parts import Cuts, choose_rows, end_to_end

SEEN = "seen.safetensors"


@dataclass(frozen=True, eq=False)
class Seen:
    """Hashes, as sorted uint64."""

    train: np.ndarray  # (n,) of the texts that it was trained on
    validation: np.ndarray  # (m,) of those that chose its epoch

    @classmethod
    def of(cls, raw: RawCorpus, settings: TextSettings, cuts: Cuts) -> Self:
        """Those of a training on these rows."""
        texts, labels = end_to_end(raw)
        chosen, _ = choose_rows(raw, texts, labels, settings, cuts)
        hashes = _hashes(texts)
        return cls(*(np.unique(hashes[chosen[part]]) for part in ("train", "validation")))

    def count(self, texts: Iterable[str], in_validation: bool = True) -> int:
        """How many of these texts are among them: the same letters and digits (`duplicate_key`).

        in_validation: whether those that chose the epoch count too.
        """
        known = [self.train, self.validation] if in_validation else [self.train]
        return int(np.isin(_hashes(texts), np.concatenate(known)).sum())

    def write(self, folder: Path) -> None:
        """Write its file into the folder of a network."""
        from safetensors.numpy import save

        (folder / SEEN).write_bytes(save(vars(self)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Those of a folder. Raises `UserError` for a file that is none of ours."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            found = cls(**load((folder / SEEN).read_bytes()))
        except (SafetensorError, TypeError) as error:
            raise UserError(f"{SEEN} has no hashes of texts: {error}") from None
        if any(own.ndim != 1 or own.dtype != np.uint64 for own in vars(found).values()):
            raise UserError(f"{SEEN} has no hashes of texts")
        return found


def _hashes(texts: Iterable[str]) -> np.ndarray:
    """(n,) the first 8 bytes of each text's key as a number, the same on every machine."""
    whole = b"".join(duplicate_key(text)[:8] for text in texts)
    return np.frombuffer(whole, "<u8").astype(np.uint64)
