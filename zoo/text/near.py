"""Near-duplicates between parts: texts whose sets of word n-grams overlap by at least 80 %.

Candidates come from MinHash (Broder 1997) in bands; each is then checked on its exact sets, so that a count
never includes a pair that is less alike. At an overlap of 0.8 a pair is found with probability 0.99.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from zoo.text.tokenise import Tokens

SIMILAR = 0.8
BANDS, ROWS = 6, 3
LONG = 50  # median tokens from which 3-grams are compared; the words alone in shorter texts
_MOST_CANDIDATES = 20
_MIX = np.uint64(0x9E3779B97F4A7C15)


def near_duplicates(tokens: Tokens, train: np.ndarray, others: Sequence[np.ndarray]) -> list[int]:
    """Return for each set of rows how many have a near-duplicate (or equal text) among the rows `train`.

    Empty rows count as like nothing.
    """
    lengths = np.diff(tokens.offsets)
    filled = lengths > 0
    train = train[filled[train]]
    if not len(train):
        return [0] * len(others)
    width = 3 if np.median(lengths[filled]) >= LONG else 1
    hashes, offsets = _shingles(tokens, width)
    signatures = _signatures(hashes, offsets)
    bands = [_band_keys(signatures[:, i : i + ROWS]) for i in range(0, BANDS * ROWS, ROWS)]
    orders = [train[np.argsort(keys[train], kind="stable")] for keys in bands]

    def shingles(row: int) -> frozenset[int]:
        return frozenset(hashes[offsets[row] : offsets[row + 1]].tolist())

    def count(rows: np.ndarray) -> int:
        candidates: dict[int, set[int]] = defaultdict(set)
        for keys, order in zip(bands, orders, strict=True):
            first = np.searchsorted(keys[order], keys[rows], side="left")
            last = np.searchsorted(keys[order], keys[rows], side="right")
            for row, a, b in zip(rows.tolist(), first.tolist(), last.tolist(), strict=True):
                candidates[row].update(order[a : min(b, a + _MOST_CANDIDATES)].tolist())
        return sum(
            any(_alike(shingles(row), shingles(mate)) for mate in mates) for row, mates in candidates.items()
        )

    return [count(rows[filled[rows]]) for rows in others]


def _alike(a: frozenset[int], b: frozenset[int]) -> bool:
    both = len(a & b)
    return both >= SIMILAR * (len(a) + len(b) - both)


def _shingles(tokens: Tokens, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 64-bit hashes of the n-grams of every row, end to end, and where each row's begin: (rows + 1,).

    A row of fewer than `width` tokens has one: all of it.
    """
    lengths = np.diff(tokens.offsets)
    row_end = np.repeat(tokens.offsets[1:], lengths)
    position = np.arange(len(tokens.ids))
    padded = np.concatenate([tokens.ids.astype(np.uint64) + np.uint64(1), np.zeros(width, np.uint64)])
    hashes = np.zeros(len(tokens.ids), np.uint64)
    for step in range(width):
        # Beyond the row's end stands 0, which is no token.
        there = np.where(position + step < row_end, padded[step : step + len(position)], np.uint64(0))
        hashes = _mixed(hashes * _MIX + there)
    kept = (position + width <= row_end) | (position == np.repeat(tokens.offsets[:-1], lengths))
    counts = np.maximum(lengths - width + 1, np.minimum(lengths, 1))
    return hashes[kept], np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _mixed(values: np.ndarray) -> np.ndarray:
    """Spread 64-bit values (the finishing step of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _signatures(hashes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the MinHash signature of every row: (rows, BANDS * ROWS) uint64; zeros without shingles."""
    filled = np.diff(offsets) > 0
    signatures = np.zeros((len(filled), BANDS * ROWS), np.uint64)
    for column in range(BANDS * ROWS):
        salted = (hashes ^ _mixed(np.array([column + 1], np.uint64))) * _MIX
        signatures[filled, column] = np.minimum.reduceat(
            salted ^ (salted >> np.uint64(32)), offsets[:-1][filled]
        )
    return signatures


def _band_keys(band: np.ndarray) -> np.ndarray:
    keys = np.zeros(len(band), np.uint64)
    for column in band.T:
        keys = _mixed(keys * _MIX + column)
    return keys
