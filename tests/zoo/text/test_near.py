"""Near-duplicates: found when there, never counted when not, against the plain comparison of all pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.text.near import SIMILAR, near_duplicates
from zoo.text.settings import silent
from zoo.text.tokenise import tokenise_all


def tokens_of(texts: list[str]) -> object:
    return tokenise_all(texts, "zh", "characters", 500, silent, "test")


def plain_count(texts: list[str], width: int, train: int) -> int:
    def shingles(text: str) -> set[str]:
        return {text[i : i + width] for i in range(max(1, len(text) - width + 1))} if text else set()

    sets = [shingles(text) for text in texts]
    return sum(any(a and len(a & b) >= SIMILAR * len(a | b) for b in sets[:train]) for a in sets[train:])


@settings(deadline=None)
@given(st.lists(st.text(alphabet="abcde", max_size=8), min_size=2, max_size=30), st.integers(1, 5))
def test_never_more_than_there_are(texts: list[str], train: int) -> None:
    train = min(train, len(texts) - 1)
    found = near_duplicates(tokens_of(texts), np.arange(train), [np.arange(train, len(texts))])
    assert found[0] <= plain_count(texts, 1, train)


def test_edited_long_texts_are_found_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    originals = ["".join(rng.choice(letters, 200)) for _ in range(300)]
    edited = [text[:100] + "#" + text[101:] for text in originals]
    strangers = ["".join(rng.choice(letters, 200)) for _ in range(300)]
    tokens = tokens_of(originals + edited + strangers)
    train = np.arange(300)
    found = near_duplicates(tokens, train, [np.arange(300, 600), np.arange(600, 900)])
    assert found == [300, 0]
    assert plain_count(originals + edited, 3, 300) == 300


def test_pairs_that_are_just_alike_enough_are_found() -> None:
    """Nine words, eight of them the same: an overlap of 8 / 10. Of such pairs the bands find 98.6 %."""
    rng = np.random.default_rng(0)
    letters = np.array([chr(0x4E00 + i) for i in range(20_000)])
    drawn = [rng.choice(letters, 10, replace=False) for _ in range(400)]
    tokens = tokens_of(["".join(row[:9]) for row in drawn] + ["".join(row[1:]) for row in drawn])
    (found,) = near_duplicates(tokens, np.arange(400), [np.arange(400, 800)])
    assert 385 <= found <= 400


def test_empty_texts_are_like_nothing() -> None:
    tokens = tokens_of(["", "abc", "", "abc"])
    assert near_duplicates(tokens, np.array([0, 1]), [np.array([2, 3])]) == [1]
    assert near_duplicates(tokens, np.array([0]), [np.array([2, 3])]) == [0]
