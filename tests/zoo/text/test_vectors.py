"""Word vectors: random, trained, from files; and every trap of the files turned into one line."""

from __future__ import annotations

import gzip
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zoo.core.errors import UserError
from zoo.text import Corpus, load_vectors
from zoo.text.vector_files import read_vectors

WORDS = ["film", "good", "bad", "was", "unseen"]
MATRIX = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


def line(word: str, row: np.ndarray) -> str:
    return word + " " + " ".join(f"{x:.6f}" for x in row) + "\n"


def glove(words: list[str] = WORDS, matrix: np.ndarray = MATRIX) -> str:
    return "".join(line(word, row) for word, row in zip(words, matrix, strict=True))


def binary(words: list[str] = WORDS, matrix: np.ndarray = MATRIX) -> bytes:
    rows = (
        word.encode() + b" " + row.astype("<f4").tobytes() for word, row in zip(words, matrix, strict=True)
    )
    return f"{len(words)} {matrix.shape[1]}\n".encode() + b"\n".join(rows) + b"\n"


def pair(folder: Path, words: list[str] = WORDS, matrix: np.ndarray = MATRIX) -> Path:
    with gzip.open(folder / "some.words.txt.gz", "wt", encoding="utf-8") as stream:
        stream.write("\n".join(words) + "\n")
    with gzip.open(folder / "some.float16.npy.gz", "wb") as stream:
        np.save(stream, matrix.astype(np.float16))
    return folder / "some.float16.npy.gz"


def test_random_is_seeded_with_a_zero_row_for_padding(small_corpus: Corpus, tmp_path: Path) -> None:
    first, info = load_vectors("random", small_corpus, 50, 0, tmp_path)
    again, _ = load_vectors("random", small_corpus, 50, 0, tmp_path)
    other, _ = load_vectors("random", small_corpus, 50, 1, tmp_path)
    assert first is not None
    assert first.shape == (len(small_corpus.words), 50)
    assert first.dtype == np.float32
    assert not first[0].any()
    assert abs(first[1:].std() - 0.1) < 0.01
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert info["coverage"] == 0.0
    assert load_vectors("none", small_corpus, 50, 0, tmp_path)[0] is None


def test_word2vec_is_the_same_in_every_process(small_corpus: Corpus, tmp_path: Path) -> None:
    vectors, info = load_vectors("word2vec", small_corpus, 16, 3, tmp_path / "one")
    assert vectors is not None
    assert info["kind"] == "word2vec"
    assert info["coverage"] == 1.0
    assert not vectors[0].any()
    assert vectors[2:].any(axis=1).all()
    program = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r})
import numpy as np
from pathlib import Path
from zoo.text import *
from zoo.text.cache import read_corpus
corpus = read_corpus(Path({str(tmp_path / "corpus.npz")!r}), print)
vectors, _ = load_vectors("word2vec", corpus, 16, 3, Path({str(tmp_path / "two")!r}))
np.save({str(tmp_path / "other.npy")!r}, vectors)
"""
    from zoo.text.cache import write_corpus
    from zoo.text.settings import silent

    write_corpus(tmp_path / "corpus.npz", small_corpus, silent)
    subprocess.run(
        [sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONHASHSEED": "5"}, timeout=60
    )
    assert np.array_equal(np.load(tmp_path / "other.npy"), vectors)


def test_word2vec_is_trained_once(
    small_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, info = load_vectors("word2vec", small_corpus, 8, 0, tmp_path)
    monkeypatch.setattr("zoo.text.vectors._word2vec", lambda *_: pytest.fail("trained twice"))
    second, again = load_vectors("word2vec", small_corpus, 8, 0, tmp_path)
    assert first is not None
    assert np.array_equal(first, second)  # type: ignore[arg-type]
    assert info == again


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.txt", glove().encode()),
        ("v.txt.gz", gzip.compress(glove().encode())),
        ("v.vec", f"5 3\n{glove()}".encode()),
        ("v.bin", binary()),
        ("v.bin.gz", gzip.compress(binary())),
    ],
)
def test_every_format_gives_the_same_vectors(
    small_corpus: Corpus, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    vectors, info = load_vectors(str(tmp_path / name), small_corpus, 3, 0, tmp_path / "cache")
    assert vectors is not None
    for word, row in zip(WORDS[:4], MATRIX, strict=False):
        assert np.allclose(vectors[small_corpus.words.index(word)], row, atol=1e-6)
    assert not vectors[0].any()
    assert vectors.dtype == np.float32
    assert info["coverage"] == pytest.approx(4 / (len(small_corpus.words) - 2))
    tokens = np.isin(small_corpus.train.ids, [small_corpus.words.index(word) for word in WORDS[:4]])
    assert info["token_coverage"] == pytest.approx(tokens.mean())
    assert info["rows"] == 5


def test_words_and_matrix_side_by_side(small_corpus: Corpus, tmp_path: Path) -> None:
    matrix = pair(tmp_path)
    for name in (matrix.name, "some.words.txt.gz"):
        found = read_vectors(tmp_path / name)
        assert list(found.index) == WORDS
        assert np.allclose(found.vectors, MATRIX, atol=2e-3)
    pair(tmp_path, [*WORDS[:4], "film"])
    with pytest.raises(UserError, match=r"words.txt.gz, line 5: 'film' comes twice"):
        read_vectors(matrix)
    pair(tmp_path, WORDS[:4])
    with pytest.raises(UserError, match="5 x 3 float16; expected 4 rows"):
        read_vectors(matrix)
    pair(tmp_path, WORDS, np.where(np.arange(5)[:, None] == 2, np.nan, MATRIX))
    with pytest.raises(UserError, match=r"row 3 \('bad'\) is not finite"):
        read_vectors(matrix)
    matrix.write_bytes(b"rubbish")
    with pytest.raises(UserError, match=r"not a whole .npy matrix"):
        read_vectors(matrix)
    (tmp_path / "some.words.txt.gz").unlink()
    with pytest.raises(UserError, match=r"expected some.words.txt and some.npy side by side"):
        read_vectors(matrix)


TEXT = glove()
HALF = "".join(TEXT.splitlines(keepends=True)[:3])
TRAPS: dict[str, tuple[str, bytes, str]] = {
    "text cut in a line": (
        "v.txt",
        f"5 3\n{TEXT[:-22]}".encode(),
        r"line 6: .* numbers; .*ends within this line",
    ),
    "text cut at a line's end": (
        "v.txt",
        f"5 3\n{HALF}".encode(),
        r"3 rows; expected 5 as line 1 says \(cut off\?\)",
    ),
    "binary cut": ("v.bin", binary()[:-8], r"ends within row 5; expected 5 rows of 3 numbers"),
    "GloVe cut in a line": ("v.txt", TEXT[:-22].encode(), r"line 5: .*ends within this line"),
    "GloVe of a known name cut": ("glove.6B.3d.txt", HALF.encode(), r"3 rows; expected 400,000"),
    "nan": ("v.txt", (TEXT + "odd 1.0 nan 2.0\n").encode(), "line 6: a number is not finite"),
    "inf": ("v.txt", (TEXT + "odd 1.0 inf 2.0\n").encode(), "line 6: a number is not finite"),
    "repeated word": (
        "v.txt",
        (TEXT + "film 1 2 3\n").encode(),
        "line 6: 'film' was on line 1; expected distinct",
    ),
    "repeated word, header": ("v.txt", f"6 3\n{TEXT}film 1 2 3\n".encode(), "line 7: 'film' was on line 2"),
    "repeated word, binary": (
        "v.bin",
        binary([*WORDS, "film"], np.vstack([MATRIX, MATRIX[1]])),
        r"row 6 \('film'\) repeats row 1",
    ),
    "zero row": ("v.txt", (TEXT + "odd 0 0.0 0\n").encode(), "line 6: all numbers are zero"),
    "zero row, binary": (
        "v.bin",
        binary([*WORDS, "odd"], np.vstack([MATRIX, 0 * MATRIX[1]])),
        r"row 6 \('odd'\) is all zero",
    ),
    "nan, binary": (
        "v.bin",
        binary([*WORDS, "odd"], np.vstack([MATRIX, np.nan * MATRIX[1]])),
        r"row 6 \('odd'\) is not finite",
    ),
    "ragged": (
        "v.txt",
        (TEXT + "odd 1 2\n" + TEXT.replace("film", "x")).encode(),
        "line 6: 2 numbers; expected",
    ),
    "word with a space": (
        "v.txt",
        (TEXT + "a b 1 2 3\n").encode(),
        "line 6: 4 numbers; expected a word without spaces",
    ),
    "not a number": ("v.txt", (TEXT + "odd 1 x 3\n").encode(), "line 6: 'x' is not a number"),
    "bad UTF-8": ("v.txt", TEXT.encode() + b"\xff 1 2 3\n", "line 6: byte 1 is not UTF-8"),
    "empty": ("v.txt", b"", "line 1: not a word and its numbers"),
    "header only": ("v.txt", b"5 3\n", "0 rows; expected 5"),
    "no vectors at all": ("v.txt", b"once upon a time\n", "line 1: not a word and its numbers"),
    "pickle": ("v.kv", b"\x80\x04", "can run code and are not read"),
    "broken gzip": ("v.txt.gz", gzip.compress(TEXT.encode())[:-9], "cannot be read"),
    "wrong dimension": (
        "v.txt",
        b"film 1 2\ngood 3 4\n",
        "vectors of 2 dimensions; expected 3, the model's embedding",
    ),
    "another language": ("v.txt", "电影 1 2 3\n很好 4 5 6\n".encode(), r"has none of the .* words of films"),
    "missing": ("", b"", "no such kind or file; expected random, word2vec, glove, e5, none or a vec"),
}


@pytest.mark.parametrize(("name", "content", "message"), TRAPS.values(), ids=TRAPS)
def test_traps(
    small_corpus: Corpus,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    content: bytes,
    message: str,
) -> None:
    path = tmp_path / (name or "nowhere.txt")
    if name:
        path.write_bytes(content)
    with caplog.at_level(logging.WARNING), pytest.raises(UserError, match=message) as error:
        load_vectors(str(path), small_corpus, 3, 0, tmp_path / "cache")
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)
    assert not caplog.records


def test_missing_words_get_random_rows_of_the_files_scale(
    small_corpus: Corpus, tmp_path: Path, films: Callable[..., list]
) -> None:
    (tmp_path / "v.txt").write_text(glove(matrix=100 * MATRIX))
    vectors, _ = load_vectors(str(tmp_path / "v.txt"), small_corpus, 3, 0, tmp_path / "cache")
    assert vectors is not None
    missing = [i for i, word in enumerate(small_corpus.words) if i and word not in WORDS]
    assert 30 < vectors[missing].std() < 300
    assert vectors[missing].any(axis=1).all()


def test_changed_file_is_read_again(small_corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text(glove())
    first, _ = load_vectors(str(tmp_path / "v.txt"), small_corpus, 3, 0, tmp_path / "cache")
    (tmp_path / "v.txt").write_text(glove(matrix=2 * MATRIX) + "more 1 2 3\n")
    second, _ = load_vectors(str(tmp_path / "v.txt"), small_corpus, 3, 0, tmp_path / "cache")
    assert not np.array_equal(first, second)  # type: ignore[arg-type]


def test_changed_file_of_the_same_size_is_read_again(small_corpus: Corpus, tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text(glove())
    size, time = path.stat().st_size, path.stat().st_mtime_ns
    first, _ = load_vectors(str(path), small_corpus, 3, 0, tmp_path / "cache")
    path.write_text(glove(matrix=MATRIX[::-1]))
    os.utime(path, ns=(time, time + 1))
    assert path.stat().st_size == size
    second, _ = load_vectors(str(path), small_corpus, 3, 0, tmp_path / "cache")
    assert not np.array_equal(first, second)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["word2vec", "file"])
def test_kept_in_the_given_folder_and_nowhere_else(
    kind: str, small_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UEGR_CACHE", str(tmp_path / "default"))
    (tmp_path / "v.txt").write_text(glove())
    load_vectors(
        "word2vec" if kind == "word2vec" else str(tmp_path / "v.txt"), small_corpus, 3, 0, tmp_path / "given"
    )
    assert len(list((tmp_path / "given" / "vectors").glob("*.npz"))) == 1
    assert not (tmp_path / "default").exists()
