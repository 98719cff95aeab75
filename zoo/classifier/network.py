"""A trained network with all that it needs to read a text: what is left of a training, and can be kept.

Training, prediction and the saved form are the same for all; what differs between kinds of models is their
family's (`zoo.classifier.families`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.classifier.families import Family, Made, Reader
from zoo.classifier.folder import read, write
from zoo.classifier.seen import SEEN, Seen
from zoo.core.errors import UserError
from zoo.core.names import is_pretrained
from zoo.core.options import lookup
from zoo.training.device import arithmetic
from zoo.training.environment import machine, made_by, versions
from zoo.training.run import probabilities_of


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
    """classes: (C,) their names, in the order of the logits. seen: None where that is not known."""

    model: Any  # the family's kind of model, on the CPU
    reader: Reader
    classes: np.ndarray
    about: About
    seen: Seen | None = None

    @classmethod
    def of(
        cls,
        made: Made,
        recipe: str,
        classes: np.ndarray | None = None,
        estimator: Mapping[str, Any] | None = None,
        seen: Seen | None = None,
    ) -> Network:
        """That of a training.

        classes: (C,) their names; None: those of the corpus. seen: of a cell none, as its corpus decides what
        it may be judged by.
        """
        names = np.array(made.labels) if classes is None else classes
        about = About(
            made.arch, recipe, made.seed, made.settings.as_json(), asdict(made.corpus),
            made.validation_accuracy, made.best_epoch, made.curve, dict(made.vectors),
            asdict(machine(made.device)), made_by(), versions(),
            datetime.now(UTC).isoformat(timespec="seconds"), estimator or {},
        )  # fmt: skip
        return cls(made.model, made.reader, names, about, seen)

    def probabilities(self, texts: Sequence[str], device: torch.device | str = "cpu") -> np.ndarray:
        """(n, C) class probabilities of n texts in double precision; rows sum to 1.

        The same texts give the same bits on one machine with one number of threads; in other company the last
        digits of a text can differ, as sums are then taken in another order.
        """
        family = family_of(self.about.arch)
        with arithmetic(bool(self.about.settings["train"].get("tf32"))):
            logits = family.logits(self.model, self.reader, texts, len(self.classes), torch.device(device))
        return probabilities_of(logits)

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
        labels, family = [str(name) for name in self.classes.tolist()], family_of(self.about.arch)

        def put(place: Path) -> None:
            family.write(self.model, self.reader, labels, place)
            if self.seen is not None:
                self.seen.write(place)

        write(folder, values, put)

    @classmethod
    def load(cls, folder: Path) -> tuple[Network, list[str]]:
        """That of a folder, and what its user should know, a sentence each.

        Raises:
            UserError: no such folder, not one of ours, damaged, or of a newer version.
        """
        values = read(folder)
        try:
            # Folders of earlier versions lack it, and what is not named there has not been checked.
            seen = Seen.read(folder) if SEEN in values.pop("files") else None
            classes, own = values.pop("classes"), dict(values.pop("reader"))
            kind, fingerprint = own.pop("kind"), own.pop("fingerprint")
            names = np.array(classes["names"], np.dtype(classes["dtype"]))
            about = About(**values)
            family = family_of(about.arch)
            lookup({family.kind: family}, kind, "kind of reader")
            model, reader = family.read(folder, about.arch, about.settings, own, len(names))
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
        return cls(model, reader, names, about, seen), notes


def family_of(arch: str) -> Family:
    """The family of a model by its name. Heavy imports stand inside: a family that is not used costs none."""
    if is_pretrained(arch):
        from zoo.classifier.pretrained import PretrainedFamily

        return PretrainedFamily()
    from zoo.classifier.own import OwnFamily

    return OwnFamily()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads of torch inside the block; afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
