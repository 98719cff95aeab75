"""Families of models that can be trained and kept: what differs between the zoo's own and Hugging Face's.

A family is one file with a class of these five calls, and a line in `zoo.classifier.network.family_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from zoo.core.identity import plain
from zoo.core.result import CorpusInfo
from zoo.text import RawCorpus
from zoo.text.parts import Cuts
from zoo.text.settings import Report
from zoo.training.environment import who
from zoo.training.loop import Progress
from zoo.training.settings import CellSettings
from zoo.training.turns import Turns


@dataclass(frozen=True)
class Order:
    """What is to be trained.

    Args:
        say: takes lines of progress.
        progress: called after every epoch.
        turns: where the state of the training is kept, to go on from; None: nowhere.
    """

    arch: str
    recipe: str  # its name; what it is, the settings say
    seed: int
    settings: CellSettings
    corpus: RawCorpus
    cuts: Cuts
    device: torch.device
    say: Report
    progress: Progress
    turns: Turns | None = None

    def turns_on(self, fingerprint: str) -> Turns | None:
        """Those of a training on prepared rows: what decides its result must be the same for all of them."""
        if self.turns is None:
            return None
        own = [self.arch, self.seed, self.settings.as_json(), fingerprint]
        return replace(self.turns, who={**who(self.device), "training": plain(own)})

    def prepared(self, train: int, validation: int) -> None:
        """Say how many texts there are."""
        self.say(f"{self.arch} with {self.recipe}: {train:,} texts to train on, {validation:,} to validate")


class Reader(Protocol):
    """What turns texts into the ids of a model."""

    kind: ClassVar[str]  # its name in a saved model

    def fingerprint(self) -> str:
        """What changes when texts are cut otherwise, as another version of a library may do."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""


@dataclass(frozen=True)
class Made:
    """What a training leaves: a model with the selected weights, on the CPU, and what there is to say of it.

    labels: names of the classes, in the order of the logits. validation_accuracy: None without such a part.
    """

    arch: str
    seed: int
    settings: CellSettings
    model: nn.Module
    reader: Any  # a Reader; of what kind, its family knows
    corpus: CorpusInfo
    labels: tuple[str, ...]
    validation_accuracy: float | None
    best_epoch: int
    curve: tuple[Mapping[str, Any], ...]
    device: torch.device
    vectors: Mapping[str, Any] = field(default_factory=dict)


class Family(Protocol):
    """The calls that training, prediction and the saved form make; C classes."""

    kind: ClassVar[str]  # that of its readers

    def check(self, arch: str, settings: CellSettings) -> None:
        """Raise `UserError` for what cannot be trained and kept."""

    def train(self, order: Order) -> Made:
        """Train a network.

        Raises:
            CellFailed: the loss is not finite, or memory runs out.
            UserError: rows or settings that cannot be used.
        """

    def logits(
        self, model: Any, reader: Any, texts: Sequence[str], classes: int, device: torch.device
    ) -> Tensor:
        """(n, C) of n texts, in their order."""

    def write(self, model: Any, reader: Any, labels: Sequence[str], folder: Path) -> None:
        """Write the files of a saved model; what `Reader.as_json` gives is kept beside them."""

    def read(
        self, folder: Path, arch: str, settings: Mapping[str, Any], reader: Mapping[str, Any], classes: int
    ) -> tuple[Any, Any]:
        """Model and reader of a saved model.

        Raises:
            UserError: (or what torch and JSON raise) parts that do not fit together.
        """
