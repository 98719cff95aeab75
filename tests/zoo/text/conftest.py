from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zoo.text import Corpus, RawCorpus, Rows, Split, TextSettings, prepare

Pairs = list[tuple[str, str]]


@pytest.fixture(scope="session")
def write_simple() -> Callable[..., Path]:
    """Write a corpus in the simple layout: parts as lists of (text, label), and labels.txt if given."""

    def write(folder: Path, labels: list[str] | None = None, **parts: Pairs) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for part, pairs in parts.items():
            with gzip.open(folder / f"{part}.jsonl.gz", "wt", encoding="utf-8") as stream:
                for text, label in pairs:
                    stream.write(json.dumps({"text": text, "label": label}) + "\n")
        if labels is not None:
            (folder / "labels.txt").write_text("\n".join(labels) + "\n", "utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def films() -> Callable[..., Pairs]:
    """Made-up reviews, half of them of each class, all different."""

    def make(count: int, prefix: str = "") -> Pairs:
        words = ("bad", "good")
        return [
            (f"{prefix}film {i} of {i * 7} was {words[i % 2]}", ("neg", "pos")[i % 2]) for i in range(count)
        ]

    return make


@pytest.fixture(scope="session")
def small_corpus(films: Callable[..., Pairs]) -> Corpus:
    """A prepared corpus of 120 + 40 reviews."""

    def rows(pairs: Pairs) -> Rows:
        return Rows([text for text, _ in pairs], [int(label == "pos") for _, label in pairs])

    raw = RawCorpus(
        "films", "en", ("neg", "pos"), {"train": rows(films(120)), "test": rows(films(40, "other "))}
    )
    return prepare(raw, TextSettings())


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora that UEGR_DATA names; skips where there is none."""
    folder = Path(os.environ.get("UEGR_DATA", "")) / "tnews"
    if not (folder / "train.jsonl.gz").is_file():
        pytest.skip("no real corpora: set UEGR_DATA to a folder with tnews/train.jsonl.gz and others")
    return folder.parent


@pytest.fixture(scope="session")
def make_split() -> Callable[..., Split]:
    """A split with rows of these lengths, its ids counting up from 2, sentences of the given length."""

    def make(lengths: list[int], sentence: int = 4) -> Split:
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        starts = np.concatenate([np.arange(length) % sentence == 0 for length in lengths]).astype(bool)
        ids = np.arange(2, 2 + offsets[-1]).astype(np.int32)
        return Split(ids, offsets, np.arange(len(lengths), dtype=np.int64) % 2, starts)

    return make
