"""A study small enough to be run in a second: one corpus of our own, a TextCNN of a few units."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpora import write_films

from zoo.studies.study import Study, Where

SIZES = {"embedding": 8, "filters": 4, "widths": [1, 2], "max_length": 12, "epochs": 1}


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 rows of two classes."""
    return write_films(tmp_path_factory.mktemp("corpora"))


@pytest.fixture
def small(films: Path, tmp_path: Path) -> Callable[..., Study]:
    """A maker of studies of it: axes, changes and places as given."""

    def make(
        axes: dict[str, Any] | None = None, changes: dict[str, Any] | None = None, **places: Any
    ) -> Study:
        where = {
            "out": str(tmp_path / "out"),
            "cache": str(films.parent / "cache"),
            "device": "cpu",
            "jobs": 1,
        }
        return Study.of(
            "demo",
            {"corpora": [str(films)], "archs": ["textcnn"], "recipes": ["dropout"], **(axes or {})},
            changes={**SIZES, **(changes or {})},
            places=Where(**where | places),
        )

    return make
