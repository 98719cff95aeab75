from __future__ import annotations

import json

import pytest

from zoo.evidence.coverage import AT_LEAST, CASES, NOMINAL, NONE, Case, Coverage
from zoo.report import coverage
from zoo.report.blocks import terminal
from zoo.report.coverage import as_blocks, as_dict, main

NEEDED = ["--draws", "3", "--scale", "50"]


def made(claim: str, covered: int) -> Coverage:
    return Coverage(Case("made up", "imdb", 2, 5, claim, CASES[0].draw), 1000, covered, 0.0123)


def test_the_table_fits_a_terminal_and_has_every_interval(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(NEEDED) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for case in CASES:
        design = f"{case.seeds}" if case.folds == 1 else f"{case.seeds} x {case.folds}"
        assert sum(line.startswith(f"{case.form}  ") and f"  {design}  " in line for line in lines) >= 1
    assert lines[0] == "Coverage of 95% intervals, 3 draws each"


def test_what_is_not_as_claimed_has_a_star() -> None:
    found = [
        made(AT_LEAST, 900),
        made(AT_LEAST, 990),
        made(NOMINAL, 990),
        made(NOMINAL, 950),
        made(NONE, 600),
    ]
    text = terminal(as_blocks(found, 7, 4))
    rows = [line.split() for line in text.splitlines() if line.startswith("made up")]
    assert [row[-2] for row in rows] == ["90.0*", "99.0", "99.0*", "95.0", "60.0"]
    assert rows[0][2:6] == ["IMDB", "2", "x", "5"]
    assert [row[-1] for row in rows] == ["1.23"] * 5
    assert "Drawn by seed 7" in " ".join(text.split())
    assert "within 1.4 points" in text  # 1.96 sqrt(0.95 0.05 / 1000)


def test_json_has_the_same_rows_and_a_seed_repeats_them(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for seed in ("1", "1", "2"):
        main([*NEEDED, "--seed", seed, "--json"])
        said.append(json.loads(capsys.readouterr().out))
    assert said[0] == said[1]
    assert said[0]["rows"] != said[2]["rows"]
    assert [(row["form"], row["seeds"], row["folds"]) for row in said[0]["rows"]] == [
        (case.form, case.seeds, case.folds) for case in CASES
    ]
    assert as_dict(made(AT_LEAST, 900)) == {
        "form": "made up", "where": "imdb", "seeds": 2, "folds": 5, "claim": "at least", "draws": 1000,
        "covered": 0.9, "half_width": 0.0123, "as_claimed": False,
    }  # fmt: skip


def test_an_interval_that_does_not_cover_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for covered, code in ((900, 1), (950, 0)):
        monkeypatch.setattr(coverage, "simulate", lambda *_, c=covered: made(AT_LEAST, c))
        assert main(["--json"]) == code


@pytest.mark.parametrize(
    "wrong", [["--draws", "0"], ["--seed", "-1"], ["--scale", "0.5"], ["--scale", "nan"]]
)
def test_mistakes_are_one_line(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(wrong) == 2
    error = capsys.readouterr().err
    assert "expected at least one draw" in error
    assert error.count("\n") == 1
