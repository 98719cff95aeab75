"""Laws over the whole: what must not see the test part, and what a key must see."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.text import Corpus, RawCorpus, Rows, TextSettings, load_corpus, load_vectors, prepare
from zoo.text.loading import corpus_key
from zoo.text.settings import silent
from zoo.text.sources.columns import Asked
from zoo.text.sources.find import find_source
from zoo.text.vectors import WORD2VEC, vectors_key

WORDS = ("film", "good", "bad", "plot", "was", "the", "very", "dull")
FIELDS = ("ids", "offsets", "labels", "starts")
TRAIN = [
    (" ".join(WORDS[(i * k) % 8] for k in range(1, 2 + i % 7)) + f" n{i % 30}", i % 3) for i in range(60)
]
VALIDATION = [(f"{WORDS[i % 8]} seen rarely {i}", i % 3) for i in range(15)]
TEST = [(f"unseen {WORDS[i % 8]} {i}", i % 3) for i in range(20)]

# Words of the other parts, words of no part, marks, and nothing.
texts = st.lists(st.sampled_from([*WORDS, "seen", "n3", "zebra", "quagga", "?", ""]), max_size=9).map(
    " ".join
)
labels = st.integers(0, 2)


def linesof(pairs: list[tuple[str, int]]) -> Rows:
    return Rows([text for text, _ in pairs], [label for _, label in pairs])


def rows(count: int) -> st.SearchStrategy[list[tuple[str, int]]]:
    return st.lists(st.tuples(texts, labels), min_size=count, max_size=count)


def corpus_of(how: TextSettings, **parts: list[tuple[str, int]]) -> Corpus:
    raw = RawCorpus("films", "en", ("a", "b", "c"), {part: linesof(pairs) for part, pairs in parts.items()})
    return prepare(raw, how)


SETTINGS = {
    "plain": TextSettings(),
    "small vocabulary": TextSettings(max_vocabulary=9, min_count=2, max_length=4),
    "characters": TextSettings(tokeniser="characters"),
    "fraction": TextSettings(fraction=0.5),
    "other seed": TextSettings(split_seed=3, fraction=0.7),
}


def assert_equal_but(part: str, one: Corpus, other: Corpus) -> None:
    """Assert that two corpora are the same bit for bit in all that may not depend on `part`."""
    seen = {"test": ("train", "validation"), "validation": ("train",)}[part]
    assert one.words == other.words
    assert one.labels == other.labels
    for name in seen:
        for field in FIELDS:
            a, b = (getattr(corpus.parts[name], field) for corpus in (one, other))
            assert a.dtype == b.dtype
            assert np.array_equal(a, b), (name, field)


@pytest.fixture(scope="module")
def vectors_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors for words of all parts, and for words that only a changed part may have."""
    path = tmp_path_factory.mktemp("vectors") / "v.txt"
    rng = np.random.default_rng(0)
    words = (*WORDS, "seen", "unseen", "rarely", "zebra", "quagga", "n3")
    lines = zip(words, rng.normal(size=(len(words), 3)), strict=True)
    path.write_text("".join(word + "".join(f" {x:.4f}" for x in row) + "\n" for word, row in lines))
    return path


@pytest.mark.parametrize("how", SETTINGS.values(), ids=SETTINGS)
@settings(max_examples=15, deadline=None)
@given(test=rows(20), published=st.booleans())
def test_nothing_but_the_test_part_depends_on_the_test_part(
    how: TextSettings, test: list[tuple[str, int]], published: bool
) -> None:
    parts = {"train": TRAIN, **({"validation": VALIDATION} if published else {})}
    assert_equal_but("test", corpus_of(how, **parts, test=TEST), corpus_of(how, **parts, test=test))


@settings(max_examples=10, deadline=None)
@given(test=rows(20), fold=st.integers(0, 2))
def test_folds_do_not_depend_on_the_test_part(test: list[tuple[str, int]], fold: int) -> None:
    how = TextSettings(folds=3, fold=fold)
    parts = {"train": TRAIN, "validation": VALIDATION}
    assert_equal_but("test", corpus_of(how, **parts, test=TEST), corpus_of(how, **parts, test=test))


@pytest.mark.parametrize("how", SETTINGS.values(), ids=SETTINGS)
@settings(max_examples=15, deadline=None)
@given(validation=rows(15))
def test_training_does_not_depend_on_validation(how: TextSettings, validation: list[tuple[str, int]]) -> None:
    one = corpus_of(how, train=TRAIN, validation=VALIDATION, test=TEST)
    other = corpus_of(how, train=TRAIN, validation=validation, test=TEST)
    assert_equal_but("validation", one, other)


@pytest.mark.parametrize("kind", ["random", "word2vec", "file"])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(test=rows(20), validation=rows(15))
def test_word_vectors_depend_on_the_training_part_alone(
    kind: str,
    test: list[tuple[str, int]],
    validation: list[tuple[str, int]],
    vectors_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    found = []
    for parts in ({"validation": VALIDATION, "test": TEST}, {"validation": validation, "test": test}):
        corpus = corpus_of(TextSettings(min_count=2), train=TRAIN, **parts)
        # An empty cache each, so that nothing is taken from the first.
        cache = tmp_path_factory.mktemp("cache")
        found.append(load_vectors(str(vectors_file) if kind == "file" else kind, corpus, 3, 5, cache))
    (one, info), (other, info_of_other) = found
    assert one is not None
    assert other is not None
    assert one.tobytes() == other.tobytes()
    assert info == info_of_other


# For every field a base, and another value that changes what is prepared.
OTHER: dict[str, tuple[dict[str, Any], Any]] = {
    "tokeniser": ({}, "characters"),
    "max_length": ({}, 2),
    "max_vocabulary": ({}, 5),
    "min_count": ({}, 3),
    "fraction": ({}, 0.5),
    "folds": ({}, 3),
    "fold": ({"folds": 3}, 1),
    "split_seed": ({}, 1),
    "text_column": ({}, "other"),
    "label_column": ({}, "kind"),
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = [
        f"{text},{'abc'[label]},other {text} {i},{'xy'[i % 2]}" for i, (text, label) in enumerate(TRAIN * 2)
    ]
    (tmp_path / "films.csv").write_text("text,label,other,kind\n" + "\n".join(lines))
    return tmp_path / "films.csv"


def test_every_field_of_the_settings_has_its_line() -> None:
    assert set(OTHER) == {field.name for field in dataclasses.fields(TextSettings)}


@pytest.mark.parametrize("name", OTHER)
def test_every_setting_is_in_the_key_and_in_the_prepared_file(name: str, table: Path, tmp_path: Path) -> None:
    base, value = OTHER[name]
    cache = tmp_path / "cache"

    def key(how: TextSettings) -> str:
        source = find_source(str(table), Asked(how.text_column, how.label_column), None, cache, silent)
        return corpus_key(source, how)

    def files() -> set[Path]:
        return set((cache / "prepared").glob("*.npz"))

    one, again, other = TextSettings(**base), TextSettings(**base), TextSettings(**{**base, name: value})
    assert key(one) == key(again) != key(other)
    first = load_corpus(str(table), one, cache_dir=cache)
    before = files()
    assert load_corpus(str(table), again, cache_dir=cache).fingerprint == first.fingerprint
    assert files() == before
    assert len(before) == 1
    second = load_corpus(str(table), other, cache_dir=cache)
    assert second.fingerprint != first.fingerprint
    assert len(files()) == 2
    # What was kept is what is made: nothing was taken from the other's file.
    assert load_corpus(str(table), other, cache_dir=tmp_path / "fresh").fingerprint == second.fingerprint


def test_equal_values_of_another_type_are_one_key(table: Path, tmp_path: Path) -> None:
    source = find_source(str(table), Asked(), None, tmp_path, silent)
    assert corpus_key(source, TextSettings(fraction=1)) == corpus_key(source, TextSettings(fraction=1.0))


def small(seed: int = 0) -> Corpus:
    return corpus_of(TextSettings(split_seed=seed), train=TRAIN, test=TEST)


VECTOR_ARGUMENTS: dict[str, tuple[Any, Any]] = {
    "kind": ("word2vec", "file"),
    "made_of": ({"window": 5}, {"window": 4}),
    "corpus": (small, lambda: small(1)),
    "dimensions": (3, 4),
    "seed": (0, 1),
}


def test_every_argument_of_the_vectors_key_has_its_line() -> None:
    assert set(VECTOR_ARGUMENTS) == set(inspect.signature(vectors_key).parameters)


@pytest.mark.parametrize("name", VECTOR_ARGUMENTS)
def test_every_argument_is_in_the_vectors_key(name: str) -> None:
    def key(changed: str | None) -> str:
        values = {argument: pair[argument == changed] for argument, pair in VECTOR_ARGUMENTS.items()}
        values["corpus"] = values["corpus"]()
        return vectors_key(**values)

    assert key(None) == key(None) != key(name)


@pytest.mark.parametrize("kind", ["word2vec", "file"])
def test_every_argument_of_load_vectors_gives_another_kept_file(
    kind: str, tmp_path: Path, vectors_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = tmp_path / "wide.txt"
    wide.write_text("".join(line + " 0.5\n" for line in vectors_file.read_text().splitlines()))

    def load(corpus: Corpus, dimensions: int, seed: int) -> Any:
        file = vectors_file if dimensions == 3 else wide
        return load_vectors(
            "word2vec" if kind == "word2vec" else str(file), corpus, dimensions, seed, tmp_path
        )

    calls: list[Callable[[], Any]] = [
        lambda: load(small(), 3, 0),
        lambda: load(small(1), 3, 0),
        lambda: load(small(), 4, 0),
        lambda: load(small(), 3, 1),
    ]
    for count, call in enumerate(calls, start=1):
        first, _ = call()
        assert len(list((tmp_path / "vectors").glob("*.npz"))) == count
        assert np.array_equal(call()[0], first)
        assert len(list((tmp_path / "vectors").glob("*.npz"))) == count
    if kind == "word2vec":
        monkeypatch.setitem(WORD2VEC, "window", 2)
        calls[0]()
        assert len(list((tmp_path / "vectors").glob("*.npz"))) == len(calls) + 1
