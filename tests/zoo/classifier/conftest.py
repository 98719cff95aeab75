"""A small classifier."""

from __future__ import annotations

import pytest

from moods import SMALL, moods
from uegr import TextClassifier


@pytest.fixture(scope="session")
def fitted() -> TextClassifier:
    return TextClassifier("textcnn", "uegr", **SMALL).fit(*moods(150))
