"""Edits of words, cut and put together again; neighbours against a slow search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.robustness.edits import Characters, Letters, Neighbours, cut

CHINESE = "这部电影太好看了!服务 态度极差。ABC123"


@given(st.text(max_size=40))
def test_a_cut_text_is_the_text(text: str) -> None:
    assert cut(text, "en").text() == text


def test_words_of_both_languages() -> None:
    assert cut("It's  a GOOD film, no. 7!", "en").words == ["It", "s", "a", "GOOD", "film", "no"]
    found = cut(CHINESE, "zh")
    assert found.text() == CHINESE
    assert found.text(1, "X") == CHINESE.replace(found.words[1], "X", 1)
    assert {"电影", "服务"} <= set(found.words)
    assert not any("ABC" in word or "!" in word for word in found.words)


def distance(a: str, b: str) -> int:
    """Edits of a letter, and swaps of neighbours, between two words (optimal string alignment)."""
    d = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and (a[i - 1], a[i - 2]) == (b[j - 2], b[j - 1]):
                d[i, j] = min(d[i, j], d[i - 2, j - 2] + 1)
    return d[len(a), len(b)]


@given(st.text("abcdexyz", min_size=1, max_size=8), st.integers(0, 1_000))
def test_each_version_of_a_word_is_one_edit_away(word: str, seed: int) -> None:
    found = Letters().of(word, np.random.default_rng(seed))
    assert found
    assert len(found) == len(set(found)) <= 4
    assert all(distance(word, other) == 1 for other in found)
    assert all(other for other in found), "a word of one letter is not deleted"
    assert found == Letters().of(word, np.random.default_rng(seed))


def test_all_four_kinds_and_all_places_come() -> None:
    rng = np.random.default_rng(0)
    found = {other for _ in range(2_000) for other in Letters("xy").of("abc", rng)}
    swaps, deletions = {"bac", "acb"}, {"bc", "ac", "ab"}
    replaced = {f"{'abc'[:i]}{x}{'abc'[i + 1 :]}" for i in range(3) for x in "xy"}
    inserted = {f"{'abc'[:i]}{x}{'abc'[i:]}" for i in range(4) for x in "xy"}
    assert found == swaps | deletions | replaced | inserted


def test_chinese_edits_use_characters_of_the_texts_and_double_the_one_before() -> None:
    edits = Characters.of_texts(["好看", "极差 abc"])
    assert edits.alphabet == "".join(sorted("好看极差"))
    rng = np.random.default_rng(0)
    found = {other for _ in range(500) for other in edits.of("电影", rng)}
    replaced = {f"{x}影" for x in "好看极差"} | {f"电{x}" for x in "好看极差"}
    assert found == {"影电", "电", "影", "电电影", "电影影"} | replaced
    assert Characters.of_texts(["abc"]).alphabet


def test_neighbours_are_those_of_a_slow_search() -> None:
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(60)]
    table = rng.normal(size=(60, 4))
    edits = Neighbours(words, table, 5, 0.3)
    for i in (0, 7, 59):
        cosine = [float(table[i] @ v / np.linalg.norm(table[i]) / np.linalg.norm(v)) for v in table]
        near = sorted((j for j in range(60) if j != i and cosine[j] >= 0.3), key=lambda j: -cosine[j])[:5]
        assert edits.of(words[i], rng) == [words[j] for j in near]
    assert edits.of("unknown", rng) == []


@pytest.mark.parametrize(("word", "wanted"), [("good", ["fine"]), ("Good", ["Fine"]), ("GOOD", ["Fine"])])
def test_a_neighbour_has_a_capital_where_the_word_has_one(word: str, wanted: list[str]) -> None:
    edits = Neighbours(["good", "fine", "Good"], np.array([[1.0, 0], [1, 0.1], [1, 0]]), 3, 0.5)
    assert edits.of(word, np.random.default_rng(0)) == wanted
