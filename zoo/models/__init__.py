"""The four classifiers behind one contract, and the table they are built from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from zoo.core.options import lookup
from zoo.method.contract import TextClassifier, check_contract
from zoo.models.bilstm import BiLSTM
from zoo.models.han import HAN
from zoo.models.textcnn import TextCNN
from zoo.models.texthan import TextHAN

if TYPE_CHECKING:
    from zoo.settings import ModelSettings

MODELS: dict[str, type[TextClassifier]] = {
    "bilstm": BiLSTM,
    "textcnn": TextCNN,
    "texthan": TextHAN,
    "han": HAN,
}

__all__ = ["HAN", "MODELS", "BiLSTM", "TextCNN", "TextClassifier", "TextHAN", "build_model", "check_contract"]


def build_model(
    arch: str,
    vocabulary: int,
    classes: int,
    settings: ModelSettings,
    seed: int,
    vectors: np.ndarray | None = None,
) -> TextClassifier:
    """A freshly initialised model; the weights are a function of (arch, sizes, seed) alone.

    Args:
        arch: a key of MODELS.
        vocabulary: number of words V, id 0 = padding.
        classes: number of classes C.
        settings: sizes.
        seed: of the initial weights; the caller's random state is left as it was.
        vectors: (V, D) float32 initial word vectors, or None for N(0, 0.1^2).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = lookup(MODELS, arch, "arch")(vocabulary, classes, settings)
    if vectors is not None:
        with torch.no_grad():
            model.embedding.weight.copy_(torch.from_numpy(np.ascontiguousarray(vectors)))
    return model
