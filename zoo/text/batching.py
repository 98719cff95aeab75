"""Batches: padded to their longest text, of similar lengths, in an order that (seed, epoch) alone decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from zoo.core.batch import Batch
from zoo.text.corpus import Split

if TYPE_CHECKING:
    import torch

POOL = 64


def batch_rows(
    lengths: np.ndarray,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    shuffle: bool = True,
    bucketed: bool = True,
) -> list[np.ndarray]:
    """Return the row numbers of each batch; each row is in exactly one batch.

    lengths: (n,). shuffle: a random order, a pure function of (seed, epoch), which are non-negative; with
    `bucketed`, pools of 64 batches are sorted by length before they are cut, and the batches are then
    shuffled. Without `shuffle`: sorted by length (or, not bucketed, in the order of the split).
    Raises `TypeError` or `ValueError` for an argument of another type, shape or range.
    """
    for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0), ("epoch", epoch, 0)):
        _check_whole(name, value, least)
    for name, flag in (("shuffle", shuffle), ("bucketed", bucketed)):
        if not isinstance(flag, bool):
            raise TypeError(f"{name} is {flag!r}; expected True or False")
    if not isinstance(lengths, np.ndarray) or lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise TypeError(f"lengths is {_kind(lengths)}; expected a one-dimensional array of whole numbers")
    n = len(lengths)
    if not shuffle:
        order = np.argsort(lengths, kind="stable") if bucketed else np.arange(n)
        return [order[i : i + batch_size] for i in range(0, n, batch_size)]
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(n)
    if not bucketed:
        return [order[i : i + batch_size] for i in range(0, n, batch_size)]
    rows = []
    for i in range(0, n, POOL * batch_size):
        pool = order[i : i + POOL * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        rows += [pool[j : j + batch_size] for j in range(0, len(pool), batch_size)]
    return [rows[i] for i in rng.permutation(len(rows))]


def _check_whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} is {value!r}; expected a whole number")
    if value < least:
        raise ValueError(f"{name} is {value}; expected at least {least}")


def _kind(value: object) -> str:
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def sentence_layout(split: Split, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each token goes when every sentence fills whole lines of `width` places.

    A sentence longer than a line goes on in the next one. Returns (place, lengths): place (total tokens,) is
    the token's place in its flattened text; lengths (n,) are multiples of width.
    """
    total = len(split.ids)
    number = np.arange(total)
    in_sentence = number - np.maximum.accumulate(np.where(split.starts, number, 0))
    new_line = in_sentence % width == 0
    line = np.cumsum(new_line) - 1
    first_line = line[split.offsets[:-1]]
    lines = np.diff(np.append(first_line, line[-1] + 1))
    place = (line - np.repeat(first_line, split.lengths)) * width + in_sentence % width
    return place, lines * width


def layout(split: Split, words_per_sentence: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (place, lengths): each token's place in its text's row, and the places a row takes.

    words_per_sentence: 0 = one word after the other; otherwise see `sentence_layout`.
    """
    if words_per_sentence:
        return sentence_layout(split, words_per_sentence)
    return np.arange(len(split.ids)) - np.repeat(split.offsets[:-1], split.lengths), split.lengths


def batches(
    split: Split,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    shuffle: bool = True,
    bucketed: bool = True,
    words_per_sentence: int = 0,
    device: torch.device | str | None = None,
) -> Iterator[Batch]:
    """Return the batches of one epoch, made one by one; see `batch_rows` for their order.

    words_per_sentence = W > 0 lays each text out as (S, W), a sentence a line, padded inside each line and
    flattened to T = S * W (for `han`); a sentence longer than W goes on in the next line.
    Raises `TypeError` or `ValueError`, at the call and not with the first batch, for a wrong argument.
    """
    if not isinstance(split, Split):
        raise TypeError(f"split is {type(split).__name__}; expected a part of a prepared corpus (Split)")
    _check_whole("words_per_sentence", words_per_sentence, 0)
    place, lengths = layout(split, words_per_sentence)
    rows = batch_rows(lengths, batch_size, seed=seed, epoch=epoch, shuffle=shuffle, bucketed=bucketed)
    return _filled(split, rows, place, lengths, device or "cpu")


def _filled(
    split: Split,
    rows_of_batches: list[np.ndarray],
    place: np.ndarray,
    lengths: np.ndarray,
    device: torch.device | str,
) -> Iterator[Batch]:
    """Yield the batches of these rows. place, lengths: see `layout`."""
    import torch

    for rows in rows_of_batches:
        part = split.take(rows)
        where = np.concatenate([place[split.offsets[row] : split.offsets[row + 1]] for row in rows])
        line = np.repeat(np.arange(len(rows)), part.lengths)
        tokens = np.zeros((len(rows), int(lengths[rows].max())), np.int64)
        mask = np.zeros(tokens.shape, bool)
        tokens[line, where] = part.ids
        mask[line, where] = True
        arrays = (tokens, mask, part.labels, rows.astype(np.int64))
        yield Batch(*(torch.from_numpy(array).to(device, non_blocking=True) for array in arrays))
