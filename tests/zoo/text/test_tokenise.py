"""Tokenisers and sentence starts."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
from typing import Any

import numpy as np
import pytest

from zoo.text.segment import merged, tokenise_rows
from zoo.text.settings import silent
from zoo.text.tokenise import (
    Cut,
    Tokens,
    make_cutter,
    sentence_starts,
    tokenise,
    tokenise_all,
    tokeniser_name,
)


def words(text: str, language: str = "en", name: str | None = None, max_length: int = 100) -> list[str]:
    cut = make_cutter(name or tokeniser_name("auto", language))
    return tokenise(text, language, cut, max_length)[0]


def marked(text: str, language: str = "en") -> str:
    """The tokens with a bar where a sentence starts."""
    tokens, starts = tokenise(text, language, make_cutter(tokeniser_name("auto", language)), 100)
    return " ".join(("| " if start else "") + token for token, start in zip(tokens, starts, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's GREAT!!", "it 's great ! !"),
        ("I don’t, can't and won't", "i do n't ca n't and wo n't"),
        ("in the U.S. at 3.5% or 1,000", "in the u.s. at 3.5 or 1,000"),
        ("well..... no", "well ... no"),
        ("well… no", "well ... no"),
        ("a well-known co-star (yes)", "a well known co star yes"),
        ("loved it 😀👍🏽", "loved it 😀 👍"),
        ("naïve café", "naïve café"),
        ("यह हिन्दी है।", "यह हिन्दी है"),
        ("ที่นี่ ดี!", "ที่นี่ ดี !"),
        ("don´t İ_i x\u0301y", "don t i\u0307 i x\u0301y"),
    ],
)
def test_english_words(text: str, expected: str) -> None:
    assert words(text) == expected.split()


def test_chinese_words() -> None:
    assert words("我爱北京天安门", "zh") == ["我", "爱", "北京", "天安门"]
    assert words("质量很好👍，推荐！", "zh") == ["质量", "很", "好", "👍", ",", "推荐", "!"]


def test_characters() -> None:
    assert words("好 的ok", "zh", "characters") == ["好", "的", "o", "k"]


@pytest.mark.parametrize("name", ["words", "jieba", "characters"])
@pytest.mark.parametrize("text", ["", "  \n", "\x00\x01", "\u200b"])
def test_text_without_content_has_no_tokens(name: str, text: str) -> None:
    assert words(text, "en" if name == "words" else "zh", name) == []


@pytest.mark.parametrize("name", ["words", "jieba", "characters"])
def test_very_long_text_is_cut_quickly(name: str) -> None:
    text = "好电影 good film. " * 200_000
    assert len(words(text, "en" if name == "words" else "zh", name, 50)) == 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One two. Three! Four?", "| one two . | three ! | four ?"),
        ("What?! No.", "| what ? ! | no ."),
        ("Mr. Smith met J. Doe.", "| mr . smith met j . doe ."),
        ("A headline\n\nThe text", "| a headline | the text"),
        ("broken\nline", "| broken line"),
        ("wait... what", "| wait ... what"),
    ],
)
def test_english_sentences(text: str, expected: str) -> None:
    assert marked(text) == expected


def test_chinese_sentences() -> None:
    assert marked("很好。不错！真的吗？是", "zh") == "| 很 好 。 | 不错 ! | 真的 吗 ? | 是"
    assert sentence_starts(["“", "好", "。", "”", "他", "说"], "zh") == [
        True,
        False,
        False,
        False,
        True,
        False,
    ]


def texts_of_all_kinds(count: int) -> list[str]:
    pool = [
        "我爱北京天安门。",
        "质量很好，推荐！",
        "",
        "不错的电影",
        "www.x.com",
        "😀",
        "第3.5章 ＡＢＣ",
        "\n\n",
        "好" * 40,
    ]
    rng = random.Random(0)
    return ["".join(rng.choices(pool, k=rng.randint(0, 5))) for _ in range(count)]


def test_several_processes_give_the_same_tokens() -> None:
    texts = texts_of_all_kinds(301)
    alone = tokenise_rows(texts, "zh", "jieba", 64, silent, "test", workers=1)
    shared = tokenise_rows(texts, "zh", "jieba", 64, silent, "test", workers=2)
    assert shared.forms == alone.forms
    for field in ("ids", "offsets", "starts"):
        assert np.array_equal(getattr(shared, field), getattr(alone, field))
        assert getattr(shared, field).dtype == getattr(alone, field).dtype


def test_merging_any_cut_gives_the_whole() -> None:
    texts = texts_of_all_kinds(50)
    whole = tokenise_all(texts, "zh", "characters", 64, silent, "test")
    for at in (1, 17, 49):
        halves = [
            tokenise_all(part, "zh", "characters", 64, silent, "test") for part in (texts[:at], texts[at:])
        ]
        both = merged(halves)
        assert both.forms == whole.forms
        assert np.array_equal(both.ids, whole.ids)


def test_a_failing_process_is_reported_and_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    home = os.getpid()

    def fragile(*arguments: Any) -> Tokens:
        if os.getpid() != home:
            os.kill(os.getpid(), signal.SIGKILL)
        return tokenise_all(*arguments)

    monkeypatch.setattr("zoo.text.segment.tokenise_all", fragile)
    lines: list[str] = []
    tokens = tokenise_rows(["a b", "c"], "en", "words", 8, lines.append, "test", workers=2)
    assert tokens.forms == ("a", "b", "c")
    assert any("failed" in line for line in lines)


def test_first_progress_line_says_a_real_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0.0, 3.0)  # three seconds a text: every text is due for a line
    monkeypatch.setattr("zoo.text.tokenise.time.monotonic", lambda: next(clock))
    lines: list[str] = []
    tokenise_all(["good film"] * 500, "en", "words", 8, lines.append, "films")
    assert lines[0] == "films: 5 of 500 texts tokenised (words)"


def test_loading_the_dictionary_is_said_once_and_takes_no_texts_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def slow(name: str) -> Cut:
        now[0] += 60.0
        return list

    monkeypatch.setattr("zoo.text.tokenise.time.monotonic", lambda: now[0])
    monkeypatch.setattr("zoo.text.tokenise.make_cutter", slow)
    monkeypatch.delitem(sys.modules, "jieba", raising=False)
    lines: list[str] = []
    tokenise_all(["好"] * 10, "zh", "jieba", 8, lines.append, "news")
    assert lines == ["news: loading the dictionary of jieba"]


def test_length_limit_is_of_the_text_and_not_of_a_paragraph() -> None:
    text = "one two three\n\nfour five six\n\nseven eight nine"
    assert words(text, max_length=5) == ["one", "two", "three", "four", "five"]
    assert words(text, max_length=3) == ["one", "two", "three"]
