"""Tables and figures of measurements, from made-up points whose numbers can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from zoo.evidence.measurements import MEASUREMENTS, Point
from zoo.evidence.questions import Question, Variant
from zoo.report import studied
from zoo.report.blocks import Table, Text
from zoo.report.curves import draw_curves, draw_plane
from zoo.report.measured import blocks, curves

DRIFT = MEASUREMENTS["drift"]
DROPOUT, *OTHERS = (v.name for v in DRIFT.variants)


def points(value: dict[str, list[float]], seeds: int = 3) -> list[Point]:
    """Drift of every variant: `value` at each seed, words and pooled alike, on one corpus."""
    return [
        Point(f"{v}{s}", v, "imdb", "textcnn", s, {"cka": {"words": [1.0, x[s]], "pooled": [1.0, x[s] / 2]}})
        for v, x in value.items()
        for s in range(seeds)
    ]


def test_means_and_paired_differences_with_their_interval() -> None:
    """Differences +0.1, +0.2, +0.3: mean 0.2, t(2) 4.303 x 0.1 / sqrt 3 = 0.248."""
    made = points({DROPOUT: [0.1, 0.2, 0.3], **{name: [0.2, 0.4, 0.6] for name in OTHERS}})
    means, differences = (b for b in blocks(DRIFT, made) if isinstance(b, Table))
    assert means.header == ("Method", "words", "pooled", "all layers", "last epoch")
    assert means.rows[0] == (DROPOUT, "0.200", "0.100", "0.150", "0.150")
    assert differences.rows[0][:2] == (OTHERS[0], "+0.200 [-0.048, +0.448]")
    assert "3 planned" not in str(blocks(DRIFT, made))
    x, y = curves(DRIFT, made)[DROPOUT]
    assert list(x) == [0, 1]
    assert y == pytest.approx([1.0, 0.15])


def test_what_one_method_lacks_is_left_out_of_all() -> None:
    made = points({DROPOUT: [0.1, 0.2, 0.3], **{name: [0.2, 0.4, 0.6] for name in OTHERS}})
    said = blocks(DRIFT, made[1:])
    (means, _) = (b for b in said if isinstance(b, Table))
    assert means.rows[0][1] == "0.250"
    assert "seeds 1, 2; 13 planned ones are not there" in str(said[1])
    none = blocks(DRIFT, made[:2])
    assert not any(isinstance(b, Table) for b in none)
    assert "no model, corpus and seed with every method" in str(none[1])
    assert curves(DRIFT, made[:2]) == {}


def test_the_drop_is_clean_accuracy_less_attacked() -> None:
    asked = MEASUREMENTS["drop"]
    values = {
        "strengths": [0.05], "accuracy": 0.9, "fgsm": [0.6], "pgd": [0.5], "noise": [0.9],
    }  # fmt: skip
    made = [Point(v.name, v.name, "imdb", "textcnn", 0, values) for v in asked.variants]
    table = next(b for b in blocks(asked, made) if isinstance(b, Table))
    assert table.header == ("Method", "accuracy", "FGSM 0.05", "PGD 0.05", "noise 0.05")
    assert table.rows[0][1:] == ("90.0", "30.0", "40.0", "0.0")
    assert curves(asked, made)["Dropout"][1] == pytest.approx([40.0])


def test_a_plane_has_one_axis_down_and_one_across(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Question(
        "square", "Which?", "slices", tuple(Variant(f"{a}, {b}", "uegr") for a in (1, 2) for b in (3, 4)),
        (0.01,), "1, 3", plane=("a", "b"),
    )  # fmt: skip
    row = type("Row", (), {})
    made = []
    for a in (1, 2):
        for b in (3, 4):
            one = row()
            one.variant, one.mean = f"{a}, {b}", (10 * a + b) / 100
            made.append(one)
    monkeypatch.setattr(studied, "whole_rows", lambda folder, name: made)
    answer = list(studied._on_plane(tmp_path, asked, [Text("Which?"), Table(("x",), ())]))
    (table,) = (b for b in answer if isinstance(b, Table))
    assert table.header == ("a down, b across", "3", "4")
    assert table.rows == (("1", "13.0", "14.0"), ("2", "23.0", "24.0"))
    paths = draw_plane(studied.plane(tmp_path, asked), tmp_path / "plane", "Which?", "b", "a", "%")
    assert "23.0" in paths[1].read_text() or paths[1].stat().st_size > 5000


def test_figures_are_the_same_from_the_same_numbers(tmp_path: Path) -> None:
    lines = {"one": ([1.0, 2.0], [0.1, 0.2]), "two": ([1.0, 2.0], [0.3, 0.1])}
    first = draw_curves(lines, tmp_path / "a", "t", "x", "y")
    again = draw_curves(lines, tmp_path / "b", "t", "x", "y")
    assert [p.suffix for p in first] == [".png", ".svg"]
    assert first[1].read_bytes() == again[1].read_bytes()
    assert draw_curves({}, tmp_path / "c", "t", "x", "y") == []
    assert draw_plane({}, tmp_path / "c", "t", "x", "y", "%") == []


def test_every_study_is_on_the_page_where_it_has_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = points({name: [0.1, 0.2, 0.3] for name in (DROPOUT, *OTHERS)})
    monkeypatch.setattr(studied, "read_points", lambda folder: made if folder.name == "drift" else [])
    found = list(studied.answers(studied.folders(tmp_path)))
    assert [own.name for own in found] == ["drift"]
    assert str(found[-1].blocks[-1]).count("figures/drift.svg") == 1
    drawn = studied.draw_studies(tmp_path, tmp_path)
    assert sorted(path.name for path in drawn) == ["drift.png", "drift.svg"]
    part = [replace(p, variant=DROPOUT) for p in made[:1]]
    monkeypatch.setattr(studied, "read_points", lambda folder: part if folder.name == "drift" else [])
    assert "figures" not in str(list(studied.answers(studied.folders(tmp_path))))
    assert studied.draw_studies(tmp_path, tmp_path) == []
