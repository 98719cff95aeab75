"""Laws of the cuts: every row on one side, classes in proportion, equal texts together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zoo.text.splits import cut, fold_numbers, stratified_fraction, stratified_order

labels_lists = st.lists(st.integers(0, 4), min_size=1, max_size=200)


@given(st.lists(st.integers(0, 40), min_size=2, max_size=5).filter(any), st.integers(0, 3))
def test_every_prefix_of_the_order_is_stratified(sizes_of_classes: list[int], seed: int) -> None:
    """The r-th row of a class of s rows stands at the share (r + 1/2) / s: half a row for the class itself,
    and its part of half a row for each class in what the share of a prefix is."""
    array = np.repeat(np.arange(len(sizes_of_classes)), sizes_of_classes)
    order = stratified_order(array, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(array)))
    sizes = np.bincount(array, minlength=5)
    for count in range(len(array) + 1):
        found = np.bincount(array[order[:count]], minlength=5)
        share = sizes / len(array)
        assert np.all(np.abs(found - count * share) <= 0.5 + share * np.count_nonzero(sizes) / 2 + 1e-9)


@given(labels_lists, st.integers(0, 3))
def test_a_smaller_fraction_is_part_of_a_larger_one_and_has_every_class(labels: list[int], seed: int) -> None:
    array = np.array(labels)
    before: set[int] = set()
    for count in range(0, len(array) + 1, 7):
        rows = stratified_fraction(array, count, np.random.default_rng(seed), every_class=True)
        assert set(array[rows]) == set(labels)
        assert before <= set(rows.tolist())
        assert np.all(np.diff(rows) > 0)
        before = set(rows.tolist())


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), min_size=4, max_size=150),
    st.integers(0, 3),
)
def test_cut_keeps_equal_texts_together_and_every_class_in_the_rest(
    rows: list[tuple[int, int]], seed: int
) -> None:
    keys = [text.to_bytes(2, "big") for text, _ in rows]
    labels = np.array([label for _, label in rows])
    counts = [len(rows) // 5, len(rows) // 10]
    parts = cut(keys, labels, counts, np.random.default_rng(seed))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(rows)))
    texts = [{keys[i] for i in part} for part in parts]
    assert sum(map(len, texts)) == len(set(keys))
    assert set(labels[parts[2]]) == set(labels)


def test_cut_leaves_a_row_of_every_rare_class() -> None:
    """Ten of sixty texts stand there twice, once with a label that no other text has: these go nowhere."""
    labels = np.array([0] * 60 + list(range(1, 11)))
    keys = [bytes([row]) for row in (*range(60), *range(10))]
    for seed in range(10):
        *cuts, rest = cut(keys, labels, [14, 7], np.random.default_rng(seed))
        assert set(labels[rest]) == set(range(11))
        assert [len(part) for part in cuts] == [14, 7]


def test_cut_takes_the_asked_number_of_distinct_texts() -> None:
    keys = [i.to_bytes(2, "big") for i in range(1000)]
    parts = cut(keys, np.arange(1000) % 5, [200, 100], np.random.default_rng(0))
    assert [len(part) for part in parts] == [200, 100, 700]
    assert np.bincount(np.arange(1000)[parts[0]] % 5).tolist() == [40] * 5


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), min_size=4, max_size=150),
    st.integers(2, 6),
)
def test_folds_are_balanced_and_never_empty_a_class_in_training(
    rows: list[tuple[int, int]], folds: int
) -> None:
    # One label a text, so that a class is not hidden behind the first row of a unit.
    keys = [bytes([text]) for text, _ in rows]
    labels = np.array([text % 4 for text, _ in rows])
    fold = fold_numbers(keys, labels, folds, np.random.default_rng(0))
    for number in range(folds):
        assert set(labels[fold != number]) == set(labels)
        texts = {keys[i] for i in np.flatnonzero(fold == number)}
        assert not texts & {keys[i] for i in np.flatnonzero(fold != number)}
    units = {key: fold[i] for i, key in enumerate(keys)}
    sizes = np.bincount([number for number in units.values() if number >= 0], minlength=folds)
    assert sizes.max() - sizes.min() <= 4 + 1
