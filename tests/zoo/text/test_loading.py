"""Preparing a corpus: parts, vocabulary, notes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from zoo.core.errors import UserError
from zoo.text import Corpus, RawCorpus, Rows, TextSettings, prepare
from zoo.text.normalise import duplicate_key
from zoo.text.parts import choose_rows, end_to_end

Pairs = list[tuple[str, str]]


def raw(train: Pairs, test: Pairs | None = None, validation: Pairs | None = None) -> RawCorpus:
    names = sorted({label for _, label in train})
    given = {"train": train, "validation": validation, "test": test}
    parts = {
        part: Rows([text for text, _ in pairs], [names.index(label) for _, label in pairs])
        for part, pairs in given.items()
        if pairs is not None
    }
    return RawCorpus("films", "en", tuple(names), parts)


def texts_of(corpus: Corpus, part: str) -> list[str]:
    split = corpus.parts[part]
    return [" ".join(corpus.words[i] for i in split.row(row)) for row in range(len(split))]


def test_vocabulary_comes_from_training_only(films: Callable[..., Pairs]) -> None:
    corpus = prepare(raw(films(200), [("unheard thing", "pos"), ("bad", "neg")]), TextSettings())
    assert corpus.words[:2] == ("<pad>", "<unk>")
    assert "unheard" not in corpus.words
    assert set(range(2, len(corpus.words))) == set(corpus.train.ids.tolist())
    assert texts_of(corpus, "test") == ["<unk> <unk>", "bad"]


def test_vocabulary_is_most_frequent_first_and_limited() -> None:
    pairs = [("a a a b b c", "neg"), ("a b d", "pos")] * 20 + [("once", "pos")]
    words = prepare(raw(pairs, pairs[:2], pairs[:2]), TextSettings(max_vocabulary=3)).words
    assert words == ("<pad>", "<unk>", "a", "b", "c")
    words = prepare(raw(pairs, pairs[:2], pairs[:2]), TextSettings(min_count=2)).words
    assert words == ("<pad>", "<unk>", "a", "b", "c", "d")


def test_literal_special_words_are_no_special_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tokeniser that leaves them whole, as none of ours does today."""
    monkeypatch.setattr("zoo.text.tokenise.make_cutter", lambda name: str.split)
    pairs = [("<pad> <unk> x", "neg"), ("y <pad>", "pos")] * 20
    corpus = prepare(dataclasses.replace(raw(pairs, pairs, pairs), language="zh"), TextSettings())
    assert corpus.words == ("<pad>", "<unk>", "x", "y")
    assert texts_of(corpus, "train")[:2] == ["<unk> <unk> x", "y <unk>"]


def test_empty_text_becomes_one_unknown_word() -> None:
    pairs = [("", "neg"), ("fine film", "pos"), ("\n \x00", "pos"), ("bad", "neg")]
    corpus = prepare(raw(pairs, pairs, pairs), TextSettings())
    assert texts_of(corpus, "train") == ["<unk>", "fine film", "<unk>", "bad"]
    assert corpus.train.offsets.tolist() == [0, 1, 3, 4, 5]
    assert corpus.train.starts.tolist() == [True, True, False, True, True]
    assert any("6 texts without a token" in note for note in corpus.notes)


def test_first_tokens_are_kept(films: Callable[..., Pairs]) -> None:
    corpus = prepare(raw(films(60)), TextSettings(max_length=2))
    assert set(corpus.train.lengths.tolist()) == {2}
    assert set(texts_of(corpus, "train")) <= {f"film {i}" for i in range(60)} | {"film <unk>"}


def test_own_split_is_70_10_20_and_validation_is_cut_from_train(films: Callable[..., Pairs]) -> None:
    corpus = prepare(raw(films(1000)), TextSettings())
    assert [len(part) for part in corpus.parts.values()] == [700, 100, 200]
    assert [part.labels.sum() for part in corpus.parts.values()] == [350, 50, 100]
    corpus = prepare(raw(films(1000), films(300, "new ")), TextSettings())
    assert [len(part) for part in corpus.parts.values()] == [900, 100, 300]


def test_published_parts_stay_as_they_are(films: Callable[..., Pairs]) -> None:
    train, test = films(50), films(30, "new ")
    corpus = prepare(raw(train, test, films(20, "old ")), TextSettings())
    assert [len(part) for part in corpus.parts.values()] == [50, 20, 30]
    assert texts_of(corpus, "train") == [text for text, _ in train]


def test_split_seed_decides_the_split(films: Callable[..., Pairs]) -> None:
    def fingerprint(seed: int) -> str:
        return prepare(raw(films(200)), TextSettings(split_seed=seed)).fingerprint

    assert fingerprint(0) == fingerprint(0) != fingerprint(1)


def test_split_seed_decides_which_rows_a_fraction_has(films: Callable[..., Pairs]) -> None:
    """Of published parts too, of which nothing else is cut."""
    whole = raw(films(400), films(3000, "new "), films(900, "old "))
    one, same, other = (prepare(whole, TextSettings(fraction=0.5, split_seed=seed)) for seed in (0, 0, 1))
    for part in one.parts:
        assert texts_of(one, part) == texts_of(same, part) != texts_of(other, part)


def test_validation_of_a_large_corpus_has_a_cap() -> None:
    """A tenth of the training rows, and 5,000 at most: more would cost training and measure no better."""
    for rows, validation in ((1_000, 100), (49_000, 4_900), (52_000, 5_000)):
        train = Rows([str(i) for i in range(rows)], [i % 2 for i in range(rows)])
        corpus = RawCorpus(
            "numbers", "en", ("even", "odd"), {"train": train, "test": Rows(["x", "y"], [0, 1])}
        )
        texts, labels = end_to_end(corpus)
        chosen, _ = choose_rows(corpus, texts, labels, TextSettings())
        assert {part: len(found) for part, found in chosen.items()} == {
            "train": rows - validation, "validation": validation, "test": 2,
        }  # fmt: skip


def test_fraction_is_stratified_nested_and_leaves_enough_to_measure(films: Callable[..., Pairs]) -> None:
    whole = raw(films(4000), films(9000, "new "), films(400, "old "))
    small, large = (prepare(whole, TextSettings(fraction=f)) for f in (0.05, 0.25))
    assert [len(part) for part in small.parts.values()] == [200, 400, 2000]
    assert [len(part) for part in large.parts.values()] == [1000, 400, 2250]
    assert small.train.labels.sum() == 100
    assert set(texts_of(small, "train")) <= set(texts_of(large, "train"))
    assert "fraction 0.05" in small.notes


def test_fraction_keeps_a_row_of_every_class() -> None:
    pairs = [(f"text {i} of {i % 40}", f"class{i % 40:02d}") for i in range(400)]
    corpus = prepare(raw(pairs, pairs, pairs), TextSettings(fraction=0.01))
    assert set(corpus.train.labels.tolist()) == set(range(40))


def test_only_the_chosen_rows_are_tokenised(
    films: Callable[..., Pairs], monkeypatch: pytest.MonkeyPatch
) -> None:
    import zoo.text.loading as loading

    seen: list[int] = []
    original = loading.tokenise_rows
    monkeypatch.setattr(
        loading, "tokenise_rows", lambda texts, *rest: seen.append(len(texts)) or original(texts, *rest)
    )
    prepare(raw(films(3000), films(1000, "new ")), TextSettings(fraction=0.1))
    assert seen == [270 + 300 + 1000]


def test_folds_part_train_and_validation_and_leave_test(films: Callable[..., Pairs]) -> None:
    whole = raw(films(103), films(30, "new "), films(47, "old "))
    corpora = [prepare(whole, TextSettings(folds=5, fold=fold)) for fold in range(5)]
    sizes = [len(corpus.validation) for corpus in corpora]
    assert sum(sizes) == 150
    assert max(sizes) - min(sizes) <= 1
    assert all(len(corpus.train) + len(corpus.validation) == 150 for corpus in corpora)
    assert all(len(corpus.test) == 30 for corpus in corpora)
    assert len({corpus.fingerprint for corpus in corpora}) == 5
    assert "fold 3 of 5, seed 0" in corpora[3].notes


def test_folds_of_a_corpus_without_published_parts(films: Callable[..., Pairs]) -> None:
    corpora = [prepare(raw(films(200)), TextSettings(folds=4, fold=fold)) for fold in range(4)]
    assert [[len(part) for part in corpus.parts.values()] for corpus in corpora] == [[120, 40, 40]] * 4


def test_duplicates_between_published_parts_are_counted_and_kept(films: Callable[..., Pairs]) -> None:
    train = films(100)
    test = [(train[0][0].upper() + "!!", "neg"), (train[1][0], "pos"), *films(10, "quite another ")]
    corpus = prepare(raw(train, test, films(20, "old ")), TextSettings())
    assert len(corpus.train) == 100
    assert "test: 2 of 12 texts are in train too, 2 nearly" in corpus.notes


def test_cuts_of_ours_never_part_equal_texts() -> None:
    pairs = [(f"film {i // 3}" + "!" * (i % 3), ("neg", "pos")[i // 3 % 2]) for i in range(300)]
    corpus = prepare(raw(pairs), TextSettings())
    keys = [
        {duplicate_key(text) for text in texts_of(corpus, part)} - {duplicate_key("film <unk>")}
        for part in corpus.parts
    ]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]


@pytest.mark.parametrize("order", [*itertools.permutations(("train", "validation", "test"))], ids="-".join)
@pytest.mark.parametrize(
    "how", [{}, {"folds": 3, "fold": 1}, {"fraction": 0.5}], ids=["fixed", "folds", "fraction"]
)
@pytest.mark.parametrize(
    "given", [("train",), ("train", "test"), ("train", "validation"), ("train", "validation", "test")]
)
def test_parts_may_come_in_any_order(
    order: tuple[str, ...], how: dict[str, float], given: tuple[str, ...], films: Callable[..., Pairs]
) -> None:
    pairs = {"train": films(100), "validation": films(30, "old "), "test": films(40, "new ")}
    whole = raw(**{part: pairs[part] for part in given})
    mixed = dataclasses.replace(whole, parts={part: whole.parts[part] for part in order if part in given})
    corpus = prepare(mixed, TextSettings(**how))  # type: ignore[arg-type]
    assert corpus.fingerprint == prepare(whole, TextSettings(**how)).fingerprint  # type: ignore[arg-type]
    parts = {part: set(texts_of(corpus, part)) for part in corpus.parts}
    if "test" in given:
        assert all("new" in words or "<unk>" in words for words in parts["test"])
    assert not any("new" in words.split() for words in parts["train"] | parts["validation"])


def test_test_part_is_held_out_of_train_where_only_validation_is_published(
    films: Callable[..., Pairs],
) -> None:
    train, validation = films(100), films(30, "old ")
    corpus = prepare(raw(train, validation=validation), TextSettings())
    assert [len(part) for part in corpus.parts.values()] == [80, 30, 20]
    assert corpus.test.labels.sum() == 10
    assert "test: 20 rows cut from train, seed 0" in corpus.notes
    assert all("<unk>" in text for text in texts_of(corpus, "validation"))


@pytest.mark.parametrize(
    ("pairs", "settings", "message"),
    [
        ([("a", "x"), ("b", "y")], {}, "films: 2 rows leave none for .*; expected more rows"),
        ([(f"t {i}", f"{i:02}") for i in range(9)], {}, "each of the 9 rows has a label of its own"),
        ([("same", "x"), ("same!", "y")] * 9, {}, "18 rows, but 1 distinct texts, leave none for"),
        (
            [(f"t {i}", "xy"[i % 2]) for i in range(40)],
            {"folds": 50, "fold": 49},
            "in 50 folds; expected fewer",
        ),
    ],
)
def test_rows_that_cannot_be_split(pairs: Pairs, settings: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        prepare(raw(pairs), TextSettings(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fraction": 0.0}, "fraction=0.0: expected a number above 0 and at most 1"),
        ({"fraction": float("nan")}, "fraction=nan: expected a finite number"),
        ({"fraction": 1.5}, "fraction=1.5: expected a number above 0 and at most 1"),
        ({"fraction": True}, "fraction=True: expected a number"),
        ({"fraction": "0.5"}, "fraction='0.5': expected a number"),
        ({"folds": 1}, "folds=1: expected 0 .* or at least 2"),
        ({"folds": -3}, "folds=-3: expected a number at least 0"),
        ({"folds": 100_000}, "folds=100000: expected a number at least 0 and at most 1000"),
        ({"folds": 3, "fold": 3}, "fold=3: expected 0 to 2 with folds=3"),
        ({"fold": 1}, "fold=1: expected 0 to 0"),
        ({"fold": -1}, "fold=-1: expected a number at least 0"),
        ({"max_length": 0}, "max_length=0: expected a number at least 1"),
        ({"max_length": 12.0}, "max_length=12.0: expected a whole number"),
        ({"max_length": True}, "max_length=True: expected a whole number"),
        ({"max_vocabulary": "many"}, "max_vocabulary='many': expected a whole number"),
        ({"max_vocabulary": -1}, "max_vocabulary=-1: expected a number at least 1"),
        ({"min_count": 0}, "min_count=0: expected a number at least 1"),
        ({"min_count": None}, "min_count=None: expected a whole number"),
        ({"split_seed": -1}, "split_seed=-1: expected a number at least 0"),
        ({"split_seed": 0.5}, "split_seed=0.5: expected a whole number"),
        ({"tokeniser": "jeiba"}, "tokeniser='jeiba': expected one of auto, words.*did you mean 'jieba'"),
        ({"tokeniser": 3}, "tokeniser=3: expected a text"),
        ({"text_column": None}, "text_column=None: expected a text"),
        ({"label_column": 1}, "label_column=1: expected a text"),
    ],
)
def test_settings_are_checked(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TextSettings(**wrong)
