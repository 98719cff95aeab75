"""Preparing a corpus: splits, vocabulary, notes, cache."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.text import TextSettings, load_corpus


def write_simple(
    folder: Path, rows: dict[str, list[tuple[str, str]]], labels: list[str] | None = None
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, pairs in rows.items():
        with gzip.open(folder / f"{part}.jsonl.gz", "wt", encoding="utf-8") as stream:
            for text, label in pairs:
                stream.write(json.dumps({"text": text, "label": label}) + "\n")
    if labels is not None:
        (folder / "labels.txt").write_text("\n".join(labels) + "\n", "utf-8")
    return folder


def reviews(n: int, prefix: str = "") -> list[tuple[str, str]]:
    return [
        (f"{prefix}film number{i} was {'good' if i % 2 else 'bad'}", "pos" if i % 2 else "neg")
        for i in range(n)
    ]


def test_vocabulary_comes_from_training_only(tmp_path: Path) -> None:
    folder = write_simple(
        tmp_path / "films", {"train": reviews(200), "test": [("unheard thing", "pos"), ("bad", "neg")]}
    )
    corpus = load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache")
    assert corpus.words[:2] == ("<pad>", "<unk>")
    assert "unheard" not in corpus.words
    seen = np.unique(corpus.train.ids)
    assert set(range(2, len(corpus.words))) <= set(seen.tolist())


def test_second_load_comes_from_the_cache_and_is_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_simple(tmp_path / "films", {"train": reviews(100), "test": reviews(20, "new ")})
    first = load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache")
    monkeypatch.setattr("zoo.text.loading.prepare", lambda *_: pytest.fail("prepared twice"))
    second = load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache")
    assert second.fingerprint == first.fingerprint
    assert second.words == first.words
    assert np.array_equal(second.test.ids, first.test.ids)


def test_real_corpus_without_a_data_folder_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("UEGR_DATA", raising=False)
    with pytest.raises(UserError, match="--data-dir"):
        load_corpus("imdb", TextSettings(), cache_dir=tmp_path)
