"""Files of word vectors, read with gensim: word2vec text and binary, GloVe; and words.txt + .npy pairs.

gensim loads some broken files without a word (not-a-number rows, repeated words, a cut GloVe file), so what
it returns is checked here, and a file that fails is read again line by line to say where it is wrong.
"""

from __future__ import annotations

import gc
import gzip
import logging
import math
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from zoo.core.errors import UserError
from zoo.text.sources.lines import text_lines

# Rows of the published GloVe files: a file cut at the end of a line cannot be told otherwise.
GLOVE_ROWS = {"6B": 400_000, "twitter.27B": 1_193_514}
_PICKLED = (".kv", ".model", ".pkl", ".pickle", ".pt", ".pth", ".npz")
_EXPECTED = "expected word2vec text or binary, GloVe text, or <name>.words.txt with <name>.npy"


@dataclass(frozen=True)
class VectorFile:
    """Words and their vectors: row i of `vectors` (words, dimensions) is that of word i of `index`."""

    format: str
    index: dict[str, int]
    vectors: np.ndarray


def read_vectors(path: str | os.PathLike[str]) -> VectorFile:
    """Return the vectors of a file. Raises `UserError` naming file and line for whatever is wrong."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path is {type(path).__name__}; expected the path of a vectors file")
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; {_EXPECTED}")
    if re.search(r"\.npy(\.gz)?$|\.words\.txt(\.gz)?$", path.name):
        return _read_pair(path)
    if path.suffix in _PICKLED:
        raise UserError(f"{path}: files of pickled objects can run code and are not read; {_EXPECTED}")
    try:
        kind = _sniff(path)
        return _checked(path, *kind, _load(path, *kind))
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise UserError(f"{path}: cannot be read ({error}); {_EXPECTED}") from None


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _sniff(path: Path) -> tuple[str, int, int]:
    """Return (format, rows stated or 0, dimensions) from the first lines."""
    with _open(path) as stream:
        first = stream.readline(1 << 20)
        start = stream.read(1 << 16)
    cells = first.split()
    if len(cells) == 2 and all(cell.isdigit() for cell in cells):
        rows, dimensions = map(int, cells)
        line = start.split(b"\n", 1)[0].split()
        # In the binary format the bytes of the first vector follow its word.
        text = len(line) > 1 and all(_is_number(cell) for cell in line[1:3])
        return ("word2vec text" if text or not start else "word2vec binary"), rows, dimensions
    if len(cells) < 3 or not all(_is_number(cell) for cell in cells[-2:]):
        raise UserError(f"{path}, line 1: not a word and its numbers; {_EXPECTED}")
    return "GloVe", 0, len(cells) - 1


def _is_number(cell: bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep gensim's log of repeated words quiet (they become an error here), and its files left open."""
    logger = logging.getLogger("gensim")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            yield
    finally:
        logger.setLevel(before)


def _load(path: Path, form: str, rows: int, dimensions: int) -> Any:
    try:
        from gensim.models import KeyedVectors
    except ImportError as error:
        raise UserError("vector files need gensim: pip install gensim") from error
    reason = ""
    with _quiet():
        try:
            return KeyedVectors.load_word2vec_format(
                str(path), binary=form == "word2vec binary", no_header=form == "GloVe"
            )
        except (ValueError, EOFError, TypeError, IndexError, OSError) as error:
            reason = str(error)
        # The error is let go of before `_quiet` ends: it holds the file that gensim left open.
        gc.collect()
    raise UserError(_diagnosis(path, form, rows, dimensions) or f"{path}: {reason}; {_EXPECTED}")


def _checked(path: Path, form: str, rows: int, dimensions: int, keyed: Any) -> VectorFile:
    vectors = np.asarray(keyed.vectors, np.float32)
    index = dict(keyed.key_to_index)
    # A repeated word leaves its row empty, and a line cut to one number is spread over its whole row.
    sound = len(index) == len(vectors) == (rows or len(index)) and bool(np.isfinite(vectors).all())
    if not sound or (vectors == vectors[:, :1]).all(axis=1).any():
        found = _diagnosis(path, form, rows, dimensions) or _first_bad_row(path, index, vectors)
        if found or not sound:
            counts = f"{len(index):,} words in {len(vectors):,} rows"
            raise UserError(found or f"{path}: {counts}; expected one row a word")
    known = re.match(r"glove\.(6B|twitter\.27B)\.\d+d\.txt", path.name)
    if form == "GloVe" and known and len(index) < (published := GLOVE_ROWS[known[1]]):
        raise UserError(
            f"{path}: {len(index):,} rows; expected {published:,} (cut off? rename a subset of your own)"
        )
    return VectorFile(form, index, vectors)


def _first_bad_row(path: Path, index: dict[str, int], vectors: np.ndarray) -> str | None:
    """Say which row of a binary file or a matrix is not finite or all zero, if any."""
    finite = np.isfinite(vectors).all(axis=1)
    bad = np.flatnonzero(~finite | ~vectors.any(axis=1))
    if not len(bad):
        return None
    row = int(bad[0])
    word = next((word for word, number in index.items() if number == row), None)
    if word is None:
        return f"{path}: row {row + 1} has no word of its own (a word comes twice); expected distinct words"
    what = "all zero" if finite[row] else "not finite"
    return f"{path}: row {row + 1} ({word!r}) is {what}; expected finite numbers, not all zero"


def _diagnosis(path: Path, form: str, rows: int, dimensions: int) -> str | None:
    """Read a file again line by line and say what is wrong with it first, if anything."""
    if form == "word2vec binary":
        return _binary_diagnosis(path, rows, dimensions)
    skipped = 0 if form == "GloVe" else 1
    seen: dict[bytes, int] = {}
    number = 0
    with _open(path) as stream:
        for number, line in enumerate(stream, start=1):
            if number <= skipped:
                continue
            if problem := _line_problem(line, dimensions):
                cut = " (the file ends within this line)" if not line.endswith(b"\n") else ""
                return f"{path}, line {number}: {problem}{cut}"
            word = line.split(b" ", 1)[0]
            if word in seen:
                shown = word.decode("utf-8", "replace")
                return f"{path}, line {number}: {shown!r} was on line {seen[word]}; expected distinct words"
            seen[word] = number
    if rows and number - skipped != rows:
        return f"{path}: {number - skipped:,} rows; expected {rows:,} as line 1 says (cut off?)"
    return None


def _line_problem(line: bytes, dimensions: int) -> str | None:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} is not UTF-8; expected UTF-8"
    cells = line.rstrip().split(b" ")
    if len(cells) != dimensions + 1:
        return f"{len(cells) - 1} numbers; expected a word without spaces and {dimensions} numbers"
    try:
        values = [float(cell) for cell in cells[1:]]
    except ValueError:
        bad = next(cell for cell in cells[1:] if not _is_number(cell)).decode("utf-8", "replace")
        return f"{bad!r} is not a number; expected {dimensions} numbers after the word"
    if not all(map(math.isfinite, values)):
        return "a number is not finite; expected finite numbers"
    return None if any(values) else "all numbers are zero; expected a vector"


def _binary_diagnosis(path: Path, rows: int, dimensions: int) -> str | None:
    seen: dict[bytes, int] = {}
    with _open(path) as stream:
        stream.readline()
        for row in range(1, rows + 1):
            word = bytearray()
            while (character := stream.read(1)) not in (b" ", b""):
                word += character
            if len(stream.read(4 * dimensions)) < 4 * dimensions:
                shape = f"{rows:,} rows of {dimensions} numbers"
                return f"{path}: ends within row {row:,}; expected {shape} (cut off?)"
            key = bytes(word).lstrip(b"\n")
            try:
                shown = key.decode("utf-8")
            except UnicodeDecodeError:
                return f"{path}: the word of row {row:,} is not UTF-8; expected UTF-8"
            if key in seen:
                return f"{path}: row {row:,} ({shown!r}) repeats row {seen[key]:,}; expected distinct words"
            seen[key] = row
    return None


def _read_pair(path: Path) -> VectorFile:
    """Read a matrix (.npy, maybe .gz) and its words (one a line) lying side by side under one name."""
    stem = re.sub(r"(\.float\d+)?\.npy(\.gz)?$|\.words\.txt(\.gz)?$", "", path.name)
    found: dict[str, Path] = {}
    for other in sorted(path.parent.iterdir()):
        rest = other.name.removeprefix(stem)
        if other.name.startswith(stem) and re.fullmatch(r"\.words\.txt(\.gz)?", rest):
            found["words"] = other
        elif other.name.startswith(stem) and re.fullmatch(r"(\.float\d+)?\.npy(\.gz)?", rest):
            found["matrix"] = other
    if len(found) < 2:
        raise UserError(f"{path}: no partner found; expected {stem}.words.txt and {stem}.npy side by side")
    index: dict[str, int] = {}
    for number, line in text_lines(found["words"], keep_blank=True):
        word = line.rstrip("\r\n")
        if index.setdefault(word, number - 1) != number - 1:
            raise UserError(f"{found['words']}, line {number}: {word!r} comes twice; expected distinct words")
    try:
        with _open(found["matrix"]) as stream:
            vectors = np.lib.format.read_array(stream, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{found['matrix']}: not a whole .npy matrix ({error})") from None
    if vectors.ndim != 2 or len(vectors) != len(index) or vectors.dtype.kind != "f":
        shape = " x ".join(map(str, vectors.shape))
        raise UserError(
            f"{found['matrix']}: {shape} {vectors.dtype}; expected {len(index):,} rows of numbers"
        )
    vectors = vectors.astype(np.float32)
    if (problem := _first_bad_row(found["matrix"], index, vectors)) is not None:
        raise UserError(problem)
    return VectorFile("words and matrix", index, vectors)
