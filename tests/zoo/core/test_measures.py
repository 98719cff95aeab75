"""Measures are what scikit-learn computes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from zoo.core.measures import MEASURES, Outcome, accuracy, macro_f1, measure


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
