"""`python -m zoo.study`: it runs what a question needs, resumes, and answers from the validation part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from corpora import write_films

from zoo import study
from zoo.core.names import BASELINE
from zoo.grid.store import Store

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """The question of the defaults on a small corpus of our own, one model, one seed."""
    films = write_films(tmp_path)
    return [
        "defaults", "--corpus", str(films), "--arch", "textcnn", "--seeds", "0",
        "--cache-dir", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), "--jobs", "1",
        "--set", "embedding=8", "filters=4", "widths=1,2", "epochs=1",
    ]  # fmt: skip


def test_it_answers_from_the_validation_part_and_resumes(
    asked: list[str], tmp_path: Path, capsys: Capture
) -> None:
    assert study.main([*asked, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    (part,) = answer["parts"]
    assert part["measure"] == "Validation accuracy"
    results = list(Store(tmp_path / "out").cells())
    assert len(results) == len(part["rows"]) == 12
    assert BASELINE not in {result.cell.recipe for result in results}
    by_place = {
        (r.cell.recipe, r.settings["train"]["learning_rate"]): r.validation_accuracy
        for r in results
        if r.cell.recipe != "uegr"
    }
    for row in part["rows"]:
        if row["variant"] == "Dropout":
            assert row["mean"] == by_place["dropout", row["learning_rate"]]
            assert row["difference"] == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")}
    assert study.main([*asked, "--test"]) == 0
    said = capsys.readouterr()
    assert "12 cells, 0 to run" in said.err
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")}
    for text in ("Validation accuracy", "Test accuracy under FGSM", "UEGR, mask on the update", "films"):
        assert text in said.out


def asked_as(name: str, asked: list[str], *archs: str) -> list[str]:
    """The same of another question and other models."""
    start = asked.index("textcnn")
    return [name, *asked[1:start], *archs, *asked[start + 1 :]]


def test_a_question_about_models_answers_for_each(asked: list[str], capsys: Capture) -> None:
    """Table V: K by model."""
    command = asked_as("k", asked, "textcnn", "bilstm")
    assert study.main([*command, "hidden=3", "--json"]) == 0
    (part,) = json.loads(capsys.readouterr().out)["parts"]
    assert study.main([*command, "hidden=3"]) == 0
    said = capsys.readouterr().out
    table = said[said.index("Validation accuracy of each model, %") :].splitlines()
    assert next(line.split() for line in table if "Method" in line) == ["Method", "Rate", "BiLSTM", "TextCNN"]
    for row in part["rows"]:
        assert set(row["models"]) == {"textcnn", "bilstm"}
        mean, difference = row["models"]["bilstm"]
        assert 2 * row["mean"] == pytest.approx(mean + row["models"]["textcnn"][0])
        line = next(line for line in table if line.lstrip().startswith(row["variant"]))
        assert f"{100 * mean:.1f}" in line
        assert (f"[{100 * difference:+.1f}]" in line) == (row["variant"] != "UEGR, K = 2")


def test_a_question_of_recipes_answers_as_a_grid(asked: list[str], capsys: Capture) -> None:
    """Tables I and II: the tables of `zoo.ablate` on the test part, each method in a row."""
    assert study.main(asked_as("glue", asked, "textcnn")) == 0
    said = capsys.readouterr().out
    for text in ("TextCNN", "Difference to Dropout", "FreeLB", "SAM", "Test accuracy under FGSM"):
        assert text in said


def test_it_lists_the_questions(capsys: Capture) -> None:
    assert study.main(["--list"]) == 0
    said = capsys.readouterr().out
    assert "648 networks, preset slices" in said
    assert max(map(len, said.splitlines())) <= 80
    assert study.main(["--list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "defaults"


def test_a_dry_run_trains_nothing(asked: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert study.main([*asked, "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert "12 cells, 12 to run" in said
    assert "at the present pace" in said.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["nothing"], "unknown study 'nothing'"),
        (["defaults", "--arch", "lstm"], "'lstm'"),
        (["defaults", "--jobs", "-1"], "--jobs -1"),
        (["defaults", "--set", "alpha"], "--set alpha"),
        (["defaults", "--set", "alhpa=1"], "alhpa"),
        (["defaults", "--seeds", "-1"], "seeds"),
    ],
)
def test_bad_input_is_one_line(more: list[str], said: str, capsys: Capture) -> None:
    assert study.main(more) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
