"""How robust the networks of a study are: the examination of `zoo.robustness`, of either kind of model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from zoo.core.command import paced, status
from zoo.core.errors import UserError
from zoo.pretrained.cell import make_run
from zoo.pretrained.encoder import Encoder as OwnEncoder
from zoo.pretrained.folders import folder_of
from zoo.pretrained.target import PretrainedTarget
from zoo.probes.subject import Measured, Subject, load_weights
from zoo.robustness.examine import examine, gathered
from zoo.robustness.settings import Robust
from zoo.robustness.target import Target, ZooTarget
from zoo.text import Part, load_examples, load_texts
from zoo.text.encode import Encoder
from zoo.text.settings import resolve_cache_dir, resolve_data_dir


class PretrainedSubject(Measured):
    """A cell of a model of Hugging Face."""


@dataclass(frozen=True)
class RobustProbe(Robust):
    """The examination as a probe."""

    def measure(self, subject: Subject | PretrainedSubject) -> dict[str, Any]:
        """See `zoo.robustness.examine`; the parts are those of the cell, so test texts are unseen ones."""
        if isinstance(subject, PretrainedSubject):
            target, parts = _pretrained(subject)
        else:
            target, parts = _zoo(subject)
        data, cache = resolve_data_dir(subject.data), resolve_cache_dir(subject.cache)
        try:
            material = gathered(subject.source, parts, self, data, cache, target)
            return examine(target, material, self, paced(status))
        finally:
            status("")
            target.close()


def _zoo(subject: Subject) -> tuple[Target, Mapping[str, Part]]:
    corpus, text = subject.corpus, subject.settings.text
    rows = load_texts(subject.source, text, subject.data, subject.cache)  # type: ignore[arg-type]
    parts = {name: Part(own.texts, own.pairs, np.array(own.labels)) for name, own in rows.items()}
    reader = Encoder.of(corpus, text)  # type: ignore[arg-type]
    return ZooTarget(subject.fitted(), reader, corpus.labels), parts


def _pretrained(subject: PretrainedSubject) -> tuple[Target, Mapping[str, Part]]:
    settings, text = subject.settings, subject.settings.text
    examples = load_examples(subject.source, text, subject.data, subject.cache)  # type: ignore[arg-type]
    if not examples.labels:
        raise UserError(f"{subject.source}: answers are scores; expected classes")
    encoder = OwnEncoder(folder_of(subject.arch))
    run = make_run(subject.seed, settings, encoder, examples, torch.device("cpu"))
    try:
        if subject.weights is None:
            run.fit(lambda share, entry: status(f"training: {100 * share:.0f} % done"))
    finally:
        run.close()
    if subject.weights is not None:
        load_weights(run.model, subject.weights)
    length = text.max_length  # type: ignore[attr-defined]
    return PretrainedTarget(run.model, encoder, length, examples.labels, examples.language), examples.parts
