"""Prepared corpora that are taken along: found before any text is, checked, and enough to train on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from zoo.core.errors import UserError
from zoo.text import TextSettings, load_corpus
from zoo.text.corpus import fingerprint
from zoo.text.prepared import prepared_file, read_prepared, write_prepared

TEXT = TextSettings(max_length=8)


def known() -> tiny.Corpus:
    corpus = tiny.corpus()
    return replace(corpus, fingerprint=fingerprint(corpus.labels, corpus.words, corpus.parts))


def test_it_is_found_by_name_and_settings_without_a_text(tmp_path: Path) -> None:
    path = write_prepared(tmp_path, "toy", TEXT, known())
    assert path == prepared_file(tmp_path, "toy", TEXT)
    found = load_corpus("toy", TEXT, tmp_path)
    assert found.fingerprint == known().fingerprint
    assert (found.words, found.labels, found.notes) == (known().words, known().labels, known().notes)
    for part, split in known().parts.items():
        assert found.parts[part].ids.tolist() == split.ids.tolist()


def test_other_settings_are_another_corpus(tmp_path: Path) -> None:
    write_prepared(tmp_path, "toy", TEXT, known())
    assert read_prepared("toy", replace(TEXT, max_length=9), tmp_path) is None
    assert read_prepared("toys", TEXT, tmp_path) is None
    assert read_prepared("../toy", TEXT, tmp_path) is None
    assert read_prepared("toy", TEXT, None) is None


@pytest.mark.parametrize("damage", ["cut short", "other numbers", "no corpus"])
def test_a_damaged_file_is_refused_and_not_trained_on(damage: str, tmp_path: Path) -> None:
    path = write_prepared(tmp_path, "toy", TEXT, known())
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:-300])
    elif damage == "no corpus":
        path.write_bytes(b"not an archive")
    else:
        write_prepared(tmp_path, "toy", TEXT, replace(known(), train=tiny.part(120, 9)))
    with pytest.raises(UserError, match=r"toy-.*\.npz: damaged, or no prepared corpus"):
        load_corpus("toy", TEXT, tmp_path)
