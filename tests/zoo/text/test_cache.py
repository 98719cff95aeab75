"""Prepared corpora on disk: found again, made anew where damaged, safe from two processes at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo.text.cache as cache
from zoo.text import Corpus, RawCorpus, TextSettings, load_corpus, load_texts
from zoo.text.loading import _tokens
from zoo.text.settings import silent
from zoo.text.tokenise import Tokens

Pairs = list[tuple[str, str]]


@pytest.fixture
def folder(tmp_path: Path, write_simple: Callable[..., Path], films: Callable[..., Pairs]) -> Path:
    return write_simple(tmp_path / "films", train=films(100), test=films(20, "new "))


def test_second_load_is_equal_and_prepares_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache")
    monkeypatch.setattr("zoo.text.loading.prepare", lambda *_: pytest.fail("prepared twice"))
    second = load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache")
    for field in ("name", "language", "labels", "words", "fingerprint", "notes"):
        assert getattr(second, field) == getattr(first, field)
    for part in first.parts:
        for field in ("ids", "offsets", "labels", "starts"):
            old, new = (getattr(corpus.parts[part], field) for corpus in (first, second))
            assert np.array_equal(old, new)
            assert old.dtype == new.dtype


def test_settings_and_content_are_the_key(
    folder: Path, tmp_path: Path, write_simple: Callable[..., Path], films: Callable[..., Pairs]
) -> None:
    def load(**settings: int) -> Corpus:
        return load_corpus(str(folder), TextSettings(**settings), cache_dir=tmp_path / "cache")

    first = load()
    assert load(max_length=3).fingerprint != first.fingerprint
    assert load().fingerprint == first.fingerprint
    write_simple(folder, test=films(22, "new "))
    assert load().fingerprint != first.fingerprint


def test_every_module_of_the_package_is_in_the_code_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "text"
    shutil.copytree(Path(cache.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(cache, "__file__", str(package / "cache.py"))
    version = cache.code_version.__wrapped__
    before = version()
    modules = [path for path in package.rglob("*.py") if path.stem != "batching"]
    assert {"rows.py", "loading.py", "layouts.py"} < {path.name for path in modules}
    for module in modules:
        original = module.read_bytes()
        module.write_bytes(original + b"# more\n")
        assert version() != before, module
        module.write_bytes(original)
    (package / "batching.py").write_bytes(b"# orders of batches change no prepared corpus\n")
    assert version() == before
    assert version(("sources/rows",)) != version(("tokenise",))


def test_moved_corpus_is_still_known(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache")
    monkeypatch.setattr("zoo.text.loading.prepare", lambda *_: pytest.fail("prepared twice"))
    (tmp_path / "elsewhere").mkdir()
    moved = folder.rename(tmp_path / "elsewhere" / "films")
    assert (
        load_corpus(str(moved), TextSettings(), cache_dir=tmp_path / "cache").fingerprint == first.fingerprint
    )


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 rubbish"])
def test_damaged_file_is_made_anew(folder: Path, tmp_path: Path, damage: bytes) -> None:
    first = load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache")
    (stored,) = (tmp_path / "cache" / "prepared").glob("*.npz")
    stored.write_bytes(damage or stored.read_bytes()[:-200])
    lines: list[str] = []
    again = load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache", report=lines.append)
    assert again.fingerprint == first.fingerprint
    assert any("damaged" in line for line in lines)


def test_cache_that_cannot_be_written_is_no_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    lines: list[str] = []
    corpus = load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache", report=lines.append)
    assert len(corpus.test) == 20
    assert any("going on without" in line for line in lines)


def test_two_processes_at_once(folder: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from zoo.text import *;"
        "print(load_corpus(sys.argv[1], TextSettings(), cache_dir=Path(sys.argv[2])).fingerprint)"
    )
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(folder), str(tmp_path / "cache")],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        )
        for seed in (1, 2)
    ]
    found = {job.communicate(timeout=60)[0].strip() for job in jobs}
    assert all(job.returncode == 0 for job in jobs)
    assert found == {load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache").fingerprint}
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_tokens_are_kept_for_other_settings(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.text.loading.KEEP_TOKENS_SECONDS", 0.0)
    load_corpus(str(folder), TextSettings(folds=3, fold=0), cache_dir=tmp_path / "cache")
    monkeypatch.setattr("zoo.text.loading.tokenise_rows", lambda *_: pytest.fail("tokenised twice"))
    kept = load_corpus(str(folder), TextSettings(folds=3, fold=1), cache_dir=tmp_path / "cache")
    monkeypatch.undo()
    fresh = load_corpus(str(folder), TextSettings(folds=3, fold=1), cache_dir=tmp_path / "other")
    assert kept.fingerprint == fresh.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"texts": ["a bad film", "a good play"]},
        {"texts": ["a good film", "a bad film"]},
        {"texts": ["a bad film"]},
        {"language": "zh"},
        {"name": "characters"},
        {"max_length": 2},
        {"version": "jieba 99"},
    ],
)
def test_kept_tokens_are_those_of_the_same_texts_cut_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    """Whatever else is asked for is cut anew, and comes out as it does without a cache."""
    monkeypatch.setattr("zoo.text.loading.KEEP_TOKENS_SECONDS", 0.0)

    def tokens(
        folder: Path | None, texts: Sequence[str], language: str, name: str, max_length: int, version: str
    ) -> Tokens:
        monkeypatch.setattr("zoo.text.loading.tokeniser_version", lambda tokeniser: version)
        corpus = RawCorpus("films", language, ("bad", "good"), {})
        return _tokens(corpus, list(texts), name, max_length, silent, folder)

    usual = {"texts": ["a bad film", "a good film"], "language": "en", "name": "words", "max_length": 9}
    usual["version"] = ""
    tokens(tmp_path, **usual)
    found, fresh = (tokens(folder, **usual | change) for folder in (tmp_path, None))
    assert found.forms == fresh.forms
    assert found.ids.tolist() == fresh.ids.tolist()
    assert len(list((tmp_path / "tokens").glob("*.npz"))) == 2
    monkeypatch.setattr("zoo.text.loading.tokenise_rows", lambda *_: pytest.fail("tokenised twice"))
    assert tokens(tmp_path, **usual).ids.tolist() == [0, 1, 2, 0, 3, 2]


def test_another_version_of_the_tokeniser_prepares_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache")
    monkeypatch.setattr("zoo.text.loading.tokeniser_version", lambda tokeniser: f"{tokeniser} 99")
    load_corpus(str(folder), TextSettings(), cache_dir=tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "prepared").glob("*.npz"))) == 2


def test_raw_texts_are_those_of_the_prepared_rows(folder: Path, tmp_path: Path) -> None:
    settings = TextSettings(fraction=0.5)
    corpus = load_corpus(str(folder), settings, cache_dir=tmp_path / "cache")
    texts = load_texts(str(folder), settings, cache_dir=tmp_path / "cache")
    for part, split in corpus.parts.items():
        assert texts[part].labels == split.labels.tolist()
        for row, text in enumerate(texts[part].texts):
            known = [word if word in corpus.words else "<unk>" for word in text.split()]
            assert known == [corpus.words[i] for i in split.row(row)]
