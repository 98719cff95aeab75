"""The tables of a study's answer."""

from __future__ import annotations

from dataclasses import replace

from zoo.evidence.answers import Row
from zoo.report.answers import Part, blocks
from zoo.report.blocks import markdown

MODELS = {"bilstm": (0.42, -0.02), "texthan": (None, None)}
ROWS = (
    Row("plain", 0.1, {"imdb": 0.5, "tnews": 0.4}, {"imdb": 0.0, "tnews": 0.0}, {"bilstm": (0.44, 0.0)}),
    Row("other", 0.1, {"imdb": 0.6, "tnews": 0.3}, {"imdb": 0.1, "tnews": -0.1}, MODELS),
)


def test_each_model_has_its_own_mean_and_difference() -> None:
    text = markdown(blocks([Part("Accuracy", ROWS)], "Why?", "plain", by_model=True))
    table = text[text.index("Accuracy of each model, % [difference to plain, points]") :]
    assert "| plain | 0.1 | 44.0 | – |" in table
    assert "| other | 0.1 | 42.0 [-2.0] | – |" in table


def test_models_are_left_out_unless_they_are_asked_for() -> None:
    assert "of each model" not in markdown(blocks([Part("Accuracy", ROWS)], "Why?", "plain"))


def test_a_rate_is_named_where_a_row_has_one_of_its_own() -> None:
    """All at the preset's: no column says so in every line."""
    rows = [replace(row, rate=None) for row in ROWS]
    own = markdown(blocks([Part("Accuracy", rows)], "Why?", "plain", by_model=True))
    assert "| Method | IMDB | TNEWS | AVG |\n" in own
    assert "| Method | IMDB | TNEWS | AVG | 95% interval |\n" in own
    assert "| plain | 50.0 | 40.0 | 45.0 |\n" in own
    assert "Rate" not in own
    mixed = markdown(blocks([Part("Accuracy", [rows[0], ROWS[1]])], "Why?", "plain"))
    assert "| plain | preset's | 50.0 | 40.0 | 45.0 |\n" in mixed
    assert "| other | 0.1 | 60.0 | 30.0 | 45.0 |\n" in mixed
