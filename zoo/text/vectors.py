"""Word vectors for a prepared corpus: random, or trained on its training part with gensim's word2vec."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.text import cache
from zoo.text.corpus import Corpus
from zoo.text.settings import PAD_ID, resolve_cache_dir, silent

RANDOM_SCALE = 0.1
WORD2VEC = {"sg": 0, "window": 5, "negative": 5, "epochs": 10, "min_count": 1, "sample": 1e-3}


def load_vectors(
    kind: str, corpus: Corpus, dimensions: int, seed: int, cache_dir: Path | None = None
) -> tuple[np.ndarray | None, dict[str, Any]]:
    """Return float32 vectors (len(corpus.words), dimensions) with a zero row for <pad>, and what they are.

    kind: "random" (normal, standard deviation 0.1), "word2vec" (gensim, trained on corpus.train, repeatable:
    one worker, seeded; cached), "none" (None: the model starts its own), or the path of a vectors file.
    The second value has "kind", "coverage" (share of the vocabulary whose vector is not random) and more.
    Raises `UserError` for an unknown kind or a file that cannot be used.
    """
    if dimensions < 1:
        raise UserError(f"dimensions is {dimensions}; expected at least 1")
    if kind == "none":
        return None, {"kind": "none", "coverage": 0.0}
    if kind == "random":
        return _random(corpus, dimensions, seed), {"kind": "random", "coverage": 0.0, "scale": RANDOM_SCALE}
    if kind == "word2vec":
        return _word2vec(corpus, dimensions, seed, resolve_cache_dir(cache_dir))
    raise UserError(
        f"vectors {kind!r}: no such kind or file; expected random, word2vec, none or a vectors file"
    )


def _random(corpus: Corpus, dimensions: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, 2])
    vectors = (RANDOM_SCALE * rng.standard_normal((len(corpus.words), dimensions))).astype(np.float32)
    vectors[PAD_ID] = 0.0
    return vectors


def _word2vec(
    corpus: Corpus, dimensions: int, seed: int, cache_dir: Path
) -> tuple[np.ndarray, dict[str, Any]]:
    key = cache.cache_key(corpus=corpus.fingerprint, dimensions=dimensions, seed=seed, settings=WORD2VEC)
    path = cache_dir / "vectors" / f"{corpus.name}-{key}.npz"
    info: dict[str, Any] = {"kind": "word2vec", "coverage": 1.0, **WORD2VEC}
    if (stored := cache.read_arrays(path, silent)) is not None:
        return stored[1]["vectors"], info
    with cache.only_one(path):
        if (stored := cache.read_arrays(path, silent)) is not None:
            return stored[1]["vectors"], info
        vectors = _random(corpus, dimensions, seed)
        _train(corpus, vectors, seed)
        cache.write_arrays(path, {}, {"vectors": vectors}, silent)
    return vectors, info


def _train(corpus: Corpus, vectors: np.ndarray, seed: int) -> None:
    """Overwrite the rows of all words seen in training: all but <pad>, and <unk> where no word was cut."""
    try:
        from gensim.models import Word2Vec
    except ImportError as error:
        raise UserError("word2vec vectors need gensim: pip install gensim") from error
    logging.getLogger("gensim").setLevel(logging.WARNING)
    texts = [[str(i) for i in corpus.train.row(row)] for row in range(len(corpus.train))]
    # More than one worker would make the vectors depend on the threads' timing.
    model = Word2Vec(texts, vector_size=vectors.shape[1], seed=seed, workers=1, **WORD2VEC)
    for token, index in model.wv.key_to_index.items():
        vectors[int(token)] = model.wv.vectors[index]
