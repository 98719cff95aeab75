from __future__ import annotations

import subprocess
import sys

import pytest

from zoo.core.errors import UserError
from zoo.report.figure import draw_differences
from zoo.report.files import show_cell, table_json, terminal_report, write_report
from zoo.report.tables import build_tables

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
    paths = write_report(tmp_path / "a", grid)
    assert [path.name for path in paths] == NAMES
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(NAMES)
    assert (tmp_path / "a" / "table.md").read_text(encoding="utf-8").count("\n## ") == 2
    assert "](difference.svg)" in (tmp_path / "a" / "table.md").read_text(encoding="utf-8")
    again = write_report(tmp_path / "b", grid)
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    other = write_report(tmp_path / "c", grid[1:])
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(paths, other, strict=True))


def test_without_differences_there_is_no_figure(tmp_path, result):
    (tmp_path / "difference.svg").write_text("of an earlier report")
    paths = write_report(tmp_path, [result("uegr")])
    assert [path.name for path in paths] == NAMES[:3]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES[:3])
    assert "](difference.svg)" not in paths[0].read_text(encoding="utf-8")


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
    assert terminal_report(grid).count("Difference to Dropout, points") == 2
    assert [table["arch"] for table in table_json(grid)] == ["bilstm", "texthan"]
    assert "(90.71)" in terminal_report(grid, paper=True)


def test_the_figure_shows_every_place(tmp_path, result, monkeypatch):
    """Names, dots, failed and missing places, the paper's marks: read from the drawing."""
    import matplotlib.figure

    drawn = []
    save = matplotlib.figure.Figure.savefig
    monkeypatch.setattr(
        matplotlib.figure.Figure,
        "savefig",
        lambda self, *args, **kwargs: (drawn.append(self), save(self, *args, **kwargs))[1],
    )
    cells = [
        result(r, c, n=400, wrong=range(w))
        for r, c, w in (
            ("dropout", "imdb", 40),
            ("uegr", "imdb", 10),
            ("at", "imdb", 41),
            ("dropout", "tnews", 40),
            ("at", "tnews", 44),
        )
    ]
    cells += [result("uegr", "tnews", status="failed", reason="NaN"), result("tfidf_svm", "imdb", "-", n=400)]
    assert len(draw_differences(build_tables(cells, paper=True), tmp_path / "d")) == 2
    (axes,) = drawn[0].axes
    texts = [text.get_text() for text in axes.texts]
    assert texts.count("UEGR") == texts.count("AT") == 3
    assert {"IMDB", "TNEWS", "AVG", "failed", "–"} <= set(texts)
    assert "TF-IDF + linear SVM" not in texts
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert sorted(round(float(dot.get_xdata()[0]), 2) for dot in dots) == [-1.0, -0.62, -0.25, 7.5]
    assert [dot.get_markerfacecolor() == "white" for dot in dots].count(False) == 1
    assert len([line for line in axes.lines if line.get_marker() == "^"]) == 4
    left, right = axes.get_xlim()
    assert left <= -1
    assert right >= 7.5


def test_very_long_whiskers_end_in_an_arrow(tmp_path, result, monkeypatch):
    import matplotlib.axes

    markers = []
    plot = matplotlib.axes.Axes.plot
    monkeypatch.setattr(
        matplotlib.axes.Axes,
        "plot",
        lambda self, *args, **kwargs: (markers.append(kwargs.get("marker")), plot(self, *args, **kwargs))[1],
    )
    quiet = [
        result(r, c, seed=s, n=1000, wrong=range(w))
        for s in (0, 1)
        for c in "abcdefg"
        for r, w in (("dropout", 50), ("uegr", 50 + 2 * s))
    ]
    wild = [
        result(r, "h", seed=s, n=1000, wrong=range(w + 60 * s * (r == "uegr")))
        for s in (0, 1)
        for r, w in (("dropout", 50), ("uegr", 50))
    ]
    draw_differences(build_tables(quiet), tmp_path / "quiet")
    assert "<" not in markers
    draw_differences(build_tables(quiet + wild), tmp_path / "wild")
    assert "<" in markers
    assert ">" in markers


def test_a_corpus_in_a_script_without_font_is_no_error(tmp_path, result):
    cells = [result("dropout", "评论"), result("uegr", "评论")]
    assert len(write_report(tmp_path, cells)) == 5


SHOWN = """\
imdb-texthan-uegr-s0-c95a1376
=============================

cell
  corpus  imdb
  arch    texthan
  recipe  uegr
  seed    0
  fold    –

corpus
  name             imdb
  train_rows       1000
  validation_rows  50
  test_rows        100
  notes            –

settings
  text.max_length  64
  train.epochs     2
  recipe.alpha     0.5

seconds
  total     3
  train     2.5
  evaluate  0.5

curve
  epoch    loss  kept_share  drop_rate.embedding  drop_rate.head
      1     0.7         0.4                  0.2            0.21
      2  0.5123        0.41                  0.2             0.2

result
  status               done
  device               cpu
  threads              1
  step_seconds         0.02
  step_cpu_seconds     0.01
  parameters           1234
  best_epoch           2
  validation_accuracy  0.97
  test_accuracy        0.97
  test_macro_f1        0.97
"""


def test_show_cell(result):
    assert show_cell(result("uegr", wrong=range(3))) == SHOWN
    failed = result("uegr", status="failed", reason="a bug", traceback="File a\n  line b\n")
    assert show_cell(failed).endswith("\ntraceback\n  File a\n    line b\n")


def test_importing_the_package_is_light():
    code = (
        "import sys, zoo.grid.store, zoo.report.files\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'sklearn', 'pandas'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
