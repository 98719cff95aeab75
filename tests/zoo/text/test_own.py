"""Corpora of the user's own: a folder, or a csv, tsv, jsonl or parquet file."""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.text import Corpus, TextSettings, load_corpus, load_texts
from zoo.text.sources.rows import natural_order
from zoo.text.sources.tables import open_table

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
    assert {corpus.name for corpus in corpora} == {"mine"}
    assert corpora[0].labels == ("neg", "pos")
    assert [len(part) for part in corpora[0].parts.values()] == [42, 6, 12]
    assert "quoted" in corpora[0].words


def test_a_dot_in_a_file_s_name_is_a_part_of_it(tmp_path: Path, films: Callable[..., Pairs]) -> None:
    files = [write_csv(tmp_path / f"reviews.{year}.CSV", films(60)) for year in (2023, 2024)]
    assert [load(file, tmp_path).name for file in files] == ["reviews.2023", "reviews.2024"]


def test_whole_number_labels_are_ordered_by_value(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps({"text": f"t {i}", "label": i % 12}) + "\n" for i in range(240)))
    assert load(path, tmp_path).labels == tuple(map(str, range(12)))


def test_labels_that_are_no_whole_numbers_are_ordered_by_code_point() -> None:
    assert natural_order(["10", "-2", "9"]) == ["-2", "9", "10"]
    assert natural_order(["2", "--1", "10"]) == ["--1", "10", "2"]
    assert natural_order(["2", "-", "10"]) == ["-", "10", "2"]
    # Of one value: not in the order of a set, which is another one in every process.
    assert natural_order(["01", "1", "001"]) == natural_order(["1", "001", "01"]) == ["001", "01", "1"]


def test_the_order_of_the_rows_gives_no_class_another_number(tmp_path: Path) -> None:
    """A file that was shuffled, or whose parts were exchanged, has the same classes."""
    names = ["c", "a", "b"]
    for turn in range(3):
        order = names[turn:] + names[:turn]
        path = write_csv(tmp_path / f"{turn}.csv", [(f"text {i}", order[i % 3]) for i in range(60)])
        assert load(path, tmp_path).labels == ("a", "b", "c")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "json"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, suffix: str) -> None:
    rows = [(f"text {i} is {'good' if i % 2 else 'bad'}", str(i % 2)) for i in range(40)]
    delimiter = "\t" if suffix == "tsv" else ","
    objects = [json.dumps({"text": text, "label": label}) for text, label in rows]
    content = {
        "jsonl": "\n".join(objects),
        "json": f"[{', '.join(objects)}]",
    }.get(suffix, "\n".join(map(delimiter.join, [("text", "label"), *rows])))
    corpora = []
    for folder, mark in (("plain", ""), ("marked", "\ufeff")):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / f"mine.{suffix}"
        path.write_text(mark + content, "utf-8")
        corpora.append(load(path, tmp_path / folder))
    assert corpora[0].fingerprint == corpora[1].fingerprint
    assert corpora[0].notes == corpora[1].notes


@pytest.mark.parametrize(("ending", "separator"), [("csv", ";"), ("csv", "\t"), ("tsv", ","), ("tsv", ";")])
def test_another_separator_than_the_ending_says_is_told_by_the_header(
    ending: str, separator: str, tmp_path: Path, films: Callable[..., Pairs]
) -> None:
    """As spreadsheets write them, quoted where a text has one."""
    pairs = [(f"{text}; well, indeed", label) for text, label in films(60)]
    usual = load(write_csv(tmp_path / "usual.csv", pairs), tmp_path)
    other = load(write_csv(tmp_path / f"other.{ending}", pairs, separator), tmp_path)
    assert other.fingerprint == usual.fingerprint
    text_alone = tmp_path / "alone.csv"
    text_alone.write_text("text\none; two\n")
    assert [cells for _, (cells,) in open_table(text_alone).rows(["text"])] == ["one; two"]


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


@pytest.mark.parametrize("whole", ["folder", "split column"])
def test_a_dev_part_of_ones_own_selects_and_the_test_part_is_cut_from_train(
    whole: str, tmp_path: Path, write_simple: Callable[..., Path], films: Callable[..., Pairs]
) -> None:
    """As a test part it would be what the network is judged by, and other rows would choose the epoch."""
    parts = {"train": films(100), "dev": films(30, "new ")}
    if whole == "folder":
        path = write_simple(tmp_path / "mine", **parts)
    else:
        rows = [(part, text, label) for part, pairs in parts.items() for text, label in pairs]
        path = table(tmp_path / "mine.csv", ["split", "text", "label"], rows)
    corpus = load(path, tmp_path)
    assert {part: len(split) for part, split in corpus.parts.items()} == {
        "train": 80, "validation": 30, "test": 20,
    }  # fmt: skip
    assert "test: 20 rows cut from train, seed 0" in corpus.notes
    assert not any("official" in note for note in corpus.notes)
    texts = load_texts(path, TextSettings(), cache_dir=tmp_path / "cache")["validation"].texts
    assert texts == [text for text, _ in parts["dev"]]


def test_of_a_known_corpus_the_dev_part_is_the_test_part_if_that_is_how_it_is_published(
    tmp_path: Path, write_simple: Callable[..., Path], films: Callable[..., Pairs]
) -> None:
    def sizes(name: str, **more: Pairs) -> list[int]:
        published = ("negative", "positive") if name == "glue_sst2" else ("neg", "pos")
        named = dict(zip(("neg", "pos"), published, strict=True))
        parts = {"train": films(100), "dev": films(30, "new "), **more}
        own = {part: [(text, named[label]) for text, label in pairs] for part, pairs in parts.items()}
        write_simple(tmp_path / name, sorted(named.values()), **own)
        corpus = load_corpus(name, TextSettings(), tmp_path, tmp_path / "cache")
        return [len(part) for part in corpus.parts.values()]

    assert sizes("glue_sst2") == [90, 10, 30]
    assert sizes("glue_sst2", test=films(44, "old ")) == [100, 30, 44]
    assert sizes("imdb") == [80, 30, 20], "IMDB has a test part of its own"


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


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "mine.parquet").write_bytes(b"PAR1")
    with pytest.raises(
        UserError, match=r"mine.parquet: parquet needs pyarrow \(pip install 'uegr\[parquet\]'\)"
    ):
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
    parquet.write_table(
        pyarrow.table({"Text": texts, "LABEL": labels, "more": labels}), tmp_path / "mine.parquet"
    )
    assert (
        load(tmp_path / "mine.parquet", tmp_path).fingerprint
        == load(tmp_path / "mine.csv", tmp_path).fingerprint
    )
    parquet.write_table(pyarrow.table({"text": texts, "y": labels}), tmp_path / "wrong.parquet")
    with pytest.raises(
        UserError,
        match=r"wrong.parquet: columns text, y; expected text and label, or .* with --text-column text",
    ):
        load(tmp_path / "wrong.parquet", tmp_path)
    parquet.write_table(
        pyarrow.table({"text": [*texts[:-1], None], "label": labels}), tmp_path / "null.parquet"
    )
    with pytest.raises(UserError, match=r"null.parquet, row 60: text is NoneType; expected a string"):
        load(tmp_path / "null.parquet", tmp_path)
    parquet.write_table(pyarrow.table({"text": texts, "label": [0.5] * 60}), tmp_path / "float.parquet")
    with pytest.raises(
        UserError, match=r"float.parquet, row 1: label is float; expected a string or a whole"
    ):
        load(tmp_path / "float.parquet", tmp_path)
    parquet.write_table(pyarrow.table({"text": [], "label": []}), tmp_path / "none.parquet")
    with pytest.raises(UserError, match=r"none.parquet: no rows; expected rows with text and label"):
        load(tmp_path / "none.parquet", tmp_path)
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "mine.parquet").read_bytes()[:-9])
    with pytest.raises(UserError, match=r"cut.parquet: not a parquet file"):
        load(tmp_path / "cut.parquet", tmp_path)


def table(path: Path, columns: list[str], rows: Sequence[tuple[str, ...]]) -> Path:
    """Write rows in the kind of file that the suffix says."""
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, delimiter="\t" if path.suffix == ".tsv" else ",").writerows([columns, *rows])
        return path
    objects = [dict(zip(columns, row, strict=True)) for row in rows]
    if path.suffix == ".json":
        path.write_text(json.dumps(objects, indent=1))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in objects))
    else:
        pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(objects), path)
    return path


KINDS = ("csv", "tsv", "jsonl", "json", "parquet")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("review", "sentiment"),
        ("Sentence", "Category"),
        ("content", "class"),
        ("title", "target"),
        (" Text ", "LABEL"),
    ],
)
def test_common_names_of_columns_are_taken_and_noted(
    kind: str, text: str, label: str, tmp_path: Path, films: Callable[..., Pairs]
) -> None:
    plain = load(table(tmp_path / "plain.csv", ["text", "label"], films(60)), tmp_path)
    corpus = load(table(tmp_path / f"mine.{kind}", [text, label], films(60)), tmp_path)
    assert corpus.fingerprint == plain.fingerprint
    noted = f"columns: {text} as text, {label} as label" in corpus.notes
    assert noted == (text != " Text ")


def test_our_names_come_before_the_common_ones(tmp_path: Path, films: Callable[..., Pairs]) -> None:
    rows = [(text, label, f"other {i}", "x") for i, (text, label) in enumerate(films(60))]
    corpus = load(table(tmp_path / "mine.csv", ["text", "label", "review", "class"], rows), tmp_path)
    assert corpus.labels == ("neg", "pos")
    assert "film" in corpus.words
    assert not any(note.startswith("columns") for note in corpus.notes)


@pytest.mark.parametrize("kind", KINDS)
def test_columns_by_their_names(kind: str, tmp_path: Path, films: Callable[..., Pairs]) -> None:
    rows = [(text, label, f"other {i}", "xy"[i % 2]) for i, (text, label) in enumerate(films(60))]
    path = table(tmp_path / f"mine.{kind}", ["text", "label", "Said", "kind"], rows)
    settings = TextSettings(text_column="said", label_column="kind")
    corpus = load_corpus(str(path), settings, cache_dir=tmp_path / "cache")
    assert corpus.labels == ("x", "y")
    assert "other" in corpus.words
    # By the name that is read anyway, it is the same prepared file.
    before = load(path, tmp_path)
    stored = set((tmp_path / "cache" / "prepared").glob("*.npz"))
    named = load_corpus(str(path), TextSettings(text_column="text"), cache_dir=tmp_path / "cache")
    assert named.fingerprint == before.fingerprint != corpus.fingerprint
    assert set((tmp_path / "cache" / "prepared").glob("*.npz")) == stored


@pytest.mark.parametrize("kind", KINDS)
def test_folder_of_any_kind_of_file(
    kind: str, tmp_path: Path, films: Callable[..., Pairs], write_simple: Callable[..., Path]
) -> None:
    parts = {"train": films(60), "test": films(20, "new "), "dev": films(10, "old ")}
    plain = load(write_simple(tmp_path / "plain", **parts), tmp_path)
    (tmp_path / "mine").mkdir()
    for part, rows in parts.items():
        table(tmp_path / "mine" / f"{part}.{kind}", ["review", "label"], rows)
    corpus = load(tmp_path / "mine", tmp_path)
    assert corpus.fingerprint == plain.fingerprint
    assert [len(part) for part in corpus.parts.values()] == [60, 10, 20]
    table(tmp_path / "mine" / f"test.{kind}", ["sentence", "label"], parts["test"])
    with pytest.raises(UserError, match=f"test.{kind}.*: no column 'review', columns sentence, label"):
        load(tmp_path / "mine", tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_split_column_says_the_parts(
    kind: str, tmp_path: Path, films: Callable[..., Pairs], write_simple: Callable[..., Path]
) -> None:
    parts = {"train": films(60), "dev": films(10, "old "), "test": films(20, "new ")}
    plain = load(write_simple(tmp_path / "plain", **parts), tmp_path)
    names = {"train": "train", "dev": "Validation", "test": "test"}
    rows = [(names[part], text, label) for part in ("test", "dev", "train") for text, label in parts[part]]
    corpus = load(table(tmp_path / f"mine.{kind}", ["Split", "text", "label"], rows), tmp_path)
    assert corpus.fingerprint == plain.fingerprint
    assert [len(part) for part in corpus.parts.values()] == [60, 10, 20]


def test_split_column_beside_files_of_parts_is_noted(tmp_path: Path, films: Callable[..., Pairs]) -> None:
    (tmp_path / "mine").mkdir()
    rows = [(text, label, "test") for text, label in films(60)]
    table(tmp_path / "mine" / "train.csv", ["text", "label", "split"], rows)
    corpus = load(tmp_path / "mine", tmp_path)
    assert "column split not read: the files are the parts" in corpus.notes
    assert [len(part) for part in corpus.parts.values()] == [42, 6, 12]


def test_file_named_as_a_known_corpus_is_not_taken_for_it(
    tmp_path: Path, films: Callable[..., Pairs]
) -> None:
    assert load(table(tmp_path / "imdb.csv", ["text", "label"], films(60)), tmp_path).name == "imdb_own"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_changed_file_of_the_same_size_and_time_is_read_again(
    kind: str, tmp_path: Path, films: Callable[..., Pairs]
) -> None:
    path = table(tmp_path / f"mine.{kind}", ["text", "label"], films(60))
    first, status = load(path, tmp_path), path.stat()
    path.write_bytes(path.read_bytes().replace(b"good", b"fine"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert "fine" in load(path, tmp_path).words
    assert "fine" not in first.words
