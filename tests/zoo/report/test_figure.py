from __future__ import annotations

import pytest

from zoo.report.figure import draw_differences, drawable
from zoo.report.tables import build_tables


@pytest.fixture
def drawn(tmp_path, figures):
    """Draw tables and give back the figure."""

    def draw(cells, **options):
        assert len(draw_differences(build_tables(cells, **options), tmp_path / "d", "My study")) == 2
        return figures[-1]

    return draw


def test_the_figure_shows_every_place(result, failed, drawn, points):
    """Names, dots, failed and missing places, the paper's marks: read from the drawing."""
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
    figure = drawn([*cells, failed("uegr", "tnews")], paper=True)
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert texts.count("UEGR") == texts.count("AT") == 3
    assert {"IMDB", "TNEWS", "AVG", "failed", "–"} <= set(texts)
    dots, triangles = points(axes, "o"), points(axes, "^")
    assert [x for x, _ in dots] == [-1.0, -0.62, -0.25, 7.5]
    # One run a recipe: nothing is filled.
    assert {line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"} == {"white"}
    # The paper's numbers stand in the rows of their recipes, not between them.
    assert len(triangles) == 4
    assert {y for _, y in triangles} <= {text.get_position()[1] for text in axes.texts}
    printed = {
        round(100 * score.paper_difference, 2)
        for row in build_tables(cells, paper=True)[0].rows
        for score in (*row.scores, row.average)
        if score.estimate and score.paper_difference is not None
    }
    assert {x for x, _ in triangles} == printed
    # Each dot stands in the row of its method, below the name of its corpus.
    names = {text.get_position()[1]: text.get_text() for text in axes.texts if text.get_position()[0] < 0}
    rows, where = {}, ""
    for y, name in sorted(names.items()):
        where = name if name in ("IMDB", "TNEWS", "AVG") else where
        rows[y] = (where, name)
    assert {x: rows[y] for x, y in dots} == {
        -1.0: ("TNEWS", "AT"), -0.62: ("AVG", "AT"), -0.25: ("IMDB", "AT"), 7.5: ("IMDB", "UEGR"),
    }  # fmt: skip
    left, right = axes.get_xlim()
    assert left <= -1
    assert right >= 7.5
    assert figure.texts[0].get_text() == "My study: test accuracy against Dropout"
    assert "one run says nothing about another seed" in figure.texts[1].get_text()
    assert "Triangle: the paper's difference" in figure.texts[1].get_text()


def test_the_baseline_is_drawn_or_named_at_the_edge(result, drawn, points):
    cells = [
        result(r, seed=s, n=400, wrong=range(w + s))
        for s in (0, 1, 2)
        for r, w in (("dropout", 200), ("uegr", 190))
    ]
    (near,) = drawn([*cells, result("tfidf_svm", "imdb", "-", n=400, wrong=range(199))]).axes
    assert (0.5, 2.0) in points(near, "o")
    assert [x for x, _ in points(near, "o")] == [0.5, 2.5]
    (far,) = drawn([*cells, result("tfidf_svm", "imdb", "-", n=400)]).axes
    texts = [text.get_text() for text in far.texts]
    assert "TF-IDF + linear SVM" in texts
    assert "+50.2" in texts
    assert (len(points(far, ">")), len(points(far, "<"))) == (2, 0), (
        "both ends of its line leave to the right"
    )
    assert [x for x, _ in points(far, "o")] == [2.5]
    assert far.get_xlim() == near.get_xlim()


def test_filled_where_the_star_is(result, drawn):
    cells = [
        result(r, seed=s, n=400, wrong=range(w + 2 * s * (r == "dropout")))
        for s in range(4)
        for r, w in (("dropout", 100), ("uegr", 50), ("at", 99))
    ]
    (axes,) = drawn(cells).axes
    filled = {
        line.get_xdata()[0]: line.get_markerfacecolor() != "white"
        for line in axes.lines
        if line.get_marker() == "o"
    }
    assert [filled[x] for x in sorted(filled)] == [False, True]


def test_nothing_to_draw_is_no_file(tmp_path, result):
    tables = build_tables([result("uegr")])
    assert not drawable(tables)
    assert draw_differences(tables, tmp_path / "d", "x") == []
    assert list(tmp_path.iterdir()) == []


def test_very_long_whiskers_end_in_an_arrow(result, drawn, points):
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
    (axes,) = drawn(quiet).axes
    assert points(axes, "<") == points(axes, ">") == []
    (axes,) = drawn(quiet + wild).axes
    left, right = (round(float(end), 2) for end in axes.get_xlim())
    assert {x for x, _ in points(axes, "<")} == {left}
    assert {x for x, _ in points(axes, ">")} == {right}
