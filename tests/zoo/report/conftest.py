from __future__ import annotations

import pytest

from zoo.report.blocks import latex, markdown, terminal
from zoo.report.sections import grid
from zoo.report.tables import build_tables


@pytest.fixture
def small(result, failed):
    """Two corpora, one seed; R-Drop failed on one and is missing on the other."""
    untimed = {"step_cpu_seconds": None, "step_seconds": None}
    return [
        result("standard", "imdb", wrong=range(12), step=0.01),
        result("standard", "ag_news", wrong=range(20), step=0.02),
        result("dropout", "imdb", wrong=range(10), step=0.011),
        result("dropout", "ag_news", wrong=range(20), step=0.022),
        result("uegr", "imdb", wrong=range(5), step=0.03),
        result("uegr", "ag_news", wrong=range(1, 24), step=0.06),
        failed("r_drop", "imdb", reason="the loss is NaN in epoch 1."),
        result("tfidf_svm", "imdb", "-", wrong=range(15), **untimed),
        result("tfidf_svm", "ag_news", "-", wrong=range(15), **untimed),
    ]


@pytest.fixture
def draw():
    """The tables of results as text."""
    forms = {"markdown": markdown, "latex": latex, "terminal": lambda blocks: terminal(blocks, None)}

    def draw(results, form="terminal", notes=True, **options):
        return forms[form](grid(build_tables(results, **options), notes=notes))

    return draw
