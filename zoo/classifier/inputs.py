"""What users give an estimator: texts, labels, and complaints that scikit-learn's users expect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from zoo.core.errors import UserError

_MISSING = {"NAType", "NaTType"}  # of pandas, which is not imported for them


class InputError(UserError, ValueError):
    """A mistake in what an estimator is given: one line, and a ValueError as scikit-learn raises it."""


def texts_of(X: Any) -> list[str]:
    """Texts as a list: of a list, a tuple, a one-dimensional array or column, or any iterable of strings.

    Raises:
        InputError: one text alone, a table, no text, or an entry that is no string.
    """
    if isinstance(X, str | bytes) or getattr(X, "ndim", 1) != 1:
        what = "one text" if isinstance(X, str | bytes) else f"an array of shape {getattr(X, 'shape', ())}"
        raise InputError(f"X is {what}; expected a sequence of texts, such as a list of strings or a column")
    if not isinstance(X, Iterable) or isinstance(X, Mapping):
        raise InputError(f"X is {type(X).__name__}; expected a sequence of texts")
    texts = list(X)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"X, text {number}: {type(text).__name__}; expected a string")
    if not texts:
        raise InputError("X has 0 samples (no text); expected at least one")
    return list(map(str, texts))


def labels_of(y: Any) -> np.ndarray:
    """Labels as (n,) strings or numbers. Raises `InputError` or `ValueError` for what are no classes."""
    from sklearn.utils import column_or_1d
    from sklearn.utils.multiclass import check_classification_targets

    if y is None:
        raise InputError("fit requires y to be passed, but the target y is None; expected one label a text")
    for number, label in enumerate(np.asarray(y, dtype=object).ravel()):
        if label is None or type(label).__name__ in _MISSING or label != label:
            raise InputError(f"y, label {number}: {label}; expected a label for each text")
    labels: np.ndarray = column_or_1d(y, warn=True)
    check_classification_targets(labels)
    return labels
