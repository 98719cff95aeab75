"""What a run says of itself: what was there, what is missing, what is no demo, which cell is meant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from zoo import ablate
from zoo.grid.store import Store
from zoo.studies.study import Study


@pytest.fixture
def ran(base: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The options of a run of one method with two seeds, which has been made."""
    options = [*base, "--jobs", "1", "--seeds", "0", "1"]
    assert ablate.main([*options, "--recipe", "dropout"]) == 0
    capsys.readouterr()
    return options


def said(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = ablate.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_what_is_there_is_not_missing(ran: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Two cells and the reference row are there; two more are wanted, and only these take time."""
    wanted = [*ran, "--recipe", "dropout", "uegr", "--dry-run"]
    answer = json.loads(said([*wanted, "--json"], capsys)[1])
    done = {cell["id"]: cell["done"] for cell in answer["cells"]}
    assert {name.split("-s")[0]: value for name, value in done.items()} == {
        "moods-none-tfidf_svm": True, "moods-textcnn-dropout": True, "moods-textcnn-uegr": False,
    }  # fmt: skip
    assert answer["estimated_seconds"] > 0
    _, out, err = said(wanted, capsys)
    assert out.startswith("5 cells, 2 to run, about ")
    assert "2 of 4 to run" in out
    assert "0 of 1 to run" in out
    assert "moods textcnn uegr (1 of 1 kinds of cells)" in err


def test_what_was_there_is_counted(ran: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = said([*ran, "--recipe", "dropout"], capsys)
    assert "3 cells, 0 to run" in err
    assert "3 cells were there already." in out
    _, out, _ = said([*ran, "--recipe", "dropout", "standard"], capsys)
    assert "3 cells were there already." in out


def test_json_has_what_a_program_needs_and_no_rows_of_classes(
    ran: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = json.loads(said([*ran, "--recipe", "dropout", "--json"], capsys)[1])
    assert set(answer) == {"study", "cells", "reference", "table", "seconds", "written"}
    assert len(answer["cells"]) == 2
    assert len(answer["reference"]) == 1
    for cell in (*answer["cells"], *answer["reference"]):
        assert {"id", "cell", "status", "settings", "corpus", "measures", "made_by"} <= set(cell)
        for values in (cell, cell.get("attacked") or {}):
            assert not {"predictions", "truth"} & set(values)
    assert {Path(path).name for path in answer["written"]} >= {"table.md", "table.tex", "table.csv"}


def test_the_table_is_shown_though_the_folder_has_results_of_which_no_report_can_be_made(
    ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "out")
    (first, *_) = (result for result in store.cells() if result.cell.recipe == "dropout")
    store.write(replace(first, id=f"{first.id[:-8]}{'0' * 8}"))
    code, out, err = said([*ran, "--recipe", "dropout"], capsys)
    assert (code, "two results for textcnn/moods/dropout" in err) == (2, True)
    assert "Dropout" in out
    assert "Written" not in out
    code, out, err = said([*ran, "--recipe", "dropout", "--json"], capsys)
    assert (code, "two results for textcnn/moods/dropout" in err) == (2, True)
    answer = json.loads(out)
    assert (len(answer["cells"]), answer["written"]) == (2, [])
    assert answer["table"]


def test_only_the_papers_preset_has_the_papers_numbers_beside_it(
    ran: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = said([*ran, "--recipe", "dropout"], capsys)[1]
    assert "The paper" not in out
    assert "(the paper's)" not in out


def test_only_the_demo_is_called_the_demo() -> None:
    what = "This was the demo"
    assert what in ablate._closing_line(Study.of("demo"), 0, "0:01")
    assert what not in ablate._closing_line(Study.of("quick"), 0, "0:01")
    for changed in ({"changes": {"epochs": 3}}, {"axes": {"folds": 3}}, {"axes": {"corpora": ["imdb"]}}):
        assert what not in ablate._closing_line(Study.of("demo", **changed), 0, "0:01")


def test_one_cell_is_shown_by_how_its_name_begins(
    ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    code, _, err = said(["show", "moods-textcnn-dropout", *out], capsys)
    assert code == 2
    assert "found 2; they are moods-textcnn-dropout-s0-" in err
    code, _, err = said(["show", "textcnn-dropout-s0", *out], capsys)
    assert code == 2
    assert "found 0; there are moods-" in err
    code, text, _ = said(["show", "moods-textcnn-dropout-s1", *out], capsys)
    assert code == 0
    assert "seed 1" in text


def test_a_report_needs_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        code, out, err = said(["report", "--out", str(tmp_path / folder)], capsys)
        assert (code, out) == (2, "")
        assert "holds no results" in err
    assert list((tmp_path / "empty").iterdir()) == []


def test_failed_cells_end_with_1_and_stay_in_the_report(
    base: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(
        [*base, "--jobs", "1", "--recipe", "standard", "--set", "learning_rate=1e30"], capsys
    )
    assert code == 1
    assert "failed: the loss is" in err
    assert "failed" in out
    found = {result.cell.recipe: result.done for result in Store(tmp_path / "out").cells()}
    assert found == {"standard": False, "tfidf_svm": True}


def test_an_interrupted_run_ends_with_130_and_shows_what_there_is(
    ran: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(planned: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.studies.run.run_plan", interrupted)
    code, out, err = said([*ran, "--recipe", "dropout", "uegr"], capsys)
    assert code == 130
    assert "interrupted: finished cells are kept" in err
    assert "Dropout" in out
