"""Word vectors for a prepared corpus: random, trained on its training part with gensim, or from a file."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from zoo.core.errors import UserError
from zoo.text.cache import cache_key, only_one, read_arrays, write_arrays
from zoo.text.corpus import Corpus
from zoo.text.packaged import PACKAGED
from zoo.text.settings import PAD_ID, UNK_ID, Report, resolve_cache_dir, silent
from zoo.text.vector_files import VectorFile, read_vectors

MADE = ("random", "word2vec", *PACKAGED)  # what a training may name beside a file
KINDS = (*MADE, "none")
RANDOM_SCALE = 0.1
WORD2VEC = {"sg": 0, "window": 5, "negative": 5, "epochs": 10, "min_count": 1, "sample": 1e-3}

Found = tuple[np.ndarray, dict[str, Any]]


class WordVectors(Protocol):
    """What a torchtext `Vectors` object has: word to row, and a (words, dimensions) tensor."""

    stoi: Mapping[str, int]
    vectors: Any


def load_vectors(
    kind: str | WordVectors,
    corpus: Corpus,
    dimensions: int,
    seed: int,
    cache_dir: Path | None = None,
    report: Report = silent,
) -> tuple[np.ndarray | None, dict[str, Any]]:
    """Return float32 vectors (len(corpus.words), dimensions) with a zero row for <pad>, and what they are.

    kind: "random" (normal, standard deviation 0.1), "word2vec" (gensim, trained on corpus.train, repeatable:
    one worker, seeded), "glove" or "e5" (from a package, `zoo.text.packaged`), "none" (None: the model
    starts its own), the path of a vectors file (see `vector_files`), or a torchtext `Vectors` object. Words
    that a file lacks get random rows of its scale.
    The second value has "kind" and "coverage" (share of the words whose vector is not random); for files also
    "token_coverage" (share of the training tokens), "format" and "rows".
    cache_dir: word2vec and file vectors are kept in its folder `vectors`, see `resolve_cache_dir`.
    Raises `UserError` for an unknown kind or a file that cannot be used, dimensions below 1 or a negative
    seed; `TypeError` for an argument of another type.
    """
    _check_arguments(kind, corpus, dimensions, seed, report)
    if not isinstance(kind, str) or kind not in PACKAGED:
        check_vectors(kind)
    if not isinstance(kind, str):
        matrix = np.asarray(kind.vectors.detach().cpu(), np.float32)
        return _of_words("torchtext", dict(kind.stoi), matrix, corpus, dimensions, seed)
    if kind == "none":
        return None, {"kind": "none", "coverage": 0.0}
    if kind == "random":
        return _random(corpus, dimensions, seed), {"kind": "random", "coverage": 0.0, "scale": RANDOM_SCALE}
    path = kept_vectors(kind, corpus, dimensions, seed, cache_dir)
    if kind == "word2vec":
        return _cached(path, report, lambda: _word2vec(corpus, dimensions, seed, report))
    if kind in PACKAGED:
        return _cached(path, report, lambda: _packaged(kind, corpus, dimensions, seed, report))
    file = Path(os.path.expanduser(kind))
    return _cached(path, report, lambda: _from_file(file, corpus, dimensions, seed, report))


def kept_vectors(kind: str, corpus: Corpus, dimensions: int, seed: int, cache_dir: Path | None) -> Path:
    """Return where vectors that cost time are kept: word2vec's, a package's, a file's."""
    name, made_of = kind, None  # type: tuple[str, Any]
    if kind == "word2vec":
        made_of = WORD2VEC
    elif kind in PACKAGED:
        made_of = PACKAGED[kind].content
    else:
        file = Path(os.path.expanduser(kind))
        status = file.stat()
        name, made_of = "file", [str(file.resolve()), status.st_size, status.st_mtime_ns]
    key = vectors_key(name, made_of, corpus, dimensions, seed)
    return resolve_cache_dir(cache_dir) / "vectors" / f"{corpus.name}-{key}.npz"


def check_vectors(kind: str | WordVectors) -> None:
    """Raise `UserError` unless `load_vectors` knows the kind or finds the file: cheap, before any work."""
    if isinstance(kind, str) and kind in PACKAGED:
        PACKAGED[kind].check()
    elif isinstance(kind, str) and kind not in KINDS and not os.path.isfile(os.path.expanduser(kind)):
        raise UserError(
            f"vectors {kind!r}: no such kind or file; expected {', '.join(KINDS)} or a vectors file"
        )


def vectors_key(kind: str, made_of: Any, corpus: Corpus, dimensions: int, seed: int) -> str:
    """Return the key of kept vectors. made_of: settings of the training, or what tells a file's content."""
    return cache_key(
        kind=kind, made_of=made_of, corpus=corpus.fingerprint, dimensions=int(dimensions), seed=int(seed)
    )


def _check_arguments(kind: Any, corpus: Any, dimensions: Any, seed: Any, report: Any) -> None:
    if not isinstance(kind, str) and not (hasattr(kind, "stoi") and hasattr(kind, "vectors")):
        raise TypeError(
            f"kind is {type(kind).__name__}; expected a name, a path or an object with stoi and vectors"
        )
    if not isinstance(corpus, Corpus):
        raise TypeError(f"corpus is {type(corpus).__name__}; expected a prepared Corpus")
    if not callable(report):
        raise TypeError(f"report is {type(report).__name__}; expected a function that takes a line")
    for name, value, least in (("dimensions", dimensions, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name} is {value!r}; expected a whole number")
        if value < least:
            raise UserError(f"{name} is {value}; expected at least {least}")


def _cached(path: Path, report: Report, make: Callable[[], Found]) -> Found:
    if (stored := read_arrays(path, report)) is not None:
        return stored[1]["vectors"], stored[0]
    with only_one(path):
        if (stored := read_arrays(path, silent)) is not None:
            return stored[1]["vectors"], stored[0]
        vectors, info = make()
        write_arrays(path, info, {"vectors": vectors}, report)
    return vectors, info


def _random(corpus: Corpus, dimensions: int, seed: int, scale: float = RANDOM_SCALE) -> np.ndarray:
    rng = np.random.default_rng([seed, 2])
    vectors = (scale * rng.standard_normal((len(corpus.words), dimensions))).astype(np.float32)
    vectors[PAD_ID] = 0.0
    return vectors


def _from_file(file: Path, corpus: Corpus, dimensions: int, seed: int, report: Report) -> Found:
    report(f"{file.name}: reading vectors")
    return _read(str(file), read_vectors(file), corpus, dimensions, seed, report)


def _packaged(kind: str, corpus: Corpus, dimensions: int, seed: int, report: Report) -> Found:
    PACKAGED[kind].check()
    report(f"{kind}: reading vectors")
    found = PACKAGED[kind].read(corpus.words[UNK_ID + 1 :], dimensions)
    return _read(kind, found, corpus, dimensions, seed, report)


def _read(kind: str, found: VectorFile, corpus: Corpus, dimensions: int, seed: int, report: Report) -> Found:
    if found.vectors.shape[1] != dimensions:
        stored = found.vectors.shape[1]
        raise UserError(
            f"{kind}: vectors of {stored} dimensions; expected {dimensions}, the model's embedding"
        )
    vectors, info = _of_words(kind, found.index, found.vectors, corpus, dimensions, seed)
    covered = f"{info['coverage']:.1%} of the words, {info['token_coverage']:.1%} of the tokens"
    report(f"{Path(kind).name}: vectors for {covered}")
    return vectors, {**info, "format": found.format}


def _of_words(
    kind: str, index: Mapping[str, int], matrix: np.ndarray, corpus: Corpus, dimensions: int, seed: int
) -> Found:
    """Return the rows of the corpus's words; random rows of the same scale for those that are missing."""
    if matrix.ndim != 2 or matrix.shape[1] != dimensions:
        raise UserError(
            f"{kind}: vectors are {matrix.shape}; expected {dimensions} columns, the model's embedding"
        )
    rows = np.array([index.get(word, -1) for word in corpus.words])
    rows[[PAD_ID, UNK_ID]] = -1
    known = rows >= 0
    if not known.any():
        raise UserError(
            f"{kind}: has none of the {len(rows) - 2:,} words of {corpus.name}; expected its language"
        )
    vectors = _random(corpus, dimensions, seed, scale=float(matrix[rows[known]].std()))
    vectors[known] = matrix[rows[known]]
    tokens = np.bincount(corpus.train.ids, minlength=len(rows))
    return vectors, {
        "kind": kind,
        "coverage": float(known[UNK_ID + 1 :].mean()),
        "token_coverage": float(tokens[known].sum() / tokens.sum()),
        "rows": len(matrix),
    }


def _word2vec(corpus: Corpus, dimensions: int, seed: int, report: Report) -> Found:
    """Train on the training part: all words get a vector, <unk> too where words were cut off."""
    try:
        from gensim.models import Word2Vec
    except ImportError as error:
        raise UserError("word2vec vectors need gensim: pip install gensim") from error
    logging.getLogger("gensim").setLevel(logging.WARNING)
    begun = time.monotonic()
    report(f"{corpus.name}: training word2vec on {len(corpus.train.ids):,} tokens")
    texts = [[str(i) for i in corpus.train.row(row)] for row in range(len(corpus.train))]
    # More than one worker would make the vectors depend on the threads' timing.
    model = Word2Vec(texts, vector_size=dimensions, seed=seed, workers=1, **WORD2VEC)
    vectors = _random(corpus, dimensions, seed)
    for token, index in model.wv.key_to_index.items():
        vectors[int(token)] = model.wv.vectors[index]
    report(f"{corpus.name}: word2vec trained in {time.monotonic() - begun:.1f} s")
    return vectors, {"kind": "word2vec", "coverage": 1.0, **WORD2VEC}
