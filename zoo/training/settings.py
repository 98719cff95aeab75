"""Names and settings of one cell: everything that decides its result, beside the corpus itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from zoo.recipes import Recipe
from zoo.settings import ModelSettings, TrainSettings, as_dict
from zoo.text import TextSettings


class CellFailed(Exception):
    """The cell cannot give a result; the grid records the reason and goes on."""


@dataclass(frozen=True)
class Cell:
    """Names of one training run."""

    corpus: str
    arch: str
    recipe: str
    seed: int
    fold: int | None = None  # under cross-validation only

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class CellSettings:
    """Everything resolved that decides a cell's result, beside the corpus itself."""

    recipe: Recipe
    model: ModelSettings
    train: TrainSettings
    text: TextSettings

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; hashed into the cell's name."""
        return {part: as_dict(getattr(self, part)) for part in ("recipe", "model", "train", "text")}
