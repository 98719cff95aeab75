"""A measure is one row: what is added to the table of measures appears everywhere by itself."""

from __future__ import annotations

import csv

import pytest

from zoo.core import measures
from zoo.core.measures import MEASURES, Measure
from zoo.grid.store import Store
from zoo.report.files import table_json, terminal_report, write_report
from zoo.report.page import build_pages
from zoo.report.readme import demo_table
from zoo.report.show import show_cell

CALIBRATION = Measure(
    "calibration", "Calibration error", "test", lambda outcome: 0.0, "", False, "Expected, in ten bins."
)
TITLE = "Calibration error (lower is better)"


@pytest.fixture
def results(result, monkeypatch):
    """Two recipes, two corpora; a row that the program does not know was put into the table of measures."""
    monkeypatch.setattr(measures, "MEASURES", (*MEASURES, CALIBRATION))
    return [
        result(recipe, corpus, measures={"calibration": value})
        for recipe, value in (("dropout", 0.1234), ("uegr", 0.0567))
        for corpus in ("imdb", "tnews")
    ]


def test_in_files_terminal_json_and_one_cell(results, tmp_path):
    write_report(tmp_path, results)
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert f"**{TITLE}**" in text
    assert "| Dropout | 0.1234 | 0.1234 | 0.1234 |" in text
    assert "- Calibration error: Expected, in ten bins." in text
    assert TITLE in (tmp_path / "table.tex").read_text(encoding="utf-8")
    assert r"\textbf{0.0567}" in (tmp_path / "table.tex").read_text(encoding="utf-8")
    with open(tmp_path / "table.csv", encoding="utf-8") as file:
        assert {row["calibration"] for row in csv.DictReader(file)} == {"0.1234", "0.0567"}
    printed = terminal_report(results)
    assert TITLE in printed
    assert "> UEGR     0.0567  0.0567  0.0567" in printed
    (table,) = table_json(results)
    assert table["rows"][1]["scores"]["AVG"]["calibration"] == pytest.approx(0.0567)
    assert "Calibration error (lower is better) 0.0567" in " ".join(show_cell(results[-1]).split())


def test_on_the_page_and_in_the_readme(results, tmp_path):
    for cell in results:
        Store(tmp_path / "quick").write(cell)
        Store(tmp_path / "demo").write(cell)
    pages = build_pages(tmp_path, tmp_path)
    assert sum(f"**{TITLE}**" in text for text in pages.values()) == 2
    header, _, dropout, uegr = demo_table(tmp_path / "demo").splitlines()
    assert TITLE in header
    assert "0.123" in dropout
    assert "**0.057**" in uegr


def test_a_measure_that_nobody_has_is_left_out(result, monkeypatch):
    monkeypatch.setattr(measures, "MEASURES", (*MEASURES, CALIBRATION))
    cells = [result("dropout"), result("uegr")]
    assert "Calibration" not in terminal_report(cells, notes=True)
    cells.append(result("at", measures={"calibration": 0.5}))
    text = " ".join(terminal_report(cells, notes=True).split())
    assert "AT 0.5000" in text
    assert "2 of the 3 runs have no such number" in text
