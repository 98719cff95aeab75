from __future__ import annotations

from dataclasses import replace

import pytest

from zoo.evidence.cells import Cells
from zoo.evidence.planned import Planned
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


@pytest.fixture
def plan(result):
    """A plan that is there, from the wrong answers (of 400) of each recipe; seeds differ by one answer."""

    attack = {"attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms", "rows": 400}
    corpora = ("imdb", "ag_news")

    def make(wrong, archs=("bilstm", "textcnn"), seeds=(0, 1), attacked=None, trained=None, **others):
        made = [
            result(
                recipe, corpus, arch, seed, n=400, wrong=range(number + seed), step=0.01 * (1 + i),
                attacked=attack, measures={"attacked_accuracy": (attacked or {}).get(recipe, 0.5)},
            )
            for i, (recipe, number) in enumerate(wrong.items())
            for arch in archs
            for corpus in corpora
            for seed in seeds
        ]  # fmt: skip
        made = [
            replace(one, settings=one.settings | {"attack": own | {"adversarial": 2}})
            if (own := (trained or {}).get(one.cell.recipe))
            else one
            for one in made
        ]
        made += [
            result(
                "tfidf_svm", corpus, "-", n=400, wrong=range(number), step_cpu_seconds=None, step_seconds=None
            )
            for corpus, number in others.items()
        ]
        return Planned(archs, tuple(wrong), corpora, seeds, Cells.of(made))

    return make


@pytest.fixture
def figures(monkeypatch):
    """Every figure of matplotlib that is saved, once a file, to be read from the drawing."""
    import matplotlib.figure

    found = []
    save = matplotlib.figure.Figure.savefig
    monkeypatch.setattr(
        matplotlib.figure.Figure,
        "savefig",
        lambda self, *args, **kwargs: (found.append(self), save(self, *args, **kwargs))[1],
    )
    return found


@pytest.fixture
def points():
    """The places of all marks of one kind in a panel: (x, y), sorted."""

    def of(axes, marker: str) -> list[tuple[float, float]]:
        lines = [line for line in axes.lines if line.get_marker() == marker]
        return sorted((round(float(line.get_xdata()[0]), 2), float(line.get_ydata()[0])) for line in lines)

    return of
