"""Wrong arguments of the public functions: one clear line each, and never a result."""

# mypy: disable-error-code="arg-type,list-item"

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.core.errors import UserError
from zoo.text import (
    Corpus,
    RawCorpus,
    Rows,
    TextSettings,
    batches,
    check_vectors,
    default_length,
    known_corpora,
    load_card,
    load_corpus,
    load_texts,
    load_vectors,
    prepare,
)
from zoo.text.batching import batch_rows
from zoo.text.vector_files import read_vectors

HOW = TextSettings()
GOOD = RawCorpus("films", "en", ("a", "b"), {"train": Rows([f"film {i}" for i in range(40)], [0, 1] * 20)})
LENGTHS = np.arange(1, 9)
ORDER = {"seed": 0, "epoch": 0}


def parts(**changed: Any) -> RawCorpus:
    return dataclasses.replace(GOOD, parts={**GOOD.parts, **changed})


@dataclasses.dataclass
class Place:
    """What the calls of the table need."""

    corpus: Corpus
    folder: Path


CALLS: dict[str, tuple[Callable[[Place], object], type[Exception], str]] = {
    "load_corpus(5)": (lambda at: load_corpus(5, HOW), TypeError, "name_or_path is int; expected the name"),
    "load_corpus(None)": (lambda at: load_corpus(None, HOW), TypeError, "name_or_path is NoneType"),
    "load_corpus('')": (lambda at: load_corpus("", HOW, at.folder), UserError, "corpus '': no such corpus"),
    "load_corpus(nul)": (lambda at: load_corpus("a\0b", HOW, at.folder), UserError, "no such corpus or path"),
    "load_corpus(long)": (
        lambda at: load_corpus("x" * 9999, HOW, at.folder),
        UserError,
        "no such corpus or path",
    ),
    "load_corpus(~x)": (lambda at: load_corpus("~nobody-here/x", HOW), UserError, "no such corpus or path"),
    "load_corpus(no settings)": (
        lambda at: load_corpus("imdb", {}),
        TypeError,
        "settings is dict; expected Text",
    ),
    "load_corpus(data_dir=5)": (
        lambda at: load_corpus("imdb", HOW, 5),
        TypeError,
        "data_dir is int; expected a path",
    ),
    "load_corpus(cache_dir=5)": (
        lambda at: load_corpus("imdb", HOW, at.folder, 5),
        TypeError,
        "cache_dir is int; expected a path",
    ),
    "load_corpus(report=5)": (
        lambda at: load_corpus("imdb", HOW, at.folder, at.folder, 5),
        TypeError,
        "report is int; expected a function",
    ),
    "load_texts(5)": (lambda at: load_texts(5, HOW), TypeError, "name_or_path is int"),
    "load_texts(no settings)": (lambda at: load_texts("imdb", 1), TypeError, "settings is int"),
    "prepare(dict)": (lambda at: prepare({}, HOW), TypeError, "raw is dict; expected a RawCorpus"),
    "prepare(no settings)": (lambda at: prepare(GOOD, None), TypeError, "settings is NoneType"),
    "prepare(part dev)": (
        lambda at: prepare(parts(dev=Rows(["x"], [0])), HOW),
        ValueError,
        "films: part 'dev'; expected train, validation, test",
    ),
    "prepare(no train)": (
        lambda at: prepare(dataclasses.replace(GOOD, parts={}), HOW),
        UserError,
        "films: no training rows; expected",
    ),
    "prepare(empty test)": (
        lambda at: prepare(parts(test=Rows([], [])), HOW),
        UserError,
        "leave none for test",
    ),
    "prepare(label 2)": (
        lambda at: prepare(parts(test=Rows(["x"], [2])), HOW),
        ValueError,
        "films, test: label 2; expected a class index from 0 to 1",
    ),
    "prepare(label -1)": (
        lambda at: prepare(parts(test=Rows(["x"], [-1])), HOW),
        ValueError,
        "label -1; expected",
    ),
    "prepare(label 'a')": (
        lambda at: prepare(parts(test=Rows(["x"], ["a"])), HOW),
        ValueError,
        "label 'a'; expected a class index",
    ),
    "prepare(text None)": (
        lambda at: prepare(parts(test=Rows(["x", None], [0, 1])), HOW),
        TypeError,
        "films, test, text 1: NoneType; expected a string",
    ),
    "prepare(labels short)": (
        lambda at: prepare(parts(test=Rows(["x", "y"], [0])), HOW),
        ValueError,
        "films, test: 2 texts and 1 labels; expected one label a text",
    ),
    "prepare(language fr)": (
        lambda at: prepare(dataclasses.replace(GOOD, language="fr"), HOW),
        ValueError,
        "films: language is 'fr'; expected en or zh",
    ),
    "batch_rows(0)": (
        lambda at: batch_rows(LENGTHS, 0, **ORDER),
        ValueError,
        "batch_size is 0; expected at least 1",
    ),
    "batch_rows(2.0)": (
        lambda at: batch_rows(LENGTHS, 2.0, **ORDER),
        TypeError,
        "batch_size is 2.0; expected a whole",
    ),
    "batch_rows(True)": (lambda at: batch_rows(LENGTHS, True, **ORDER), TypeError, "batch_size is True"),
    "batch_rows(seed -1)": (
        lambda at: batch_rows(LENGTHS, 2, seed=-1, epoch=0),
        ValueError,
        "seed is -1; expected",
    ),
    "batch_rows(epoch -1)": (lambda at: batch_rows(LENGTHS, 2, seed=0, epoch=-1), ValueError, "epoch is -1"),
    "batch_rows(seed '0')": (lambda at: batch_rows(LENGTHS, 2, seed="0", epoch=0), TypeError, "seed is '0'"),
    "batch_rows(shuffle 'no')": (
        lambda at: batch_rows(LENGTHS, 2, **ORDER, shuffle="no"),
        TypeError,
        "shuffle is 'no'; expected True or False",
    ),
    "batch_rows(bucketed 1)": (
        lambda at: batch_rows(LENGTHS, 2, **ORDER, bucketed=1),
        TypeError,
        "bucketed is 1",
    ),
    "batch_rows(list)": (
        lambda at: batch_rows([1, 2], 2, **ORDER),
        TypeError,
        "lengths is list; expected a one-dim",
    ),
    "batch_rows(floats)": (
        lambda at: batch_rows(np.ones(3), 2, **ORDER),
        TypeError,
        r"lengths is float64 of shape",
    ),
    "batch_rows(2-d)": (
        lambda at: batch_rows(np.ones((3, 2), int), 2, **ORDER),
        TypeError,
        "one-dimensional",
    ),
    "batches(corpus)": (
        lambda at: batches(at.corpus, 2, **ORDER),
        TypeError,
        "split is Corpus; expected a part of a prepared corpus",
    ),
    # Refused at the call, not with the first batch.
    "batches(0)": (lambda at: batches(at.corpus.train, 0, **ORDER), ValueError, "batch_size is 0"),
    "batches(words -1)": (
        lambda at: batches(at.corpus.train, 2, **ORDER, words_per_sentence=-1),
        ValueError,
        "words_per_sentence is -1; expected at least 0",
    ),
    "load_vectors(kind 5)": (
        lambda at: load_vectors(5, at.corpus, 3, 0),
        TypeError,
        "kind is int; expected a name, a path or an object",
    ),
    "load_vectors('fasttext')": (
        lambda at: load_vectors("fasttext", at.corpus, 3, 0),
        UserError,
        "vectors 'fasttext': no such kind or file; expected random",
    ),
    "check_vectors('fasttext')": (
        lambda at: check_vectors("fasttext"),
        UserError,
        "vectors 'fasttext': no such kind or file",
    ),
    "check_vectors('')": (lambda at: check_vectors(""), UserError, "vectors '': no such kind or file"),
    "check_vectors(nul)": (lambda at: check_vectors("a\0"), UserError, "no such kind or file"),
    "load_vectors(no corpus)": (
        lambda at: load_vectors("random", at.corpus.train, 3, 0),
        TypeError,
        "corpus is Split; expected a prepared Corpus",
    ),
    "load_vectors(0)": (
        lambda at: load_vectors("random", at.corpus, 0, 0),
        UserError,
        "dimensions is 0; expected at",
    ),
    "load_vectors(2.5)": (lambda at: load_vectors("none", at.corpus, 2.5, 0), TypeError, "dimensions is 2.5"),
    "load_vectors(True)": (
        lambda at: load_vectors("none", at.corpus, True, 0),
        TypeError,
        "dimensions is True",
    ),
    "load_vectors(seed -1)": (
        lambda at: load_vectors("random", at.corpus, 3, -1),
        UserError,
        "seed is -1; expected",
    ),
    "load_vectors(seed None)": (
        lambda at: load_vectors("none", at.corpus, 3, None),
        TypeError,
        "seed is None",
    ),
    "load_vectors(cache_dir 5)": (
        lambda at: load_vectors("word2vec", at.corpus, 3, 0, 5),
        TypeError,
        "cache_dir is int; expected a path",
    ),
    "load_vectors(folder)": (
        lambda at: load_vectors(str(at.folder), at.corpus, 3, 0),
        UserError,
        "no such kind or file; expected random, word2vec, glove, e5, none or a vectors file",
    ),
    "read_vectors(5)": (
        lambda at: read_vectors(5),
        TypeError,
        "path is int; expected the path of a vectors file",
    ),
    "read_vectors(folder)": (
        lambda at: read_vectors(at.folder),
        UserError,
        "no such file; expected word2vec text",
    ),
    "load_card(unknown)": (
        lambda at: load_card("film"),
        UserError,
        "no such card; expected the card of corpus film",
    ),
    "load_card(path)": (lambda at: load_card("../data/imdb"), UserError, "no such card|name is 'imdb'"),
    "load_card(5)": (lambda at: load_card(5), TypeError, "name is int; expected the name of a corpus"),
    "known_corpora(x)": (
        lambda at: known_corpora("x"),
        ValueError,
        "kind is 'x'; expected one of demo, real",
    ),
    "default_length(0)": (
        lambda at: default_length("imdb", 0),
        ValueError,
        "preset_length is 0; expected at least 1",
    ),
    "default_length('64')": (
        lambda at: default_length("imdb", "64"),
        TypeError,
        "preset_length is '64'; expected a whole number",
    ),
}


@pytest.mark.parametrize(("call", "kind", "message"), CALLS.values(), ids=CALLS)
def test_wrong_argument(
    call: Callable[[Place], object],
    kind: type[Exception],
    message: str,
    small_corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("UEGR_DATA", raising=False)
    monkeypatch.setenv("UEGR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("the network was asked"))
    with pytest.raises(kind, match=message) as error:
        call(Place(small_corpus, tmp_path))
    assert type(error.value) is kind
    assert "\n" not in str(error.value)
    assert not (tmp_path / "cache").exists()


def test_paths_are_taken_as_paths_and_as_text(tmp_path: Path) -> None:
    lines = [f'{{"text": "film {i}", "label": "{"ab"[i % 2]}"}}\n' for i in range(40)]
    (tmp_path / "films.jsonl").write_text("".join(lines))
    one = load_corpus(tmp_path / "films.jsonl", HOW, cache_dir=tmp_path / "cache")
    other = load_corpus(str(tmp_path / "films.jsonl"), HOW, cache_dir=str(tmp_path / "cache"))
    assert one.fingerprint == other.fingerprint
