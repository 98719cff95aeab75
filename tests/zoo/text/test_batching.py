"""Laws of the batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.text import Corpus, Split, batches
from zoo.text.batching import batch_rows, sentence_layout

lengths_lists = st.lists(st.integers(1, 30), min_size=1, max_size=300)
flags = st.booleans()


@given(lengths_lists, st.integers(1, 40), st.integers(0, 9), st.integers(0, 9), flags, flags)
def test_every_row_is_in_one_batch(
    lengths: list[int], size: int, seed: int, epoch: int, shuffle: bool, bucketed: bool
) -> None:
    def order() -> list[list[int]]:
        rows = batch_rows(np.array(lengths), size, seed=seed, epoch=epoch, shuffle=shuffle, bucketed=bucketed)
        return [batch.tolist() for batch in rows]

    assert sorted(row for batch in order() for row in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in order())
    assert order() == order()


def test_order_depends_on_seed_and_epoch_and_not_on_the_global_generators() -> None:
    lengths = np.arange(200) % 17 + 1

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in batch_rows(lengths, 8, seed=seed, epoch=epoch)]

    np.random.seed(1)  # noqa: NPY002
    first = order(0, 0)
    np.random.seed(2)  # noqa: NPY002
    assert order(0, 0) == first
    assert order(0, 1) != first
    assert order(1, 0) != first


def test_long_and_short_batches_come_in_any_order() -> None:
    """In each epoch the longest batch stands elsewhere: no epoch goes from short texts to long ones."""
    lengths = np.random.default_rng(0).permutation(64 * 8) + 1
    places = []
    for epoch in range(6):
        longest = [int(lengths[rows].max()) for rows in batch_rows(lengths, 8, seed=0, epoch=epoch)]
        assert sorted(longest) == list(range(8, 64 * 8 + 1, 8)), "one pool, sorted before it was cut"
        places.append(longest.index(64 * 8))
        assert abs(np.corrcoef(longest, np.arange(64))[0, 1]) < 0.5
    assert len(set(places)) > 3


@given(lengths_lists, st.integers(1, 16))
def test_unshuffled_batches_go_up_in_length(lengths: list[int], size: int) -> None:
    rows = np.concatenate(batch_rows(np.array(lengths), size, seed=0, epoch=0, shuffle=False))
    assert np.all(np.diff(np.array(lengths)[rows]) >= 0)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60),
    size=st.integers(1, 9),
    width=st.integers(0, 7),
)
def test_padding(make_split: Callable[..., Split], lengths: list[int], size: int, width: int) -> None:
    split = make_split(lengths)
    for batch in batches(split, size, seed=3, epoch=1, words_per_sentence=width):
        assert batch.tokens.dtype == batch.index.dtype == batch.labels.dtype == torch.int64
        assert torch.equal(batch.mask, batch.tokens != 0)
        assert batch.mask.any(dim=0).any()
        assert torch.equal(batch.labels, torch.from_numpy(split.labels)[batch.index])
        for row, tokens, mask in zip(batch.index.tolist(), batch.tokens, batch.mask, strict=True):
            assert tokens[mask].tolist() == split.row(row).tolist()
        if width:
            assert batch.tokens.shape[1] % width == 0
        else:
            assert batch.tokens.shape[1] == max(lengths[row] for row in batch.index)


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    sentence=st.integers(1, 9),
    width=st.integers(1, 9),
)
def test_every_sentence_starts_a_line(
    make_split: Callable[..., Split], lengths: list[int], sentence: int, width: int
) -> None:
    split = make_split(lengths, sentence)
    place, flat = sentence_layout(split, width)
    assert np.all(place[split.starts] % width == 0)
    assert np.all(flat % width == 0)
    for row, length in enumerate(lengths):
        places = place[split.offsets[row] : split.offsets[row + 1]]
        assert places[0] == 0
        assert len(set(places.tolist())) == length
        assert np.all(np.diff(places) > 0)
        assert places[-1] < flat[row] <= places[-1] + width


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=30), seed=st.integers(0, 9))
def test_take_is_a_round_trip(make_split: Callable[..., Split], lengths: list[int], seed: int) -> None:
    split = make_split(lengths)
    order = np.random.default_rng(seed).permutation(len(lengths))
    back = split.take(order).take(np.argsort(order))
    for field in ("ids", "offsets", "labels", "starts"):
        assert np.array_equal(getattr(back, field), getattr(split, field))
        assert getattr(back, field).dtype == getattr(split, field).dtype


def test_bucketing_saves_padding(small_corpus: Corpus, make_split: Callable[..., Split]) -> None:
    split = make_split(np.random.default_rng(0).integers(1, 200, 2000).tolist())

    def places(bucketed: bool) -> int:
        return sum(b.tokens.numel() for b in batches(split, 16, seed=0, epoch=0, bucketed=bucketed))

    assert places(True) < 1.1 * len(split.ids)
    assert places(False) > 1.5 * len(split.ids)


def test_batch_size_below_one_is_refused(small_corpus: Corpus) -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        next(batches(small_corpus.train, 0, seed=0, epoch=0))
