"""The tables of a study's answer."""

from __future__ import annotations

from dataclasses import replace

from zoo.evidence.answers import Row
from zoo.evidence.questions import Question, Variant
from zoo.report.answers import Part, blocks
from zoo.report.blocks import markdown

ASKED = Question("why", "Why?", "demo", (Variant("plain", "dropout"),), (0.1,), "plain", about="Parts")
BY_MODEL = replace(ASKED, by_model=True)
MODELS = {"bilstm": (0.42, -0.02), "texthan": (None, None)}
ROWS = (
    Row("plain", 0.1, {"imdb": 0.5, "tnews": 0.4}, {"imdb": 0.0, "tnews": 0.0}, {"bilstm": (0.44, 0.0)}),
    Row("other", 0.1, {"imdb": 0.6, "tnews": 0.3}, {"imdb": 0.1, "tnews": -0.1}, MODELS),
)


def test_each_model_has_its_own_mean_and_difference() -> None:
    text = markdown(blocks([Part("Accuracy", ROWS)], BY_MODEL))
    table = text[text.index("Accuracy of each model, % [difference to plain, points]") :]
    assert "| plain | 0.1 | 44.0 | – |" in table
    assert "| other | 0.1 | 42.0 [-2.0] | – |" in table


def test_models_are_left_out_unless_they_are_asked_for() -> None:
    assert "of each model" not in markdown(blocks([Part("Accuracy", ROWS)], ASKED))


def test_a_rate_is_named_where_a_row_has_one_of_its_own() -> None:
    """All at the preset's: no column says so in every line."""
    rows = [replace(row, rate=None) for row in ROWS]
    own = markdown(blocks([Part("Accuracy", rows)], BY_MODEL))
    assert "| Method | IMDB | TNEWS | AVG |\n" in own
    assert "| Method | IMDB | TNEWS | AVG | 95% interval |\n" in own
    assert "| plain | 50.0 | 40.0 | 45.0 |\n" in own
    assert "Rate" not in own
    mixed = markdown(blocks([Part("Accuracy", [rows[0], ROWS[1]])], ASKED))
    assert "| plain | preset's | 50.0 | 40.0 | 45.0 |\n" in mixed
    assert "| other | 0.1 | 60.0 | 30.0 | 45.0 |\n" in mixed


def test_what_the_interval_is_over_is_said_and_the_interval_printed() -> None:
    rows = [ROWS[0], replace(ROWS[1], interval=(-0.02, 0.031))]
    text = markdown(blocks([Part("Accuracy", rows)], ASKED))
    assert "| other | 0.1 | +10.0 | -10.0 | +0.0 | [-2.0, +3.1] |" in text
    assert "over other seeds and other texts of these corpora" in text
    assert "over corpora, as" in markdown(blocks([Part("Accuracy", rows)], replace(ASKED, chooses=True)))
