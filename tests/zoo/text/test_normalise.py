"""Cleaning of raw texts, and the key of equal texts."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.text.normalise import CHARACTERS_PER_TOKEN, duplicate_key, normalise, paragraphs


def test_full_width_forms_become_plain() -> None:
    assert paragraphs("ＡＢＣ１２３，你好！", "zh", 100) == ["abc123,你好!"]


def test_control_characters_part_words_and_invisible_ones_do_not() -> None:
    assert paragraphs("one\x00two\x1bthree", "en", 100) == ["one two three"]
    assert paragraphs("so\u00adft zero\u200bwidth \ufeffmark", "en", 100) == ["soft zerowidth mark"]


def test_lone_surrogates_are_removed() -> None:
    # json.loads('"\\ud83d"') gives one; it cannot be written as UTF-8.
    "".join(paragraphs("a\ud83db", "zh", 100)).encode("utf-8")


def test_skin_tones_and_variation_selectors_leave_the_same_emoji() -> None:
    assert normalise("👍🏽 ❤️") == normalise("👍 ❤")


def test_markup_of_the_english_corpora_is_stripped() -> None:
    imdb = "Great.<br /><br />Really <i>great</i> &amp; more"
    assert paragraphs(imdb, "en", 100) == ["great.", "really great & more"]
    ag_news = "Wall St.\\Bears &lt;b&gt;claw&lt;/b&gt; back #36;5 quot;now quot; #39;s"
    assert paragraphs(ag_news, "en", 100) == ['wall st. bears claw back $5 "now " \'s']


def test_a_comparison_is_no_tag() -> None:
    assert paragraphs("a < b and c > d", "en", 100) == ["a < b and c > d"]


def test_chinese_text_keeps_what_looks_like_markup() -> None:
    assert paragraphs("x<y>z", "zh", 100) == ["x<y>z"]


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00", "\u200b"])
def test_text_without_content_has_no_paragraph(text: str) -> None:
    assert paragraphs(text, "en", 100) == []


def test_very_long_text_is_cut_before_it_is_cleaned() -> None:
    assert len(paragraphs("a" * 10_000_000, "en", 10)[0]) == 10 * CHARACTERS_PER_TOKEN


@given(st.lists(st.text(alphabet="abcXYZ019äßжñ好的电影", min_size=1, max_size=6), min_size=1, max_size=6))
def test_key_ignores_case_space_and_punctuation(words: list[str]) -> None:
    key = duplicate_key(" ".join(words))
    assert key == duplicate_key("  ".join(words).upper() + " !?")
    assert key == duplicate_key("...".join(words).lower())


@given(st.text(), st.text())
def test_key_tells_different_letters_apart(a: str, b: str) -> None:
    def letters(text: str) -> str:
        kept, inside = "", False
        for c in normalise(text).casefold():
            inside = c.isalnum() or (inside and unicodedata.category(c) in ("Mn", "Mc") and c < "\U000e0000")
            kept += c if inside else ""
        return kept

    if letters(a) and letters(b):
        assert (duplicate_key(a) == duplicate_key(b)) == (letters(a) == letters(b))


def test_marks_on_letters_tell_words_apart_and_others_do_not() -> None:
    """Vowels of Hindi, Thai and others are marks. An accent that stands alone is punctuation."""
    for one, other in (("कि", "का"), ("ดี", "ดู"), ("וָ", "וֹ")):
        assert duplicate_key(one) != duplicate_key(other)
        assert duplicate_key(f"{one} {one}") == duplicate_key(f"«{one}{one}»!")
    assert duplicate_key("don\u00b4t") == duplicate_key("dont")
    assert duplicate_key("cafe\u0301") == duplicate_key("CAFÉ") != duplicate_key("cafe")


def test_texts_without_letters_are_compared_as_they_stand() -> None:
    assert duplicate_key("!!") != duplicate_key("??")
    assert duplicate_key("👍") != duplicate_key("👎")
    assert duplicate_key(":- )") == duplicate_key(":-)")
