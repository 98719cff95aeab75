"""The one module that uses torchtext: same words, ids and padding as torchtext's own, its traps guarded."""

from __future__ import annotations

import importlib
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from zoo.core.errors import UserError
from zoo.text import Corpus, TextSettings, batches, load_vectors, prepare
from zoo.text.vocabulary import (
    build_vocabulary,
    corpus_vocabulary,
    raw_corpus_from_torchtext,
    torchtext_module,
    torchtext_vectors,
)


def installed(name: str) -> object:
    try:
        return torchtext_module(name)
    except UserError as error:
        pytest.skip(str(error))


def test_vocabulary_is_a_torchtext_vocab(small_corpus: Corpus) -> None:
    vocab = installed("vocab")
    built = corpus_vocabulary(small_corpus)
    assert isinstance(built, vocab.Vocab)
    assert tuple(built.itos) == small_corpus.words
    assert built["film"] == small_corpus.words.index("film")
    assert built["never seen"] == 1


def test_words_ids_and_padding_are_those_of_torchtext(small_corpus: Corpus) -> None:
    """torchtext's own Field, given the same tokens, builds the same vocabulary, ids and padded batches."""
    data = installed("data")
    field = data.Field(batch_first=True, include_lengths=True, unk_token="<unk>", pad_token="<pad>")
    rows = [
        [small_corpus.words[i] for i in small_corpus.train.row(row)] for row in range(len(small_corpus.train))
    ]
    field.build_vocab(rows, specials_first=True)
    # Field puts <unk> before <pad>; the words after the two are the same.
    assert field.vocab.itos[2:] == list(small_corpus.words[2:])
    for batch in batches(small_corpus.train, 7, seed=0, epoch=0):
        theirs, lengths = field.process([rows[i] for i in batch.index])
        swapped = theirs.clone()
        swapped[theirs == 0], swapped[theirs == 1] = 1, 0
        assert np.array_equal(swapped.numpy(), batch.tokens.numpy())
        assert np.array_equal(lengths.numpy(), batch.mask.sum(1).numpy())


def test_ties_are_broken_by_code_point() -> None:
    installed("vocab")
    assert build_vocabulary(Counter("bca"), 9, 1).itos == ["<pad>", "<unk>", "a", "b", "c"]


@pytest.mark.parametrize(
    "error", [OSError("libtorchtext.so: undefined symbol"), ImportError("No module named x")]
)
def test_torchtext_that_cannot_be_loaded(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(UserError, match=r"pip install torchtext==0.6.0") as caught:
        torchtext_module("vocab")
    assert str(error) in str(caught.value)


def test_torchtext_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib, "import_module", lambda name: SimpleNamespace())
    with pytest.raises(UserError, match=r"has no data.Field; pip install torchtext==0.6.0"):
        torchtext_module("data")


def dataset(data: object, pairs: list[tuple[str, str]]) -> object:
    fields = [("text", data.Field()), ("label", data.LabelField())]  # type: ignore[attr-defined]
    return data.Dataset([data.Example.fromlist(pair, fields) for pair in pairs], fields)  # type: ignore[attr-defined]


def test_torchtext_data_sets_are_taken_as_input(films: Callable[..., list]) -> None:
    data = installed("data")
    train, test = dataset(data, films(60)), dataset(data, films(20, "new "))
    corpus = prepare(raw_corpus_from_torchtext("films", "en", train, test), TextSettings())
    assert corpus.labels == ("neg", "pos")
    assert [len(part) for part in corpus.parts.values()] == [54, 6, 20]
    assert corpus.test.labels.tolist() == [0, 1] * 10
    with pytest.raises(UserError, match="label 'odd' is unknown; train has neg, pos"):
        raw_corpus_from_torchtext("films", "en", train, dataset(data, [("x", "odd"), ("y", "pos")]))
    with pytest.raises(UserError, match="list is no torchtext data set"):
        raw_corpus_from_torchtext("films", "en", [("x", "y")])


def test_torchtext_classification_data_sets_are_taken_as_input(films: Callable[..., list]) -> None:
    installed("data")
    import torch
    from torchtext.datasets.text_classification import TextClassificationDataset

    vocab = build_vocabulary(Counter(word for text, _ in films(60) for word in text.split()), 999, 1)
    rows = [
        (int(label == "pos"), torch.tensor([vocab[word] for word in text.split()]))
        for text, label in films(60)
    ]
    raw = raw_corpus_from_torchtext("films", "en", TextClassificationDataset(vocab, rows, {0, 1}))
    assert raw.parts["train"].texts == [text for text, _ in films(60)]
    assert raw.labels == ("0", "1")


def test_vectors_object_leaves_tls_alone_and_is_never_stale(tmp_path: Path, small_corpus: Corpus) -> None:
    installed("vocab")
    path = tmp_path / "some.txt"
    before = ssl._create_default_https_context
    path.write_text("film 1 2 3\ngood 4 5 6\n")
    vectors, info = load_vectors(torchtext_vectors(path), small_corpus, 3, 0, tmp_path)
    assert vectors is not None
    assert vectors[small_corpus.words.index("good")].tolist() == [4, 5, 6]
    assert info["kind"] == "torchtext"
    assert ssl._create_default_https_context is before
    path.write_text("film 1 2 3 4\n")
    assert torchtext_vectors(path).dim == 4
    assert [p.name for p in tmp_path.iterdir()] == ["some.txt"]
    path.write_text("film 1 2 3 4\ngood 1\nbad 1 2\n")
    with pytest.raises(UserError, match=r"some.txt: torchtext cannot read it"):
        torchtext_vectors(path)
    assert ssl._create_default_https_context is before
    path.write_text("film 1 2 3 4\n")
    four = torchtext_vectors(path)
    with pytest.raises(UserError, match=r"expected 5 columns"):
        load_vectors(four, small_corpus, 5, 0, tmp_path)
