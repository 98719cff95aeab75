"""Settings of one cell: everything that decides its result, beside the corpus itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from zoo.core.records import Settings, setting
from zoo.method.recipe import Recipe
from zoo.text.vectors import MADE


class CellFailed(Exception):
    """The cell cannot give a result; the grid records the reason and goes on."""


@dataclass(frozen=True)
class TrainSettings(Settings):
    """The optimizer and its schedule; the defaults are those of the paper's lineage."""

    what: ClassVar[str] = "training setting"

    epochs: int = setting(10, low=1, high=10_000)
    batch_size: int = setting(16, low=1, high=100_000)
    learning_rate: float = setting(1e-3, above=0)
    weight_decay: float = setting(0.01, low=0, high=100)  # AdamW; none on biases and other vectors
    beta1: float = setting(0.9, low=0, below=1)
    beta2: float = setting(0.999, low=0, below=1)
    adam_epsilon: float = setting(1e-8, above=0, high=1)
    warmup: float = setting(0.06, low=0, high=1)  # share of the steps, then linear decay to 0
    bucketed: bool = setting(True)  # batches of similar length
    vectors: str = setting("random")  # or "word2vec", "glove", "e5", or a file of vectors
    selection: str = setting(
        "best", choices=("best", "last")
    )  # weights of the best validation epoch, or the last
    patience: int = setting(0, low=0, high=10_000)  # stop when the best epoch is so many old; 0: never
    members: int = setting(1, low=1, high=16)  # networks trained apart that vote
    tf32: bool = setting(False)  # a GPU's fast arithmetic of 10 bits of mantissa in products and layers

    @property
    def vectors_file(self) -> Path | None:
        """The file of word vectors; None where they are made."""
        return None if self.vectors in MADE else Path(self.vectors).expanduser()

    def unread(self) -> Iterable[str]:
        """A file of vectors is named by its content, which is data, not by its path.

        Patience is for the best epoch, and one that the epochs cannot try stops nothing.
        """
        if self.vectors_file is not None:
            yield "vectors"
        if self.selection == "last" or self.patience >= self.epochs - 1:
            yield "patience"


@dataclass(frozen=True)
class CellSettings:
    """Everything resolved that decides a cell's result, beside the corpus itself."""

    recipe: Recipe
    model: Settings  # the sizes of this model
    train: TrainSettings
    text: Settings  # of `zoo.text`

    def parts(self) -> dict[str, Any]:
        """The records."""
        return {"recipe": self.recipe, "model": self.model, "train": self.train, "text": self.text}

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types, every field."""
        return {name: part.as_json() for name, part in self.parts().items()}

    def named(self) -> dict[str, Any]:
        """What enters the cell's name."""
        return {name: part.named() for name, part in self.parts().items()}
