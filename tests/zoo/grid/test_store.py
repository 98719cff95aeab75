from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zoo.core.errors import UserError
from zoo.grid.store import Store, canonical_json, cell_id, decode_classes, encode_classes

CELL = {"corpus": "imdb", "arch": "texthan", "recipe": "uegr", "seed": 3, "fold": None}
SETTINGS = {"train": {"epochs": 2, "rate": 0.001}, "text": {"words": True}}


def _python(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_a_cell_is_named_by_what_it_is_and_a_hash_of_all_that_decides_it():
    name = cell_id(CELL, SETTINGS, "abc")
    assert name == "imdb-texthan-uegr-s3-3799a4ff"
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
    code = f"from zoo.grid.store import cell_id; print(cell_id({CELL!r}, {SETTINGS!r}, 'abc'))"
    runs = [_python(code, PYTHONHASHSEED=seed) for seed in ("0", "1", "4294967295")]
    assert {run.communicate()[0].strip() for run in runs} == {cell_id(CELL, SETTINGS, "abc")}


def test_a_corpus_named_by_a_path_gives_a_file_name():
    name = cell_id({**CELL, "corpus": "../my data/reviews-1.csv", "arch": "-"}, {}, "")
    assert name.startswith("my_data_reviews_1.csv-none-uegr-s3-")


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


def test_write_read_done(tmp_path: Path, result: Callable[..., dict[str, Any]]):
    store = Store(tmp_path / "new" / "folder")
    good, bad = result("uegr"), result("at", status="failed", reason="the loss is NaN")
    assert not store.done(good["id"])
    assert list(store.cells()) == []
    assert store.write(good) == store.path(good["id"])
    store.write(bad)
    assert store.read(good["id"]) == json.loads(json.dumps(good))
    assert store.done(good["id"])
    assert not store.done(bad["id"])
    assert store.done(bad["id"], failed_counts=True)
    assert [r["cell"]["recipe"] for r in store.cells()] == ["at", "uegr"]
    store.write({**good, "best_epoch": 7})
    assert store.read(good["id"])["best_epoch"] == 7


def test_a_failing_write_leaves_the_old_result_and_no_other_file(tmp_path, result):
    store = Store(tmp_path)
    old = result("uegr")
    store.write(old)
    with pytest.raises(TypeError):
        store.write({**old, "curve": [object()]})
    assert store.read(old["id"])["curve"] == old["curve"]
    assert [path.name for path in tmp_path.iterdir()] == [f"{old['id']}.json"]


def test_a_result_needs_its_keys(tmp_path):
    with pytest.raises(ValueError, match="status"):
        Store(tmp_path).write({"id": "x", "cell": {}})


def test_killed_in_the_middle_of_writing_leaves_no_half_result(tmp_path):
    """The writer replaces one result for ever and is killed at eight moments; the file is always whole."""
    code = """
        import sys
        from zoo.grid.store import Store
        store, i = Store(sys.argv[1]), 0
        while True:
            store.write({"id": "cell", "cell": {}, "status": "done", "number": i, "long": [i] * 50_000})
            if i == 0:
                print("writing", flush=True)
            i += 1
    """
    store = Store(tmp_path)
    for moment in range(8):
        writer = _python(code, tmp_path)
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == "writing"
        time.sleep(0.01 + 0.013 * moment)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        (only,) = store.cells()
        assert only["long"] == [only["number"]] * 50_000
    assert store.done("cell")
    with store.claim("cell"):
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["cell.json"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"id": "a",\n "cell": ', r"a-b\.json, line 2: broken JSON .*delete the file"),
        (b'{"id": "\xff"}', r"a-b\.json: not UTF-8 text; delete the file"),
        (b"[]", r"a-b\.json: not the result of a cell .*delete the file or move it"),
        (b"", r"a-b\.json, line 1: broken JSON"),
    ],
)
def test_a_broken_file_is_named(tmp_path, content: bytes, said: str):
    (tmp_path / "a-b.json").write_bytes(content)
    store = Store(tmp_path)
    for read in (lambda: list(store.cells()), lambda: store.done("a-b"), lambda: store.read("a-b")):
        with pytest.raises(UserError, match=said) as caught:
            read()
        assert "\n" not in str(caught.value)


def test_other_mistakes_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file; expected a folder"):
        Store(tmp_path / "file")
    with pytest.raises(UserError, match="no result of the cell 'nothing'"):
        Store(tmp_path).read("nothing")


CLAIM = """
    import sys, time
    from zoo.grid.store import Store
    with Store(sys.argv[1]).claim("cell") as mine:
        print(mine, flush=True)
        if mine:
            time.sleep(30)
"""


def test_exactly_one_of_several_processes_gets_a_claim_and_its_death_frees_it(tmp_path):
    runners = [_python(CLAIM, tmp_path) for _ in range(3)]
    try:
        answers = [runner.stdout.readline().strip() for runner in runners if runner.stdout]
        assert sorted(answers) == ["False", "False", "True"]
        store = Store(tmp_path)
        with store.claim("cell") as mine:
            assert not mine
        with store.claim("another") as mine:
            assert mine
        runners[answers.index("True")].kill()
        for runner in runners:
            runner.wait()
        with store.claim("cell") as mine:
            assert mine
            with store.claim("cell") as again:
                assert not again
        assert list(store.cells()) == []
    finally:
        for runner in runners:
            runner.kill()
            runner.communicate()


def test_an_error_inside_a_claim_gives_it_back(tmp_path):
    store = Store(tmp_path)

    def fails() -> None:
        with store.claim("cell") as mine:
            assert mine
            raise RuntimeError("the cell broke")

    with pytest.raises(RuntimeError, match="the cell broke"):
        fails()
    with store.claim("cell") as mine:
        assert mine
