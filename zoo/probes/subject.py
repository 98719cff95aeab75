"""The network that is measured: one cell of a study, trained anew or taken from kept weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.core.batch import Batch
from zoo.core.errors import UserError
from zoo.method.contract import TextClassifier
from zoo.text import Corpus, Split, batches, load_vectors
from zoo.training.cell import make_model
from zoo.training.run import Run
from zoo.training.settings import CellSettings

Watch = Callable[[int, TextClassifier], None]
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Measured:
    """One cell, of whatever kind of model.

    Args:
        arch: as it was asked for, with the folder of a model that has one.
        weights: file of kept weights in the safetensors format; None: the network is trained.
        cache: folder of prepared texts and word vectors; None: the usual one.
        source: the corpus as it was asked for, a name or a path. data: folder of corpora; None: UEGR_DATA.
    """

    arch: str
    seed: int
    settings: CellSettings
    weights: Path | None = None
    cache: Path | None = None
    source: str = ""
    data: Path | None = None


@dataclass(frozen=True)
class Subject(Measured):
    """A cell of a model of the zoo."""

    corpus: Corpus = field(kw_only=True)

    def initial(self) -> TextClassifier:
        """The model before the first step, with the word vectors of its cell.

        Raises:
            UserError: a cell of several members.
        """
        train = self.settings.train
        if train.members != 1:
            raise UserError(f"a measurement of members={train.members}: expected one network")
        size: int = self.settings.model.embedding  # type: ignore[attr-defined]
        vectors, _ = load_vectors(train.vectors, self.corpus, size, self.seed, cache_dir=self.cache)
        return make_model(self.arch, self.seed, self.settings, self.corpus, vectors)

    def fitted(self, watch: Watch | None = None) -> TextClassifier:
        """The model with its selected weights, in evaluation mode.

        Args:
            watch: called with 0 and the model before training, then after every epoch.

        Raises:
            UserError: the kept weights are of another model; or a training is to be watched, and there are
                weights in its place.
        """
        model = self.initial()
        if self.weights is not None:
            if watch is not None:
                raise UserError("kept weights: this study watches the training; expected none")
            return load_weights(model, self.weights).eval()
        run = Run(model, self.seed, self.settings, self.corpus, torch.device("cpu"))
        if watch is not None:
            watch(0, model.eval())
        run.fit(lambda share, entry: watch(entry["epoch"], model.eval()) if watch and entry else None)
        return model.eval()

    def sample(self, split: Split, rows: int) -> Batch:
        """At most so many texts of a part, the same for every network of the corpus, as one batch."""
        order = np.random.default_rng(0).permutation(len(split))[:rows]
        line = self.initial().line
        (one,) = batches(
            split.take(np.sort(order)), rows, seed=0, epoch=0, shuffle=False, words_per_sentence=line
        )
        return one


def load_weights(model: M, path: Path) -> M:
    """The model with the weights of a file.

    Raises:
        UserError: no such file, or weights of another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UserError(
            f"{path}: no weights of this model ({str(error).splitlines()[0]}); expected those of its cell"
        ) from None
    return model


def loss_of(model: TextClassifier, batch: Batch) -> Tensor:
    """Mean cross-entropy of a batch, a scalar in nats."""
    return F.cross_entropy(model.classify(model.embed(batch.tokens), batch.mask), batch.labels)


def pieces(batch: Batch, rows: int) -> Iterator[Batch]:
    """The batch in parts of at most so many rows."""
    for first in range(0, len(batch.labels), rows):
        own = slice(first, first + rows)
        yield Batch(batch.tokens[own], batch.mask[own], batch.labels[own], batch.index[own])


def gradient(model: nn.Module, loss: Tensor) -> list[Tensor]:
    """The gradient of every parameter in its shape; zeros where the loss does not reach one."""
    parameters = list(model.parameters())
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]
