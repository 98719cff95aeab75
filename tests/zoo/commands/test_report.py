"""`python -m zoo.report`: its page, its JSON, its other forms, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo.grid.store import Store
from zoo.report.__main__ import main

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path, result) -> Path:
    for recipe, wrong in (("dropout", 30), ("uegr", 5)):
        for seed in range(3):
            Store(tmp_path / "mine").write(result(recipe, "imdb", "textcnn", seed, wrong=range(wrong + seed)))
    return tmp_path / "mine"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(each) for each in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_page_lies_in_the_folder_and_is_made_anew(folder: Path, capsys) -> None:
    code, out, err = run(capsys, folder)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "28 claims of the paper: 27 cannot tell, 1 supported."
    assert out.splitlines()[1] == f"Written: {folder / 'report.html'}"
    first = (folder / "report.html").read_bytes()
    assert run(capsys, folder)[0] == 0
    assert (folder / "report.html").read_bytes() == first
    assert len(list(Store(folder).cells())) == 6


def test_a_file_that_nobody_named_is_kept(folder: Path, tmp_path: Path, capsys) -> None:
    mine = folder / "report.html"
    mine.write_text("<p>mine</p>")
    code, out, err = run(capsys, folder)
    assert (code, out) == (2, "")
    assert err == f"zoo.report: {mine}: is there and no page of zoo.report; name another file with --out\n"
    assert mine.read_text() == "<p>mine</p>"
    assert run(capsys, folder, "--out", tmp_path / "new" / "page.html")[0] == 0
    assert (tmp_path / "new" / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_json_has_the_claims_and_writes_only_what_is_named(folder: Path, tmp_path: Path, capsys) -> None:
    before = sorted(folder.iterdir())
    code, out, _ = run(capsys, folder, "--json")
    answer = json.loads(out)
    assert (code, answer["written"], sorted(folder.iterdir())) == (0, [], before)
    assert len(answer["claims"]) >= 10
    for claim in answer["claims"]:
        assert {"text", "source", "verdict", "estimate", "interval", "n"} <= set(claim)
        assert claim["verdict"] in ("supported", "not supported", "cannot tell")
        assert (claim["n"] == 0) == (claim["estimate"] is None)
    assert answer["claims"][0]["verdict"] == "supported"
    assert answer["claims"][0]["estimate"] == pytest.approx(25)
    page = tmp_path / "page.html"
    assert json.loads(run(capsys, folder, "--json", "--out", page)[1])["written"] == [str(page)]
    assert page.exists()


def test_other_forms_are_printed_or_written(folder: Path, tmp_path: Path, capsys) -> None:
    for form, start in (("markdown", "# What"), ("latex", "% Needs"), ("csv", "folder,"), ("text", "What")):
        code, out, _ = run(capsys, folder, "--format", form)
        assert code == 0
        assert out.startswith(start)
        assert run(capsys, folder, "--format", form, "--out", tmp_path / form)[0] == 0
        assert (tmp_path / form).read_text(encoding="utf-8") == out
    assert run(capsys, folder, "--format", "svg", "--out", tmp_path / "drawn")[0] == 0
    assert len(list((tmp_path / "drawn").glob("*.svg"))) >= 2
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: no such folder; expected a folder of results"),
        (["nowhere", "--json"], "nowhere: no such folder"),
        (["empty"], "empty: holds no results; expected those of zoo.ablate or zoo.study"),
        (["half"], "half/a-b.json, line 1: broken JSON"),
        ([], "the following arguments are required: folder"),
        (["empty", "--format", "pdf"], "invalid choice: 'pdf'"),
        (["empty", "--format", "svg"], "--format svg: expected --out with a folder"),
        (["mine", "--out", "half/a-b.json/page.html"], "page.html: cannot be written"),
    ],
)
def test_bad_input_is_one_line(folder: Path, capsys, monkeypatch, arguments, said) -> None:
    monkeypatch.chdir(folder.parent)
    Path("empty").mkdir()
    Path("half").mkdir()
    Path("half/a-b.json").write_text('{"id"')
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("zoo.report: ")
    assert err.count("\n") == 1
    assert said in err
    assert not Path("empty/report.html").exists()


@pytest.mark.skipif(not (REPOSITORY / "results" / "drift").exists(), reason="no committed results here")
def test_the_committed_results_are_read_as_what_they_are(capsys) -> None:
    claims = json.loads(run(capsys, REPOSITORY / "results", "--json")[1])["claims"]
    answered = {claim["from"] for claim in claims if claim["n"]}
    assert {"drift", "drop", "sharpness", "theory", "k"} <= answered


@pytest.mark.skipif(not (REPOSITORY / "results" / "demo").exists(), reason="no committed results here")
def test_the_readme_shows_what_it_prints(tmp_path: Path, capsys) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    first, second = run(capsys, REPOSITORY / "results" / "demo", "--out", tmp_path / "report.html")[
        1
    ].splitlines()
    assert f"```text\n{first}\nWritten: runs/demo/report.html\n```" in readme
    assert second == f"Written: {tmp_path / 'report.html'}"
