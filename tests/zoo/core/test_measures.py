"""Measures are what scikit-learn computes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from zoo.core.measures import (
    MEASURES,
    Outcome,
    Scores,
    accuracy,
    f1,
    macro_f1,
    matthews,
    measure,
    pearson,
    spearman,
)
from zoo.core.result import measures_of


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_accuracy_and_macro_f1_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    """F1 over the classes that occur; those in between that do not are not there."""
    truth, guess = np.array(pairs).T
    outcome = Outcome(np.eye(7)[guess], truth)
    assert accuracy(outcome) == pytest.approx(accuracy_score(truth, guess))
    wanted = f1_score(truth, guess, average="macro", labels=np.union1d(truth, guess))
    assert macro_f1(outcome) == pytest.approx(wanted)


def test_the_first_row_is_the_one_that_verdicts_are_about() -> None:
    assert MEASURES[0].name == "accuracy"
    assert [measure(row.name) for row in MEASURES] == list(MEASURES)
    assert measure("accuracy").heading == "Test accuracy, %"
    assert measure("accuracy").scale == 100.0


def test_correlations_against_their_definitions() -> None:
    rng = np.random.default_rng(0)
    truth, predictions = rng.integers(0, 2, 200), rng.integers(0, 2, 200)
    outcome = Outcome(np.eye(2)[predictions], truth)
    assert matthews(outcome) == pytest.approx(np.corrcoef(truth, predictions)[0, 1])
    hits, wrong = (truth & predictions).sum(), (truth != predictions).sum()
    assert f1(outcome) == pytest.approx(2 * hits / (2 * hits + wrong))
    scores = Scores(rng.normal(size=50), rng.normal(size=50))
    assert pearson(scores) == pytest.approx(np.corrcoef(scores.predictions, scores.truth)[0, 1])
    ranks = (np.argsort(np.argsort(values)) for values in (scores.predictions, scores.truth))
    assert spearman(scores) == pytest.approx(np.corrcoef(*ranks)[0, 1])


def test_answers_that_are_all_the_same_have_no_correlation() -> None:
    one = Outcome(np.eye(2)[[0, 0, 0]], np.array([0, 1, 1]))
    assert (matthews(one), f1(one)) == (0.0, 0.0)
    flat = Scores(np.ones(3), np.arange(3.0))
    assert (pearson(flat), spearman(flat)) == (0.0, 0.0)


def test_measures_are_those_of_the_answers_and_those_that_are_named() -> None:
    classes = Outcome(np.eye(2)[[0, 1]], np.array([0, 1]))
    scores = Scores(np.arange(3.0), np.arange(3.0))
    assert set(measures_of({"test": classes})) == {"accuracy", "macro_f1"}
    assert set(measures_of({"test": classes}, ["matthews"])) == {"accuracy", "macro_f1", "matthews"}
    assert set(measures_of({"test": classes, "attacked": classes}, ["f1"])) == {
        "accuracy", "macro_f1", "attacked_accuracy", "f1",
    }  # fmt: skip
    assert set(measures_of({"test": scores, "attacked": scores})) == {
        "pearson",
        "spearman",
        "attacked_pearson",
    }
