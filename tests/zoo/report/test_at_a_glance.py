"""The small figure of the answer, read from its drawing."""

from __future__ import annotations

import pytest

from zoo.evidence.cells import Cells
from zoo.evidence.planned import Planned
from zoo.report.at_a_glance import draw_at_a_glance

WRONG = {"standard": 44, "dropout": 40, "uegr": 10}  # of 400


@pytest.fixture
def drawn(plan, figures, tmp_path):
    def draw(*args, **options):
        paths = draw_at_a_glance(plan(*args, **options), tmp_path / "answer")
        assert [path.name for path in paths] == ["answer.png", "answer.svg"]
        return figures[-1]

    return draw


def texts(artist) -> list[str]:
    return [text.get_text() for text in artist.texts]


def test_a_dot_a_number_and_an_interval_for_each_method(drawn, points):
    figure = drawn(WRONG, attacked={"uegr": 0.7, "standard": 0.45}, imdb=4, ag_news=4)
    clean, attacked = figure.axes
    # From the answers: 4, -30 and (of one seed against the mean of two) -36.5 of 400 wrong.
    assert points(clean, "o") == [(-1.0, 0.0), (7.5, 1.0), (9.12, 2.0)]
    assert texts(clean) == [
        "w/o Dropout", "-1.00", "UEGR", "+7.50", "TF-IDF + linear SVM", "+9.12",
    ]  # fmt: skip
    assert points(attacked, "o") == [(-5.0, 0.0), (20.0, 1.0)]
    assert texts(attacked) == ["-5.00", "+20.00"]
    (between,) = [
        line.get_xdata()
        for line in clean.lines
        if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1] == 1
    ]
    assert between[0] < 7.5 < between[1]
    assert clean.get_ylim()[0] > 2 > 0 > clean.get_ylim()[1]  # all rows inside, the first on top


def test_a_mean_over_the_models(plan, figures, points, tmp_path):
    """7.5 and 2.5 points of UEGR; of the reference row 9 and 4, and an eighth as its one run meets two."""
    one = plan({"dropout": 40, "uegr": 10}, archs=("bilstm",), imdb=4, ag_news=4)
    other = plan({"dropout": 20, "uegr": 10}, archs=("textcnn",), imdb=4, ag_news=4)
    cells = Cells({**one.cells.groups, **other.cells.groups})
    both = Planned(("bilstm", "textcnn"), one.recipes, one.corpora, one.seeds, cells)
    draw_at_a_glance(both, tmp_path / "answer")
    assert points(figures[-1].axes[0], "o") == [(5.0, 0.0), (6.62, 1.0)]


def test_the_papers_differences_stand_beside_the_clean_ones_alone(drawn, points):
    clean, attacked = drawn(WRONG, attacked={"uegr": 0.7}).axes
    # Mean over BiLSTM, TextCNN and the two corpora of the paper's table.
    assert [y for _, y in points(clean, "^")] == [0.0, 1.0]
    assert points(clean, "^")[1][0] == pytest.approx(1.64, abs=0.3)
    assert not points(attacked, "^")


@pytest.mark.parametrize(
    ("seeds", "title", "over"),
    [
        ((0, 1), "seeds 0, 1", "runs and examples, not paired by example; seeds and examples"),
        ((3,), "seed 3", "examples"),
    ],
)
def test_the_figure_says_what_it_is_of(drawn, seeds, title, over):
    said = texts(drawn(WRONG, seeds=seeds))
    assert said[0] == f"Table IV against Dropout: BiLSTM and TextCNN, {title}"
    assert f"95% interval, over {over}." in said[1]


def test_nothing_is_drawn_where_no_block_is_whole(result, tmp_path):
    cells = Cells.of([result("uegr", arch="bilstm")])
    planned = Planned(("bilstm",), ("dropout", "uegr"), ("imdb",), (0,), cells)
    assert draw_at_a_glance(planned, tmp_path / "answer") == []
    assert not list(tmp_path.iterdir())
