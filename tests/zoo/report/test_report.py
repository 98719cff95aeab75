from __future__ import annotations

import subprocess
import sys

import pytest

from zoo.core.errors import UserError
from zoo.report.files import show_cell, table_json, terminal_report, write_report

NAMES = ["table.md", "table.tex", "table.csv", "difference.png", "difference.svg"]


@pytest.fixture
def grid(result):
    return [
        result(recipe, corpus, arch, seed, wrong=range(5 + seed + (recipe == "dropout") * 9))
        for recipe in ("dropout", "uegr")
        for corpus in ("imdb", "tnews")
        for arch in ("texthan", "bilstm")
        for seed in (0, 1)
    ]


def test_a_report_is_five_files_that_depend_on_the_results_alone(tmp_path, grid):
    paths = write_report(tmp_path / "a", grid, title="Mine")
    assert [path.name for path in paths] == NAMES
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(NAMES)
    text = (tmp_path / "a" / "table.md").read_text(encoding="utf-8")
    assert text.startswith("# Results: Mine\n\n## BiLSTM\n")
    assert text.count("\n## ") == 2
    assert "](difference.svg)" in text
    assert "**UEGR**" in text
    assert text.count("IMDB: 1,000 training and 100 test texts.") == 1
    again = write_report(tmp_path / "b", grid, title="Mine")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    other = write_report(tmp_path / "c", grid[1:], title="Mine")
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(paths, other, strict=True))
    write_report(tmp_path / "named", grid)
    assert (tmp_path / "named" / "table.md").read_text(encoding="utf-8").startswith("# Results: named\n")


def test_a_report_never_deletes_what_another_made(tmp_path, result):
    (tmp_path / "difference.svg").write_text("of an earlier report")
    paths = write_report(tmp_path, [result("uegr")])
    assert [path.name for path in paths] == NAMES[:3]
    assert (tmp_path / "difference.svg").read_text() == "of an earlier report"
    assert "](difference.svg)" not in paths[0].read_text(encoding="utf-8")


def test_two_settings_of_one_recipe_are_reported_side_by_side(tmp_path, result):
    cells = [result("dropout", wrong=range(10)), result("uegr"), result("uegr", alpha=4)]
    assert len(write_report(tmp_path, cells)) == 5
    assert "> UEGR, alpha 4 " in terminal_report(cells)


def test_mistakes_of_the_user_are_named(tmp_path, grid):
    with pytest.raises(UserError, match="no results to report"):
        write_report(tmp_path, [])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the report"):
        write_report(tmp_path / "file", grid)


def test_text_and_json_without_results():
    assert terminal_report([]) == "No results yet.\n"
    assert table_json([]) == []


def test_text_and_json(grid):
    text = terminal_report(grid, paper=True)
    assert text.count("Difference to Dropout, points") == 2
    assert max(map(len, text.splitlines())) <= 80
    assert "(90.71)" in text
    (bilstm, texthan) = table_json(grid)
    assert (bilstm["arch"], texthan["arch"]) == ("bilstm", "texthan")
    assert "IMDB: 1,000 training and 100 test texts." in texthan["footnotes"]


def test_the_papers_numbers_are_there_where_they_are_asked_for(grid):
    for paper in (False, True):
        places = [
            p for t in table_json(grid, paper=paper) for row in t["rows"] for p in row["scores"].values()
        ]
        assert any(place["paper_accuracy"] is not None for place in places) == paper
        assert ("(90.71)" in terminal_report(grid, paper=paper)) == paper


def test_the_terminal_has_few_notes_and_all_on_request(grid):
    text = terminal_report(grid)
    assert text.count("\n- ") == 2
    assert text.rstrip().endswith("How each number came about is said in table.md.")
    every = terminal_report(grid, notes=True)
    assert every.count("\n- ") > 6
    assert "table.md" not in every


def test_a_corpus_in_a_script_without_font_is_no_error(tmp_path, result):
    cells = [result("dropout", "评论"), result("uegr", "评论")]
    assert len(write_report(tmp_path, cells)) == 5


SHOWN = """\
imdb-texthan-uegr-s0-0eace94c
=============================

TextHAN, UEGR on IMDB, seed 0: done.

---------------------------------------------
Result
---------------------------------------------
Test accuracy, %                        97.00
Test macro-F1, %                        97.00
Validation accuracy, % (best epoch, 2)  97.00
---------------------------------------------

Learning curve: means over the steps of an epoch
--------------------------------------------------------------
epoch    loss  kept_share  drop_rate embedding  drop_rate head
--------------------------------------------------------------
1         0.7         0.4                  0.2            0.21
2      0.5123        0.41                  0.2             0.2
--------------------------------------------------------------

- IMDB (en): 2 classes, 1,000 training, 50 validation and 100 test texts, 99
  words.
- Processor: cpu, instructions not recorded; threads 1.
- Program: 1.0 at commit abc1234.
- Word vectors: kind random.
- Seconds: total 3, train 2.5, evaluate 0.5.
- Cost: parameters 1,234, seconds a step 0.02, CPU seconds a step 0.01.

Settings of the recipe: forward bi_stage, alpha 0.5, dropout none, update all.

Settings of training: epochs 2, batch_size 16.

Settings of the text: max_length 64.
"""


def test_show_cell(result):
    assert show_cell(result("uegr", wrong=range(3), vectors={"kind": "random"})) == SHOWN


def test_show_cell_names_what_differs_from_the_defaults(result):
    made = result("uegr", alpha=4, train={"learning_rate": 0.01})
    text = show_cell(made, result("uegr", train={"learning_rate": 0.003}).settings)
    assert "Settings that differ from the defaults: alpha 4, learning_rate 0.01.\n" in text
    assert "Other settings of training: epochs 2, batch_size 16.\n" in text
    assert text.count("learning_rate") == 1


def test_show_a_failed_cell_and_one_without_skill(failed, result):
    text = show_cell(failed("uegr", reason="a bug", traceback="File a\n  line b\n"))
    assert "It failed: a bug" in text
    assert text.endswith("\n  File a\n    line b\n")
    assert "Caution: it predicts one class only." in show_cell(result("uegr", wrong=range(0, 100, 2)))
    assert "Caution" not in show_cell(result("tfidf_svm", arch="-", wrong=range(0, 100, 2)))


def test_importing_the_package_is_light():
    code = (
        "import sys, zoo.evidence.statements, zoo.grid.store, zoo.report.files, zoo.report.page\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'sklearn', 'pandas', 'rich'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
