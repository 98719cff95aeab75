"""Corpora of the library `datasets`: what `save_to_disk` writes, read without it, and the hub's, by it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from zoo.core.errors import UserError
from zoo.fit import main
from zoo.text import Corpus, TextSettings, load_corpus
from zoo.text.sources.columns import Asked
from zoo.text.sources.own import own_source
from zoo.text.sources.rows import RawCorpus

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

Pairs = list[tuple[str, str]]
Parts = dict[str, dict[str, list[object]]]
CLASSES = ("pos", "neg")  # not in the order of the alphabet


def load(name: object, tmp_path: Path, **columns: str) -> Corpus:
    return load_corpus(str(name), TextSettings(**columns), cache_dir=tmp_path / "cache")


def read(folder: Path, **columns: str) -> RawCorpus:
    return own_source(folder, Asked(**columns)).read()


def write_stream(path: Path, columns: dict[str, list[object]], classes: tuple[str, ...] = ()) -> Path:
    """Write rows as `datasets` does: an Arrow stream with the features in its metadata."""
    table = pyarrow.table(columns)
    if classes:
        features = {"label": {"names": classes, "_type": "ClassLabel"}}
        about = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": about})
    with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return path


def save(
    folder: Path, columns: dict[str, list[object]], classes: tuple[str, ...] = (), files: int = 1
) -> Path:
    """Write one data set as `Dataset.save_to_disk` does."""
    folder.mkdir(parents=True)
    rows = len(next(iter(columns.values())))
    names = [f"data-{i:05}-of-{files:05}.arrow" for i in range(files)]
    for i, name in enumerate(names):
        chosen = slice(rows * i // files, rows * (i + 1) // files)
        write_stream(folder / name, {key: cells[chosen] for key, cells in columns.items()}, classes)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    return folder


def save_parts(folder: Path, parts: Parts, classes: tuple[str, ...] = ()) -> Path:
    """Write one data set a part as `DatasetDict.save_to_disk` does."""
    for part, columns in parts.items():
        save(folder / part, columns, classes)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(parts)}))
    return folder


def numbered(pairs: Pairs, text: str = "text") -> dict[str, list[object]]:
    return {text: [t for t, _ in pairs], "label": [CLASSES.index(label) for _, label in pairs]}


@pytest.mark.parametrize("files", [1, 3])
def test_a_saved_data_set_is_the_corpus_of_the_same_rows(
    files: int, tmp_path: Path, films: Callable[..., Pairs], write_simple: Callable[..., Path]
) -> None:
    """Labels are numbers in the files; their names, in the order of the features, are the classes."""
    plain = load(write_simple(tmp_path / "plain", labels=[*CLASSES], train=films(60)), tmp_path)
    folder = save(tmp_path / "mine", numbered(films(60)), CLASSES, files)
    corpus = load(folder, tmp_path)
    assert corpus.labels == CLASSES
    assert corpus.fingerprint == plain.fingerprint
    # As with the caches that `map` lays there: only what the list names is read.
    write_stream(folder / "cache-0123456789abcdef.arrow", numbered(films(9, "cached ")), CLASSES)
    assert load(folder, tmp_path).fingerprint == plain.fingerprint


def test_saved_parts(tmp_path: Path, films: Callable[..., Pairs], write_simple: Callable[..., Path]) -> None:
    given = {"train": films(60), "dev": films(10, "old "), "test": films(20, "new ")}
    plain = load(write_simple(tmp_path / "plain", labels=[*CLASSES], **given), tmp_path)
    parts = {"validation_matched": numbered(given["dev"]), "unsupervised": {"text": ["x"], "label": [-1]}}
    parts |= {part: numbered(given[part]) for part in ("test", "train")}
    corpus = load(save_parts(tmp_path / "mine", parts, CLASSES), tmp_path)
    assert corpus.fingerprint == plain.fingerprint
    assert [len(part) for part in corpus.parts.values()] == [60, 10, 20]
    assert "parts not read: unsupervised" in corpus.notes


@pytest.mark.parametrize("secret", [-1, None])
def test_a_part_without_labels_is_left_out(
    secret: int | None, tmp_path: Path, films: Callable[..., Pairs]
) -> None:
    hidden: dict[str, list[object]] = {"text": ["a", "b"], "label": pyarrow.array([secret] * 2, "int64")}
    parts = {"train": numbered(films(60)), "validation": numbered(films(10, "old ")), "test": hidden}
    corpus = read(save_parts(tmp_path / "mine", parts, CLASSES))
    assert {part: len(rows) for part, rows in corpus.parts.items()} == {"train": 60, "validation": 10}
    assert corpus.notes == ("test part left out: no row has a label",)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_with_one_label_missing_is_an_error(
    part: str, tmp_path: Path, films: Callable[..., Pairs]
) -> None:
    parts = {"train": numbered(films(60)), "test": numbered(films(60, "new "))}
    parts[part]["label"][41] = -1
    folder = save_parts(tmp_path / "mine", parts, CLASSES)
    with pytest.raises(UserError, match=f"{part}, row 42: label '-1' is unknown; .*mine has pos, neg"):
        read(folder)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("sentence1", "sentence2"),
        ("Premise", "hypothesis"),
        ("question1", "question2"),
        ("question", "sentence"),
    ],
)
def test_texts_in_two_under_their_usual_names(
    first: str, second: str, tmp_path: Path, films: Callable[..., Pairs]
) -> None:
    columns = numbered(films(60), first) | {second: [f"so {i}" for i in range(60)]}
    corpus = read(save_parts(tmp_path / "mine", {"train": columns, "test": columns}, CLASSES))
    for rows in corpus.parts.values():
        assert rows.texts == columns[first]
        assert rows.pairs == columns[second]
    assert corpus.notes == (f"columns: {first} as text, label as label, {second} as text_pair",)
    assert not read(tmp_path / "mine", text=first).parts["test"].pairs
    # Where the column `text` is there, it is the text.
    whole = save(tmp_path / "whole", columns | {"text": columns[first]}, CLASSES)
    assert not read(whole).parts["train"].pairs
    save_parts(tmp_path / "half", {"train": columns, "test": numbered(films(20), first)}, CLASSES)
    with pytest.raises(UserError, match=f"test: no column '{second}'; expected it as in the first part"):
        read(tmp_path / "half")


def test_columns_by_their_names(tmp_path: Path, films: Callable[..., Pairs]) -> None:
    columns = numbered(films(60)) | {"kind": ["x", "y", "z"] * 20, "said": [f"word{i}" for i in range(60)]}
    corpus = read(save(tmp_path / "mine", columns, CLASSES), text="said", label="kind")
    assert corpus.labels == ("x", "y", "z")
    assert corpus.parts["train"].texts[1] == "word1"


def test_a_changed_row_is_read_again(tmp_path: Path, films: Callable[..., Pairs]) -> None:
    """The library's own fingerprint, in state.json, says nothing of it."""
    file = save(tmp_path / "mine", numbered(films(60)), CLASSES) / "data-00000-of-00001.arrow"
    assert "good" in load(file.parent, tmp_path).words
    file.write_bytes(file.read_bytes().replace(b"good", b"fine"))
    assert "good" not in load(file.parent, tmp_path).words


def bad(folder: Path, kind: str, films: Callable[..., Pairs]) -> Path:
    """Write a saved data set that is damaged in one way."""
    names = {"same": ("a", " a"), "blank": ("a", "")}.get(kind, CLASSES)
    columns = numbered(films(60), "words" if kind == "columns" else "text")
    save_parts(folder, {"train": columns}, names)
    stream = folder / "train" / "data-00000-of-00001.arrow"
    if kind == "cut":
        stream.write_bytes(stream.read_bytes()[:-200])
    elif kind == "utf8":
        stream.write_bytes(stream.read_bytes().replace(b"film", b"\xff\xff\xff\xff"))
    elif kind == "gone":
        stream.unlink()
    elif kind == "outside":
        state = {"_data_files": [{"filename": "../train/data-00000-of-00001.arrow"}]}
        (folder / "train" / "state.json").write_text(json.dumps(state))
    elif kind == "state":
        (folder / "train" / "state.json").write_text("[]")
    elif kind == "parts":
        (folder / "dataset_dict.json").write_text('{"splits": [".."]}')
    elif kind == "train":
        (folder / "train").rename(folder / "all")
        (folder / "dataset_dict.json").write_text('{"splits": ["all"]}')
    return folder


def test_a_parquet_file_of_the_hub_has_the_names_of_its_classes(tmp_path: Path) -> None:
    """Its labels are numbers, and their names stand in its metadata, as in the files of `save_to_disk`."""
    import pyarrow.parquet

    rows = pyarrow.table({"text": [f"film {i}" for i in range(40)], "label": [i % 2 for i in range(40)]})
    features = {"label": {"names": list(CLASSES), "_type": "ClassLabel"}}
    written = rows.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pyarrow.parquet.write_table(written, tmp_path / "named.parquet")
    pyarrow.parquet.write_table(rows, tmp_path / "numbered.parquet")
    assert set(read(tmp_path / "named.parquet").labels) == set(CLASSES)
    assert set(read(tmp_path / "numbered.parquet").labels) == {"0", "1"}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("cut", r"of-00001.arrow: not an Arrow stream \(.*\); expected it whole"),
        ("utf8", r"train: damaged \(.*UTF8.*\); expected whole Arrow files"),
        ("gone", r"of-00001.arrow: not an Arrow stream \(.*No such file"),
        ("outside", r"state.json: name '../train/data.*'; expected one in the same folder"),
        ("state", r"state.json: no list _data_files \(.*\); expected what save_to_disk writes"),
        ("parts", r"dataset_dict.json: name '..'; expected one in the same folder"),
        ("train", r"mine: parts all; expected train"),
        ("columns", r"train: columns words, label; expected text and label, or .*--text-column words"),
        ("same", r"train: classes a, a; expected distinct names"),
        ("blank", r"train: classes a, ; expected distinct names"),
    ],
)
def test_what_is_damaged_is_one_clear_line(
    kind: str, said: str, tmp_path: Path, films: Callable[..., Pairs]
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        read(bad(tmp_path / "mine", kind, films))
    assert "\n" not in str(caught.value)


def test_without_pyarrow(
    tmp_path: Path, films: Callable[..., Pairs], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "mine", numbered(films(60)), CLASSES)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"mine: Arrow files need pyarrow \(pip install 'uegr\[parquet\]'\)"):
        read(tmp_path / "mine")


def stand_in(monkeypatch: pytest.MonkeyPatch, answer: object, version: str = "4.0.0") -> list[object]:
    """Put a library in the place of `datasets` that answers so; return the list of what it is asked."""
    asked: list[object] = []

    def load_dataset(*places: object, **options: object) -> object:
        asked.append((places, options))
        if isinstance(answer, Exception):
            raise answer
        return answer

    library = SimpleNamespace(__version__=version, load_dataset=load_dataset)
    monkeypatch.setitem(sys.modules, "datasets", library)
    return asked


def test_the_hub_by_the_files_that_the_library_keeps(
    tmp_path: Path, films: Callable[..., Pairs], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = load(save(tmp_path / "plain", numbered(films(60)), CLASSES), tmp_path)
    file = write_stream(tmp_path / "sst2-train.arrow", numbered(films(60)), CLASSES)
    answer = {"train": SimpleNamespace(cache_files=[{"filename": str(file)}])}
    asked = stand_in(monkeypatch, answer)
    corpus = load("hub:some-one/glue:sst2", tmp_path)
    assert corpus.fingerprint == plain.fingerprint
    assert corpus.name == "glue_sst2_own"  # not the known corpus
    assert load("hub:some-one/films", tmp_path).name == "films"
    assert [places for places, _ in asked] == [("some-one/glue", "sst2"), ("some-one/films", None)]
    assert all(options == {"keep_in_memory": False} for _, options in asked)  # nor any trust in code
    file.write_bytes(file.read_bytes().replace(b"good", b"fine"))
    assert "fine" in load("hub:some-one/films", tmp_path).words


@pytest.mark.parametrize("address", ["hub:", "hub:films", "hub:a/b/c", "hub:../b", "hub:a/b:", "hub:a/b:c d"])
def test_a_wrong_address(address: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected hub:OWNER/NAME or hub:OWNER/NAME:CONFIG"):
        load(address, tmp_path)


def test_what_stops_the_hub_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    stand_in(monkeypatch, ValueError("Config name is missing.\nPlease pick one: ['a', 'b']"))
    with pytest.raises(UserError, match=r"cannot load it \(Config name is missing. Please pick one: \['a', "):
        load("hub:a/b", tmp_path)
    stand_in(monkeypatch, {}, version="3.6.0")
    with pytest.raises(UserError, match=r"datasets 3.6.0 may run code of a data set; expected 4.0 or later"):
        load("hub:a/b", tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert main(["hub:a/b", "--out", "model"]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "hub:a/b" in said
    assert "pip install 'uegr[datasets]'" in said
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(UserError, match="'hub:a/b': a/b is here too; expected the path alone"):
        load("hub:a/b", tmp_path)


def test_what_the_library_itself_writes_and_loads(
    tmp_path: Path, films: Callable[..., Pairs], monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip(
        "datasets", reason="datasets is not installed: pip install 'uegr[datasets]'"
    )
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=[*CLASSES])}
    )
    given = {"train": films(60), "validation": films(10, "old "), "test": films(20, "new ")}
    made = datasets.DatasetDict(
        {
            part: datasets.Dataset.from_dict(numbered(rows, "sentence"), features)
            for part, rows in given.items()
        }
    )
    made.save_to_disk(tmp_path / "saved", num_shards={"train": 3, "validation": 1, "test": 1})
    ours = save_parts(
        tmp_path / "ours", {part: numbered(rows) for part, rows in given.items()}, classes=CLASSES
    )
    saved = load(tmp_path / "saved", tmp_path)
    assert saved.fingerprint == load(ours, tmp_path).fingerprint
    # A choice of rows is a list of numbers in memory; saved, it is the rows.
    made["train"].shuffle(seed=1).select(range(40)).save_to_disk(tmp_path / "chosen")
    assert sorted(read(tmp_path / "chosen").parts["train"].texts) == sorted(
        made["train"].shuffle(seed=1).select(range(40))["sentence"]
    )
    # The library's loader, with its cache in files, from a folder in the place of the hub.
    (tmp_path / "files").mkdir()
    for part, rows in made.items():
        rows.to_parquet(tmp_path / "files" / f"{part}.parquet")
    loader = datasets.load_dataset
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda path, config, **options: loader(
            str(tmp_path / "files"), config, cache_dir=str(tmp_path / "hf"), **options
        ),
    )
    assert load("hub:some-one/films", tmp_path).fingerprint == saved.fingerprint
