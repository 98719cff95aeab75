"""The zoo's own models as a family to keep: a vocabulary and a tokeniser, `weights.safetensors`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.classifier.families import Made, Order
from zoo.classifier.folder import WEIGHTS
from zoo.core.errors import UserError
from zoo.core.options import lookup
from zoo.method.contract import TextClassifier
from zoo.models import MODELS, build_model
from zoo.text import batches, check_vectors, prepare
from zoo.text.encode import Encoder
from zoo.training.cell import Trained, corpus_info, train_networks, write_weights
from zoo.training.ensemble import Ensemble
from zoo.training.run import logits_of
from zoo.training.settings import CellSettings
from zoo.training.steps import EVALUATION_BATCH


class OwnFamily:
    """See `zoo.classifier.families.Family`."""

    kind: ClassVar[str] = Encoder.kind

    def check(self, arch: str, settings: CellSettings) -> None:
        """See `Family`."""
        check_vectors(settings.train.vectors)

    def train(self, order: Order) -> Made:
        """See `Family`."""
        corpus = prepare(order.corpus, order.settings.text, order.say, cuts=order.cuts)  # type: ignore[arg-type]
        order.prepared(len(corpus.train), len(corpus.validation))
        trained = train_networks(
            order.arch, order.seed, order.settings, corpus, order.device, order.progress,
            turns=order.turns_on(corpus.fingerprint),
        )  # fmt: skip
        return made_of(trained)

    def logits(
        self,
        model: TextClassifier | Ensemble,
        reader: Encoder,
        texts: Sequence[str],
        classes: int,
        device: torch.device,
    ) -> Tensor:
        """See `Family`."""
        split = reader.encode(texts)
        parts = batches(
            split, EVALUATION_BATCH, seed=0, epoch=0, shuffle=False, words_per_sentence=model.line,
            device=device,
        )  # fmt: skip
        return logits_of(model.to(device), parts, (len(split), classes), device)

    def write(
        self, model: TextClassifier | Ensemble, reader: Encoder, labels: Sequence[str], folder: Path
    ) -> None:
        """See `Family`."""
        write_weights(model.state_dict(), folder / WEIGHTS)

    def read(
        self, folder: Path, arch: str, settings: Mapping[str, Any], reader: Mapping[str, Any], classes: int
    ) -> tuple[TextClassifier | Ensemble, Encoder]:
        """See `Family`."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        encoder = Encoder.from_json(reader)
        sizes = lookup(MODELS, arch, "arch").Sizes.from_json(settings["model"])
        model = _model(arch, sizes, settings["train"]["members"], encoder.size, classes)
        try:
            model.load_state_dict(load((folder / WEIGHTS).read_bytes()))
        except SafetensorError as error:
            raise UserError(f"{WEIGHTS} are no safetensors: {error}") from None
        return model, encoder


def made_of(trained: Trained) -> Made:
    """What is left of a training, without what only the training needed."""
    corpus, settings, run = trained.corpus, trained.settings, trained.run
    reader = Encoder.of(corpus, settings.text)  # type: ignore[arg-type]
    model = _model(trained.arch, settings.model, settings.train.members, reader.size, len(corpus.labels))
    model.load_state_dict(run.model.state_dict())
    return Made(
        trained.arch, trained.seed, settings, model, reader, corpus_info(corpus), corpus.labels,
        trained.validation_accuracy if len(corpus.validation) else None,
        run.best_epoch, tuple(run.curve), run.device, dict(trained.vectors),
    )  # fmt: skip


def _model(arch: str, sizes: Any, members: int, words: int, classes: int) -> TextClassifier | Ensemble:
    """The model with weights that are still to be read."""
    made = [build_model(arch, words, classes, sizes, seed=0) for _ in range(members)]
    return made[0] if members == 1 else Ensemble(made)
