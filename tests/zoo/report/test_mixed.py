"""Tables of corpora whose main measures differ: GLUE's average, its differences, its notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from zoo.core.classes import encode_classes, encode_scores
from zoo.core.measures import Outcome, Scores
from zoo.core.result import CorpusInfo, Result, answers_json, measures_of
from zoo.report.blocks import terminal
from zoo.report.footnotes import footnotes
from zoo.report.panels import panels
from zoo.report.tables import MIXED, build_tables, long_form

N = 60
Maker = Callable[..., Result]


@pytest.fixture
def glue(result: Maker) -> Callable[..., list[Result]]:
    """Dropout and UEGR on CoLA (Matthews), STS-B (Pearson) and RTE (accuracy), of so many seeds."""

    def make(seeds: int = 3) -> list[Result]:
        rng = np.random.default_rng(0)
        found = []
        for recipe, noise in (("dropout", 0.35), ("uegr", 0.2)):
            for seed in range(seeds):
                for corpus, name in (
                    ("glue_cola", "matthews"),
                    ("glue_stsb", "pearson"),
                    ("glue_rte", "accuracy"),
                ):
                    head = result(recipe, corpus, "hf:minilm", seed, n=N)
                    truth = np.arange(N) % 2
                    answers: Outcome | Scores
                    if name == "pearson":
                        answers = Scores(truth + noise * rng.normal(size=N), truth.astype(float))
                    else:
                        answers = Outcome(np.eye(2)[np.where(rng.random(N) < noise, 1 - truth, truth)], truth)
                    labels = 1 if name == "pearson" else 2
                    info = CorpusInfo(corpus, "en", "f" * 16, labels, 1000, 50, N, 99, (), name)
                    found.append(
                        replace(
                            head,
                            corpus=info,
                            **answers_json(answers),
                            measures=measures_of({"test": answers}, [name]),
                            validation_accuracy=0.5,
                        )
                    )
        return found

    return make


def test_the_average_is_the_mean_of_the_main_measures(glue: Callable[..., list[Result]]) -> None:
    results = glue()
    (table,) = build_tables(results)
    for row in table.rows:
        own = [r for r in results if r.cell.recipe == row.method.recipe]
        means = {c: np.mean([r.main for r in own if r.cell.corpus == c]) for c in table.corpora}
        assert [score.main.mean for score in row.scores if score.main] == pytest.approx(list(means.values()))
        assert row.average.measure == MIXED
        assert row.average.main is not None
        assert row.average.main.mean == pytest.approx(np.mean(list(means.values())))
    uegr = next(row for row in table.rows if row.method.recipe == "uegr")
    differences = [score.estimate.difference for score in uegr.scores if score.estimate]
    assert len(differences) == 3
    assert uegr.average.estimate is not None
    assert uegr.average.estimate.difference == pytest.approx(np.mean(differences))
    flat = {(line["recipe"], line["corpus"]): line for line in long_form([table])}
    assert flat["uegr", "glue_cola"]["measure"] == "matthews"
    assert flat["uegr", "AVG"]["main"] == pytest.approx(uegr.average.main.mean)


def test_the_table_says_which_measure_a_column_is(glue: Callable[..., list[Result]]) -> None:
    (table,) = build_tables(glue())
    first = panels(table)[0]
    assert first.title == "Test score, %"
    assert "Test score: CoLA Matthews; STS-B Pearson; RTE accuracy." in [
        note.text for note in footnotes(table)
    ]
    text = terminal(panels(table))
    assert "Test Matthews correlation, %" in text
    assert max(map(len, text.splitlines())) <= 80
    (alone,) = build_tables([r for r in glue() if r.cell.corpus == "glue_stsb"])
    assert panels(alone)[0].title == "Test Pearson correlation, %"


@pytest.mark.parametrize("seeds", [1, 2])
def test_differences_in_a_correlation_have_intervals(glue: Callable[..., list[Result]], seeds: int) -> None:
    (table,) = build_tables(glue(seeds))
    uegr = next(row for row in table.rows if row.method.recipe == "uegr")
    for score in uegr.scores:
        assert score.comparison is not None
        assert len(score.comparison.differences) == seeds
        assert score.comparison.estimate.difference == pytest.approx(np.mean(score.comparison.differences))
        assert score.comparison.estimate.low < score.comparison.estimate.difference


def test_other_texts_are_not_compared(glue: Callable[..., list[Result]]) -> None:
    results = [r for r in glue(1) if r.cell.corpus == "glue_stsb"]
    other = Scores(np.arange(N, dtype=float), np.arange(N) / 7)
    changed = replace(results[0], **answers_json(other), measures=measures_of({"test": other}))
    (table,) = build_tables([changed, results[1]])
    assert not table.comparisons


def test_the_cost_s_unit_is_dropout_where_the_plain_recipe_was_not_run(
    glue: Callable[..., list[Result]],
) -> None:
    results = [replace(r, step_cpu_seconds=0.3 if r.cell.recipe == "uegr" else 0.1) for r in glue(1)]
    (table,) = build_tables(results)
    costs = {row.method.recipe: row.average.cost for row in table.rows}
    assert costs == {"dropout": pytest.approx(1.0), "uegr": pytest.approx(3.0)}
    assert any("multiples of a step of Dropout" in note.text for note in footnotes(table))


def test_one_score_for_all_is_no_skill(glue: Callable[..., list[Result]]) -> None:
    (plain,) = (r for r in glue(1) if r.cell.corpus == "glue_stsb" and r.cell.recipe == "uegr")
    flat = Scores(np.ones(N), np.arange(N) % 5)
    (table,) = build_tables([replace(plain, **answers_json(flat), measures=measures_of({"test": flat}))])
    assert table.rows[0].scores[0].without_skill == 1


def test_stored_scores_must_give_the_stored_measure(glue: Callable[..., list[Result]]) -> None:
    from zoo.core.errors import UserError

    result = next(r for r in glue(1) if r.cell.corpus == "glue_stsb")
    sound = {**result.as_json(), "schema": 2}
    assert Result.from_json(sound, "file") == result
    for change, message in (
        ({"measures": {"pearson": 0.123}}, "the pearson is stored as 0.123, the predictions give"),
        ({"measures": {"accuracy": 0.5}}, "a done cell without measures.pearson"),
        ({"measures": {"pearson": -1.5}}, "measures.pearson is -1.5, expected a number from -1 to 1"),
        ({"validation_accuracy": -1.5}, "validation_accuracy is -1.5, expected a number from -1 to 1"),
        ({"truth": encode_classes(np.arange(3))}, "truth are no scores, expected base64"),
        (
            {"corpus": {**sound["corpus"], "measure": "score"}},
            "corpus.measure is 'score', expected one of accuracy",
        ),
        ({"further": {"advglue": {"truth": ""}}}, "further.advglue lacks predictions"),
    ):
        with pytest.raises(UserError, match=message):
            Result.from_json({**sound, **change}, "file")
    broken = encode_scores(np.arange(N, dtype=float))
    with pytest.raises(UserError, match="the pearson is stored as"):
        Result.from_json({**sound, "predictions": broken}, "file")
    with pytest.raises(ValueError, match="one row of finite numbers"):
        encode_scores(np.array([np.nan]))


def test_an_accuracy_corpus_is_written_as_before(result: Maker) -> None:
    assert "measure" not in result("uegr").as_json()["corpus"]
