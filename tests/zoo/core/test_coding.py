"""How a cell's name is written, and how its predictions are."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from process import python_process

from zoo.core.identity import canonical_json, cell_id
from zoo.core.result import decode_classes, encode_classes

CELL = {"corpus": "imdb", "arch": "texthan", "recipe": "uegr", "seed": 3, "fold": None}
SETTINGS = {"train": {"epochs": 2, "rate": 0.001}, "text": {"words": True}}


def test_a_cell_is_named_by_what_it_is_and_a_hash_of_all_that_decides_it():
    name = cell_id(CELL, SETTINGS, "abc")
    assert name == "imdb-texthan-uegr-s3-ae6b9ad4"
    assert cell_id({**CELL, "fold": 1}, SETTINGS, "abc").startswith("imdb-texthan-uegr-s3-f1-")
    assert cell_id({k: v for k, v in CELL.items() if k != "fold"}, SETTINGS, "abc") == name
    assert cell_id(CELL, dict(reversed(SETTINGS.items())), "abc") == name
    changed = [
        cell_id(CELL, {**SETTINGS, "train": {"epochs": 3, "rate": 0.001}}, "abc"),
        cell_id(CELL, SETTINGS, "abd"),
        cell_id({**CELL, "seed": 4}, SETTINGS, "abc"),
    ]
    assert len({name[-8:] for name in [name, *changed]}) == 4


def test_the_hash_does_not_depend_on_the_process():
    code = f"from zoo.core.identity import cell_id; print(cell_id({CELL!r}, {SETTINGS!r}, 'abc'))"
    runs = [python_process(code, PYTHONHASHSEED=seed) for seed in ("0", "1", "4294967295")]
    assert {run.communicate()[0].strip() for run in runs} == {cell_id(CELL, SETTINGS, "abc")}


def test_a_corpus_named_by_a_path_gives_a_file_name():
    name = cell_id({**CELL, "corpus": "../my data/reviews-1.csv", "arch": "-"}, {}, "")
    assert name.startswith("my_data_reviews_1.csv-none-uegr-s3-")


def test_fold_0_is_a_fold_and_stands_in_the_name():
    assert cell_id({**CELL, "fold": 0}, SETTINGS, "abc").startswith("imdb-texthan-uegr-s3-f0-")


def test_two_paths_that_are_written_alike_are_two_corpora():
    names = [cell_id({**CELL, "corpus": corpus}, {}, "") for corpus in ("my/data", "my data")]
    assert names[0][:-8] == names[1][:-8]
    assert names[0] != names[1]


def test_canonical_json_makes_plain_types():
    value = {"b": (1, np.float32(0.5)), "a": float("nan"), "c": Path("x"), "d": np.int64(2), "e": "é"}
    assert canonical_json(value) == '{"a":null,"b":[1,0.5],"c":"x","d":2,"e":"\\u00e9"}'


@given(arrays(np.int64, st.integers(0, 50), elements=st.integers(0, 65_535)))
def test_predictions_survive_coding(classes: np.ndarray):
    assert np.array_equal(decode_classes(encode_classes(classes)), classes)


def test_the_code_is_little_endian_whatever_the_machine():
    assert encode_classes(np.array([1, 258], dtype=">i4")) == encode_classes(np.array([1, 258]))
    assert zlib.decompress(base64.b64decode(encode_classes(np.array([258])))) == b"\x02\x01"


@pytest.mark.parametrize("classes", [[-1], [65_536], [[0, 1]]])
def test_classes_out_of_range_are_refused(classes: list[Any]):
    with pytest.raises(ValueError, match="65535"):
        encode_classes(np.array(classes))
