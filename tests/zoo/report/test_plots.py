"""Charts from made-up results: each mark stands where its number is, and the table says the same."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from zoo.evidence.cells import Cells
from zoo.report.chart import Chart, Mark, Series
from zoo.report.plots import PAPER, OverEpochs, against, by_epoch, differences, lines_of, plane_of
from zoo.report.svg import legend, svg
from zoo.report.tables import build_tables

LOSS = OverEpochs("loss", "nats", lambda entry: entry.get("loss"))


def none(_) -> tuple[str, ...]:
    return ()


@pytest.fixture
def table(result):
    made = [
        result(recipe, corpus, "textcnn", seed, n=400, wrong=range(w + seed), step=step)
        for recipe, w, step in (("standard", 40, 0.01), ("dropout", 40, 0.01), ("uegr", 20, 0.03))
        for corpus in ("imdb", "tnews")
        for seed in range(3)
    ]
    return build_tables([*made, result("tfidf_svm", "imdb", "-", n=400)], paper=True)[0]


def places(drawn: str, what: str = "cx") -> list[float]:
    return [float(x) for x in re.findall(rf'{what}="([\d.-]+)" cy', drawn)]


def test_a_difference_is_a_mark_with_its_interval_and_its_notes(table) -> None:
    asked = []
    chart = differences(table, lambda runs: (asked.append(runs), ("a command",))[1])
    assert chart
    (uegr,) = (s for s in chart.series if s.name == "UEGR")
    first = uegr.marks[0]
    estimate = next(r for r in table.rows if r.method.recipe == "uegr").scores[0].estimate
    assert estimate
    assert (first.x, first.low, first.high) == tuple(
        100 * v for v in (estimate.difference, estimate.low, estimate.high)
    )
    assert first.x == pytest.approx(5)
    assert chart.names[int(first.y)] == "UEGR"
    assert [name for name in chart.names if name.endswith(":")] == ["IMDB:", "TNEWS:", "AVG:"]
    assert first.notes == ("a command",)
    assert [len(groups) for groups in asked[:3]] == [1, 1, 1]
    assert {len(groups) for groups in asked} == {1, 2}, "an average is of both corpora"
    assert "UEGR on IMDB, TextCNN: +5.00 [" in first.text
    assert "3 pairs" in first.text
    assert not first.open
    assert "p " in first.text
    assert chart.rows[chart.header.index("Recipe")][0] == "w/o Dropout"
    assert {row[0]: row[1] for row in chart.rows}["UEGR"].startswith("+5.00 [")
    (printed,) = (s for s in chart.series if s.colour == PAPER)
    assert [m.x for m in printed.marks if "UEGR on IMDB" in m.text] == [pytest.approx(90.89 - 89.62)]
    assert differences(replace(table, rows=table.rows[1:2]), none) is None


def test_colours_are_those_of_the_method_in_every_chart(table) -> None:
    charts = [differences(table, none), against(table, "cost", none)]
    colours = [{s.name: s.colour for s in chart.series} for chart in charts if chart]
    for name in ("UEGR", "w/o Dropout"):
        assert colours[0][name] == colours[1][name]
    assert len(set(colours[1].values())) == len(colours[1])


def test_accuracy_against_cost_is_of_the_average(table) -> None:
    chart = against(table, "cost", none)
    assert chart
    (uegr,) = (s.marks[0] for s in chart.series if s.name == "UEGR")
    assert (uegr.x, uegr.y) == (pytest.approx(3), pytest.approx(100 * (1 - 21 / 400)))
    assert "TF-IDF + linear SVM" not in {s.name for s in chart.series}
    assert against(table, "attacked_accuracy", none) is None
    assert against(replace(table, rows=table.rows[:1]), "cost", none) is None


def test_an_epoch_is_the_mean_of_the_runs_that_reached_it(result) -> None:
    runs = [
        result("uegr", "imdb", "textcnn", 0, curve=({"loss": 1.0}, {"loss": 0.5}, {"loss": 0.1})),
        result("uegr", "imdb", "textcnn", 1, curve=({"loss": 3.0}, {"loss": 1.5})),
        result("dropout", "imdb", "textcnn", 1, curve=({"other": 3.0},)),
    ]
    chart = by_epoch(Cells.of(runs), "textcnn", ("imdb",), LOSS, none)
    assert chart
    (series,) = chart.series
    assert [(m.x, m.y) for m in series.marks] == [(1, 2.0), (2, 1.0), (3, 0.1)]
    assert chart.rows == (("UEGR", "2", "1", "0.1"),)
    assert by_epoch(Cells.of(runs[2:]), "textcnn", ("imdb",), LOSS, none) is None
    assert by_epoch(Cells.of(runs), "bilstm", ("imdb",), LOSS, none) is None


def test_lines_and_planes_have_the_numbers_that_they_are_given() -> None:
    chart = lines_of({"Dropout": ([0.1, 1.0], [3.0, 4.0]), "UEGR": ([1.0], [5.0])}, "t", "x", "y", True)
    assert chart.header == ("", "0.1", "1")
    assert chart.rows == (("Dropout", "3", "4"), ("UEGR", "–", "5"))
    assert [s.colour for s in chart.series] == [0, 1]
    plane = plane_of({(0.1, 0.2): 50.0, (0.1, 0.3): 60.04, (0.2, 0.2): 70.0}, "t", "down", "across", "%")
    assert plane.rows == (("0.1", "50.0", "60.0"), ("0.2", "70.0", "–"))
    drawn = svg(plane, "a")
    assert drawn.count("<rect") == 3
    assert 'aria-label="down 0.1, across 0.3: 60.0"' in drawn
    fills = re.findall(r"fill=\"hsl\((\d+) \d+% (\d+)%\)", drawn)
    assert [int(light) for _, light in fills] == sorted(int(light) for _, light in fills)


def dots(xs, ys, **options) -> Chart:
    marks = tuple(Mark(x, y, f"{x}") for x, y in zip(xs, ys, strict=True))
    return Chart("t", "s", "x", "y", (Series("one", marks, 1, True),), ("",), (), **options)


def test_marks_are_drawn_in_proportion() -> None:
    drawn = svg(dots([0, 1, 3], [0, 2, 8]), "a")
    x, y = places(drawn)[::2], [float(v) for v in re.findall(r'cy="([\d.]+)" r="9"', drawn)]
    assert (x[2] - x[1]) / (x[1] - x[0]) == pytest.approx(2, rel=0.01)
    assert (y[1] - y[2]) / (y[0] - y[1]) == pytest.approx(3, rel=0.02)
    assert y[0] > y[1] > y[2], "upwards is less in a drawing"
    assert drawn.count("<polyline") == 1
    logarithmic = places(svg(dots([0.1, 1, 10], [1, 2, 3], logarithmic=True), "a"))[::2]
    assert logarithmic[1] - logarithmic[0] == pytest.approx(logarithmic[2] - logarithmic[1], abs=0.2)
    whole = svg(dots([1, 2], [0.5, 0.5], within=(0.0, 1.0)), "a")
    ticks = re.findall(r'text-anchor="end">([\d.]+)<', whole)
    assert ticks[0] == "0"
    assert ticks[-1] == "1"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.003, 0.0041), (55.2, 55.21), (-1200, 8000), (7, 7)])
def test_ticks_are_few_and_within(low: float, high: float) -> None:
    drawn = svg(dots([0, 1], [low, high]), "a")
    ticks = [float(t.replace("−", "-")) for t in re.findall(r'text-anchor="end">([−\d.e+-]+)<', drawn)]
    assert 2 <= len(ticks) <= 7
    assert ticks == sorted(set(ticks))
    air = 0.07 * (high - low) or high
    assert low - air <= ticks[0] <= ticks[-1] <= high + air


def test_what_leaves_the_scale_is_an_arrow_at_the_edge() -> None:
    def rows(*marks: Mark) -> str:
        return svg(Chart("t", "s", "x", "", (Series("a", marks, 0),), ("",), (), ("r:", "one"), 10.0), "a")

    inside = rows(Mark(1, 1, "in", -2, 3))
    assert inside.count("v8z") == 0
    assert "M" in inside
    out = rows(Mark(30, 1, "out", 8, 50))
    assert out.count("v8z") == 1
    assert "h8v8h-8z" not in out  # its own place is off the scale
    assert rows(Mark(0, 1, "both", -50, 50)).count("v8z") == 2


def test_a_legend_names_what_no_row_names() -> None:
    assert [name for _, name in legend(dots([0], [0]))] == ["one"]
    assert legend(dots([0], [0], names=("a",))) == []
