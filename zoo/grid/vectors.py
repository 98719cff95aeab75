"""Files of word vectors as a grid names them: by their content, not by where they lie."""

from __future__ import annotations

import hashlib
from pathlib import Path

from zoo.core.errors import UserError
from zoo.text import Corpus, load_vectors
from zoo.text.vectors import MADE
from zoo.training.settings import CellSettings


class VectorFiles:
    """The content of vectors files, each read once a plan: it names a cell as its corpus does."""

    def __init__(self, cache: Path | None) -> None:
        self.cache = cache
        self._known: dict[str, str] = {}
        self._tried: set[tuple[str, int]] = set()

    def fingerprint(self, settings: CellSettings, corpus: Corpus, seed: int) -> str:
        """'' for vectors that are made; '+' and 16 hex digits for a file's, which is tried on the corpus."""
        vectors, path = settings.train.vectors, settings.train.vectors_file
        if path is None:
            return ""
        size: int = settings.model.embedding  # type: ignore[attr-defined]
        if (corpus.fingerprint, size) not in self._tried:
            load_vectors(vectors, corpus, size, seed, self.cache)
            self._tried.add((corpus.fingerprint, size))
        if vectors not in self._known:
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise UserError(
                    f"vectors {vectors!r}: cannot be read ({error.strerror}); expected "
                    f"{', '.join(MADE)} or a file of vectors"
                ) from None
            self._known[vectors] = f"+{digest[:16]}"
        return self._known[vectors]
