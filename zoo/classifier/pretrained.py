"""Models of Hugging Face as a family to keep: the saved folder is one that transformers itself reads.

`AutoModelForSequenceClassification.from_pretrained(folder)` and `pipeline("text-classification", folder)`
work on it without this package; the classes stand in its `config.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from zoo.classifier.families import Made, Order
from zoo.core.errors import UserError
from zoo.core.names import is_multitask
from zoo.pretrained.answers import logits_of
from zoo.pretrained.cell import Fitted, check_settings, examples_info, make_run
from zoo.pretrained.encoder import Encoder, quiet
from zoo.pretrained.folders import fingerprint, folder_of
from zoo.pretrained.run import PretrainedRun
from zoo.text import Examples, Part
from zoo.text.encode import PROBE
from zoo.text.examples import choose_examples
from zoo.text.loading import refuse_pairs
from zoo.training.device import work_of
from zoo.training.settings import CellSettings


@dataclass(frozen=True)
class Pieces:
    """Texts as the pieces of a model's own tokeniser, at most `max_length` of them."""

    kind: ClassVar[str] = "hf"

    encoder: Encoder
    max_length: int

    def fingerprint(self) -> str:
        """16 hex digits that change when the tokeniser cuts otherwise."""
        ids = self.encoder.tokeniser(list(PROBE))["input_ids"]
        return hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types; the tokeniser has files of its own."""
        return {"max_length": self.max_length}


class PretrainedFamily:
    """See `zoo.classifier.families.Family`."""

    kind: ClassVar[str] = Pieces.kind

    def check(self, arch: str, settings: CellSettings) -> None:
        """See `Family`."""
        check_settings(arch, settings)
        if is_multitask(arch):
            raise UserError(
                f"arch {arch}: trains one model on several corpora; expected hf: and where it is, or "
                "python -m zoo.ablate"
            )
        folder_of(arch)

    def train(self, order: Order) -> Made:
        """See `Family`."""
        refuse_pairs(order.corpus, "python -m zoo.ablate, which compares on them")
        encoder = Encoder(folder_of(order.arch))
        examples = choose_examples(order.corpus, order.settings.text, cuts=order.cuts)  # type: ignore[arg-type]
        order.prepared(len(examples.train), len(examples.validation))
        run = make_run(order.seed, order.settings, encoder, examples, order.device)
        turns = order.turns_on(f"{examples.fingerprint}+{fingerprint(folder_of(order.arch))}")
        try:
            with work_of(order.settings.train):
                run.fit(order.progress, turns.of() if turns else None)
        finally:
            run.close()
        return made_of(run, order.arch, order.settings, examples)

    def logits(
        self, model: nn.Module, reader: Pieces, texts: Sequence[str], classes: int, device: torch.device
    ) -> Tensor:
        """See `Family`."""
        data = reader.encoder.encode(part_of(texts), reader.max_length)
        model.to(device).eval()
        with torch.inference_mode():
            return logits_of(
                data,
                lambda rows: reader.encoder.batch(data, rows, device),
                lambda batch: model(**batch).logits,
            )

    def write(self, model: Any, reader: Pieces, labels: Sequence[str], folder: Path) -> None:
        """See `Family`."""
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {name: i for i, name in enumerate(labels)}
        with quiet():
            model.save_pretrained(folder)
            reader.encoder.tokeniser.save_pretrained(folder)

    def read(
        self, folder: Path, arch: str, settings: Mapping[str, Any], reader: Mapping[str, Any], classes: int
    ) -> tuple[nn.Module, Pieces]:
        """See `Family`."""
        pieces, length = Encoder(folder), reader["max_length"]
        if type(length) is not int or length < 1:
            raise UserError(f"max_length {length!r} is not that of a reader")
        return pieces.trained_model(classes), Pieces(pieces, length)


def part_of(texts: Sequence[str]) -> Part:
    """Texts whose labels are not known."""
    return Part(list(texts), [], np.zeros(len(texts), np.int64))


def made_of(run: PretrainedRun | Fitted, arch: str, settings: CellSettings, examples: Examples) -> Made:
    """What is left of a training whose hooks have been taken out (`run.close()`)."""
    reader = Pieces(run.encoder, settings.text.max_length)  # type: ignore[attr-defined]
    return Made(
        arch, run.seed, settings, run.model.cpu().eval(), reader, examples_info(examples, arch),
        examples.labels, run.best_score if run.validates else None, run.best_epoch, tuple(run.curve),
        run.device,
    )  # fmt: skip
