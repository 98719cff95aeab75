"""What a folder of results holds: one store or many, studies by their names, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.evidence.measurements import Point
from zoo.grid.store import Store
from zoo.report.folder import read


@pytest.fixture
def many(tmp_path: Path, result) -> Path:
    """Two grids, a question, a measurement, and a folder of something else."""
    for name, corpora in (("small", ["imdb"]), ("two", ["imdb", "tnews"]), ("study-k", ["imdb"])):
        for corpus in corpora:
            Store(tmp_path / name).write(result("uegr", corpus))
    (tmp_path / "drift").mkdir()
    point = Point("a", "UEGR", "imdb", "textcnn", 0, {"cka": {}})
    (tmp_path / "drift" / "a.json").write_text(json.dumps(point.as_json()))
    (tmp_path / "times").mkdir()
    (tmp_path / "times" / "a.json").write_text('{"seconds": 3}')
    (tmp_path / "tune.json").write_text("{}")
    (tmp_path / "two" / "studies").mkdir()
    (tmp_path / "two" / "studies" / "a.json").write_text('{"preset": "demo"}')
    return tmp_path


def test_each_folder_is_what_its_files_are(many: Path) -> None:
    found = read(many)
    assert set(found.held.grids) == {"small", "two"}
    assert [len(v) for v in found.held.answers.values()] == [1]
    assert set(found.held.answers) == {"k"}
    assert found.held.points["drift"][0].variant == "UEGR"
    assert found.folders["k"] == many / "study-k"
    assert found.left_out == (str(many / "times"),)


def test_the_cells_of_a_question_of_recipes_are_a_grid(tmp_path: Path, result) -> None:
    Store(tmp_path / "glue").write(result("uegr", "glue_sst2", "hf:minilm"))
    found = read(tmp_path).held
    assert (set(found.grids), set(found.answers)) == ({"glue"}, set())


def test_one_store_is_a_folder_too(many: Path) -> None:
    assert list(read(many / "two").held.grids) == ["two"]
    assert read(many / "two").left_out == ()
    assert list(read(many / "study-k").held.answers) == ["k"]
    assert list(read(many / "drift").held.points) == ["drift"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "nowhere: no such folder; expected a folder of results"),
        ("tune.json", "tune.json: is a file; expected a folder of results"),
        ("times", "times: holds no results; expected those of"),
    ],
)
def test_what_is_no_folder_of_results_is_said(many: Path, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(many / name)


@pytest.mark.parametrize("text", ["{", '{"schema": 2, "id": "b"}', '{"schema": 1, "id": "b", "cell": {}}'])
def test_a_broken_result_is_never_passed_over(many: Path, text: str) -> None:
    (many / "two" / "a-b.json").write_text(text)
    with pytest.raises(UserError, match=r"a-b\.json"):
        read(many)
