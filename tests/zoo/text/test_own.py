"""Corpora of the user's own: a folder, or a csv, tsv, jsonl or parquet file."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.text import Corpus, TextSettings, load_corpus

Pairs = list[tuple[str, str]]


def load(path: Path, tmp_path: Path) -> Corpus:
    return load_corpus(str(path), TextSettings(), cache_dir=tmp_path / "cache")


def write_csv(path: Path, pairs: Pairs, delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, delimiter=delimiter)
        rows.writerow(["id", "Label", "text"])
        rows.writerows([i, label, text] for i, (text, label) in enumerate(pairs))
    return path


def test_every_kind_of_file_gives_the_same_corpus(tmp_path: Path, films: Callable[..., Pairs]) -> None:
    pairs = [(f'{text}, "quoted"\nsecond line', label) for text, label in films(60)]
    files = [write_csv(tmp_path / "mine.csv", pairs), write_csv(tmp_path / "mine.tsv", pairs, "\t")]
    rows = "".join(json.dumps({"text": text, "label": label, "more": 1}) + "\n" for text, label in pairs)
    files.append(tmp_path / "mine.jsonl")
    files[-1].write_text(rows)
    files.append(tmp_path / "mine.jsonl.gz")
    files[-1].write_bytes(gzip.compress(rows.encode()))
    files.append(tmp_path / "mine.csv.gz")
    files[-1].write_bytes(gzip.compress((tmp_path / "mine.csv").read_bytes()))
    corpora = [load(file, tmp_path) for file in files]
    assert len({corpus.fingerprint for corpus in corpora}) == 1
    assert corpora[0].name == "mine"
    assert corpora[0].labels == ("neg", "pos")
    assert [len(part) for part in corpora[0].parts.values()] == [42, 6, 12]
    assert "quoted" in corpora[0].words


def test_whole_number_labels_are_ordered_by_value(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps({"text": f"t {i}", "label": i % 12}) + "\n" for i in range(240)))
    assert load(path, tmp_path).labels == tuple(map(str, range(12)))


def test_very_long_cell_and_byte_order_mark(tmp_path: Path, films: Callable[..., Pairs]) -> None:
    pairs = [*films(40), ("long " * 100_000, "pos")]
    path = write_csv(tmp_path / "mine.csv", pairs)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert sum(map(len, load(path, tmp_path).parts.values())) == 41


def test_language_is_guessed_from_the_letters(tmp_path: Path, write_simple: Callable[..., Path]) -> None:
    reviews = [
        (f"第{i}次买, iPhone 很好", "pos") if i % 2 else (f"第{i}次买, 太差 OK", "neg") for i in range(60)
    ]
    corpus = load(write_simple(tmp_path / "zh", train=reviews), tmp_path)
    assert corpus.language == "zh"
    assert "iphone" in corpus.words


def test_folder_with_dev_and_no_test_is_scored_on_dev(
    tmp_path: Path, write_simple: Callable[..., Path], films: Callable[..., Pairs]
) -> None:
    corpus = load(write_simple(tmp_path / "clue", train=films(100), dev=films(30, "new ")), tmp_path)
    assert [len(part) for part in corpus.parts.values()] == [90, 10, 30]
    assert "test part: the official dev" in corpus.notes


def test_folder_of_the_data_directory_by_its_name(
    tmp_path: Path,
    write_simple: Callable[..., Path],
    films: Callable[..., Pairs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_simple(tmp_path / "data" / "mine", train=films(60))
    monkeypatch.setenv("UEGR_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("UEGR_CACHE", str(tmp_path / "cache"))
    assert load_corpus("mine", TextSettings()).name == "mine"
    assert (tmp_path / "cache" / "prepared").is_dir()


def test_parquet_without_its_library(tmp_path: Path) -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("pyarrow is installed")
    (tmp_path / "mine.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"mine.parquet: parquet needs pyarrow"):
        load(tmp_path / "mine.parquet", tmp_path)


def test_parquet(tmp_path: Path, films: Callable[..., Pairs]) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts, labels = map(list, zip(*films(60), strict=True))
    parquet.write_table(pyarrow.table({"text": texts, "label": labels}), tmp_path / "mine.parquet")
    assert (
        load(tmp_path / "mine.parquet", tmp_path).fingerprint
        == load(write_csv(tmp_path / "mine.csv", films(60)), tmp_path).fingerprint
    )
    parquet.write_table(pyarrow.table({"text": texts, "y": labels}), tmp_path / "wrong.parquet")
    with pytest.raises(UserError, match=r"wrong.parquet: columns text, y; expected text and label"):
        load(tmp_path / "wrong.parquet", tmp_path)
    parquet.write_table(
        pyarrow.table({"text": [*texts[:-1], None], "label": labels}), tmp_path / "null.parquet"
    )
    with pytest.raises(UserError, match=r"null.parquet, line 60: text and label are NoneType and str"):
        load(tmp_path / "null.parquet", tmp_path)
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "mine.parquet").read_bytes()[:-9])
    with pytest.raises(UserError, match=r"cut.parquet: not a parquet file"):
        load(tmp_path / "cut.parquet", tmp_path)
