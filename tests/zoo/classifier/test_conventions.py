"""scikit-learn's own checks. They know rows of numbers alone, so most run on a classifier of such rows, each
written as a text; those that ask nothing of the data run on `TextClassifier` itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils import Tags, estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

from moods import SMALL
from uegr import TextClassifier

UNITS = ((2, "half"), (10, "tenth"))


class OfNumbers(TextClassifier):
    """A row of numbers is a text of words such as `c0p17tenth`: column 0, 1.7."""

    def fit(self, X: Any, y: Any) -> OfNumbers:
        if y is None:
            return super().fit(["text"], y)  # which says that it wants labels
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True)
        return super().fit(written(X), y)

    def predict_proba(self, X: Any) -> np.ndarray:
        estimator_checks.check_is_fitted(self)
        return super().predict_proba(written(validate_data(self, X, reset=False, dtype=np.float64)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array = True, False
        tags.input_tags.string = False
        return tags


def written(X: np.ndarray) -> list[str]:
    """Halves, which rows of a class share, and tenths, which tell rows apart."""
    words = [
        [f"c{i}{'n' if v < 0 else 'p'}{abs(v * n):.0f}{unit}" for i, v in enumerate(row) for n, unit in UNITS]
        for row in X
    ]
    return [" ".join(row) for row in words]


# None is expected to fail: what a check asks of numbers, texts of them give.
@parametrize_with_checks([OfNumbers(**SMALL | {"epochs": 6})])
def test_a_classifier_of_numbers_passes_every_check(estimator: Any, check: Any) -> None:
    check(estimator)


# Checks that give no data; scikit-learn leaves the others out where a row is a string: they make numbers.
WITHOUT_DATA = (
    "do_not_raise_errors_in_init_or_set_params", "estimator_cloneable", "estimator_repr",
    "estimator_tags_renamed", "get_params_invariance", "mixin_order", "no_attributes_set_in_init",
    "parameters_default_constructible", "set_params", "valid_tag_types",
)  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_the_classifier_of_texts_passes_what_asks_for_no_data(name: str) -> None:
    getattr(estimator_checks, f"check_{name}")("TextClassifier", TextClassifier())


def test_the_tags_say_one_string_a_row() -> None:
    tags = TextClassifier().__sklearn_tags__()
    rows = tags.input_tags
    assert (rows.string, rows.one_d_array, rows.two_d_array) == (True, True, False)
    assert tags.estimator_type == "classifier"
    assert tags.target_tags.required
