"""Which rows are training, validation and test: seeded, stratified, duplicates kept on one side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

VALIDATION_SHARE, VALIDATION_CAP = 0.10, 5_000
OWN_TEST_SHARE = 0.20
# Rows that a fraction leaves at least, or all there are: accuracy on 2,000 has an error of about 1 point.
SMALLEST_PART = {"train": 0, "validation": 500, "test": 2_000}


def stratified_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random order of the rows with the classes in proportion in every prefix, to about a row.

    labels: (n,). Returns (n,) row numbers. Prefixes of different lengths are nested, which makes a smaller
    fraction a subset of a larger one.
    """
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    sizes = np.bincount(labels)
    sizes = sizes[sizes > 0]
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # Row number r of a class of size s belongs at the share (r + 1/2) / s of the whole.
    share = (rank + 0.5) / np.repeat(sizes, sizes)
    return by_class[np.lexsort((rng.random(len(labels)), share))]


def stratified_fraction(
    labels: np.ndarray, count: int, rng: np.random.Generator, every_class: bool
) -> np.ndarray:
    """Return `count` ascending row numbers, in proportion; `every_class`: at least one row of each."""
    order = stratified_order(labels, rng)
    taken = order[:count]
    if every_class:
        _, first = np.unique(labels[order], return_index=True)
        taken = np.union1d(taken, order[first])
    return np.sort(taken)


@dataclass(frozen=True)
class _Units:
    """Rows with the same text count as one unit, so that they are never on two sides of a cut of ours."""

    of_row: np.ndarray  # (n,) unit of each row
    labels: np.ndarray  # (units,) label of the unit's first row


def _units(keys: Sequence[bytes], labels: np.ndarray) -> _Units:
    numbers: dict[bytes, int] = {}
    of_row = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    _, first = np.unique(of_row, return_index=True)
    return _Units(of_row, labels[first])


def cut(
    keys: Sequence[bytes], labels: np.ndarray, counts: Sequence[int], rng: np.random.Generator
) -> list[np.ndarray]:
    """Cut rows into len(counts) stratified parts of about these many rows, and the rest, which comes last.

    No text is in two parts; the rest keeps at least one row of every class. Returns ascending row numbers.
    """
    units = _units(keys, labels)
    rows_of: list[list[int]] = [[] for _ in range(len(units.labels))]
    for row, unit in enumerate(units.of_row):
        rows_of[unit].append(row)
    left = np.bincount(labels)
    part_of = np.full(len(labels), len(counts))
    part, filled = 0, 0
    for unit in stratified_order(units.labels, rng):
        while part < len(counts) and filled >= counts[part]:
            part, filled = part + 1, 0
        if part == len(counts):
            break
        taken = np.bincount(labels[rows_of[unit]], minlength=len(left))
        if np.any((taken > 0) & (left == taken)):
            continue
        left -= taken
        part_of[rows_of[unit]] = part
        filled += len(rows_of[unit])
    return [np.flatnonzero(part_of == number) for number in range(len(counts) + 1)]


def fold_numbers(
    keys: Sequence[bytes], labels: np.ndarray, folds: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the fold of each row: (n,), 0 to folds - 1, classes in proportion, equal texts in one fold.

    A class with a single distinct text gets -1: it stays in training in every fold.
    """
    units = _units(keys, labels)
    shuffled = rng.permutation(len(units.labels))
    by_class = shuffled[np.argsort(units.labels[shuffled], kind="stable")]
    fold_of = np.empty(len(units.labels), np.int64)
    fold_of[by_class] = np.arange(len(by_class)) % folds
    fold_of[np.bincount(units.labels)[units.labels] == 1] = -1
    folds_of_rows: np.ndarray = fold_of[units.of_row]
    return folds_of_rows
