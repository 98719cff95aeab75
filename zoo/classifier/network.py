"""A trained network with all that it needs to read a text: what is left of a training, and can be kept.

A family of models takes part by two things: `zoo.training.cell.make_model` builds it, and a `Reader` turns
texts into its ids. Training, prediction and the saved form are the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch

from zoo.classifier.folder import Files, read, write
from zoo.core.errors import UserError
from zoo.core.options import lookup
from zoo.method.contract import TextClassifier
from zoo.models import MODELS, build_model
from zoo.text import Split, batches
from zoo.text.encode import Encoder
from zoo.training.cell import Trained, corpus_info
from zoo.training.ensemble import Ensemble
from zoo.training.environment import machine, made_by, versions
from zoo.training.run import logits_of, probabilities_of
from zoo.training.steps import EVALUATION_BATCH

HUGGING_FACE = "hf:"


class Reader(Protocol):
    """What turns texts into the ids of a family of models; `zoo.text.encode.Encoder` is that of the zoo's."""

    kind: ClassVar[str]  # its name in a saved model

    @property
    def size(self) -> int:
        """Number of ids, 0 = padding among them."""

    def encode(self, texts: Sequence[str]) -> Split:
        """The ids of texts, in their order; labels are 0."""

    def fingerprint(self) -> str:
        """What changes when texts are cut otherwise, as another version of a library may do."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """That of `as_json`. Raises `UserError` for values that are none."""


READERS: dict[str, type[Reader]] = {Encoder.kind: Encoder}


@dataclass(frozen=True)
class About:
    """Where a network comes from, as plain JSON types.

    `estimator` has the arguments of a `TextClassifier`, where one made it; a cell of a comparison leaves it
    empty. `data` says what it was trained on, the fingerprint of the prepared texts among it.
    """

    arch: str
    recipe: str
    seed: int
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    validation_accuracy: float | None = None
    best_epoch: int = 0
    curve: Sequence[Mapping[str, Any]] = ()
    vectors: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    made_by: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    date: str = ""
    estimator: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """classes: (C,) their names, in the order of the logits."""

    model: TextClassifier | Ensemble
    reader: Reader
    classes: np.ndarray
    about: About

    @classmethod
    def of(
        cls,
        trained: Trained,
        recipe: str,
        classes: np.ndarray | None = None,
        estimator: Mapping[str, Any] | None = None,
    ) -> Network:
        """What a training leaves, without what only the training needed; on the CPU.

        classes: (C,) their names; None: those of the corpus.
        """
        corpus, settings = trained.corpus, trained.settings
        reader = Encoder.of(corpus, settings.text)  # type: ignore[arg-type]
        names = np.array(corpus.labels) if classes is None else classes
        accuracy = trained.validation_accuracy if len(corpus.validation) else None
        about = About(
            trained.arch, recipe, trained.seed, settings.as_json(), asdict(corpus_info(corpus)), accuracy,
            trained.run.best_epoch, tuple(trained.run.curve), dict(trained.vectors),
            asdict(machine(trained.run.device)), made_by(), versions(),
            datetime.now(UTC).isoformat(timespec="seconds"), estimator or {},
        )  # fmt: skip
        model = _model(about, reader, len(names))
        model.load_state_dict(trained.run.model.state_dict())
        return cls(model, reader, names, about)

    def probabilities(self, texts: Sequence[str], device: torch.device | str = "cpu") -> np.ndarray:
        """(n, C) class probabilities of n texts in double precision; rows sum to 1.

        The same texts give the same bits on one machine with one number of threads; in other company the last
        digits of a text can differ, as sums are then taken in another order.
        """
        device = torch.device(device)
        split = self.reader.encode(texts)
        parts = batches(
            split, EVALUATION_BATCH, seed=0, epoch=0, shuffle=False, words_per_sentence=self.model.line,
            device=device,
        )  # fmt: skip
        return probabilities_of(
            logits_of(self.model.to(device), parts, (len(split), len(self.classes)), device)
        )

    def save(self, folder: Path) -> None:
        """Write the folder as a whole, in place of an older model that it holds.

        Raises:
            UserError: it holds something else, or cannot be written.
        """
        values = {
            **asdict(self.about),
            "classes": {"dtype": self.classes.dtype.str, "names": self.classes.tolist()},
            "reader": {"kind": self.reader.kind, "fingerprint": self.reader.fingerprint()},
        }
        values["reader"] |= self.reader.as_json()
        write(folder, Files(values, self.model.state_dict()))

    @classmethod
    def load(cls, folder: Path) -> tuple[Network, list[str]]:
        """That of a folder, and what its user should know, a sentence each.

        Raises:
            UserError: no such folder, not one of ours, damaged, or of a newer version.
        """
        files = read(folder)
        values = dict(files.values)
        try:
            classes, own = values.pop("classes"), dict(values.pop("reader"))
            kind, fingerprint = own.pop("kind"), own.pop("fingerprint")
            names = np.array(classes["names"], np.dtype(classes["dtype"]))
            reader = lookup(READERS, kind, "kind of reader").from_json(own)
            about = About(**values)
            model = _model(about, reader, len(names))
            model.load_state_dict(files.weights)
        except (UserError, KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{folder}: its parts do not fit together ({reason}); expected a whole model"
            ) from None
        notes = []
        if reader.fingerprint() != fingerprint:
            notes.append(
                f"{folder}: the tokeniser here cuts texts otherwise than the one that it was trained with, "
                "so that predictions may be worse; expected the versions that model.json names"
            )
        return cls(model, reader, names, about), notes


def check_arch(arch: str) -> None:
    """Raise `UserError` for an arch that cannot be trained and kept."""
    if arch.startswith(HUGGING_FACE):
        raise UserError(
            f"arch {arch!r}: a Hugging Face model cannot be kept yet; expected one of {', '.join(MODELS)} "
            "(to train one of theirs in your own loop: uegr.attach)"
        )
    lookup(MODELS, arch, "arch")


def _model(about: About, reader: Reader, classes: int) -> TextClassifier | Ensemble:
    """The model with weights that are still to be read."""
    sizes = lookup(MODELS, about.arch, "arch").Sizes.from_json(about.settings["model"])
    members = about.settings["train"]["members"]
    made = [build_model(about.arch, reader.size, classes, sizes, seed=0) for _ in range(members)]
    return made[0] if members == 1 else Ensemble(made)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads of torch inside the block; afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
