"""The classifiers behind one contract, and the table they are built from.

A model is one file here and one line of the table. Importing the table imports no model, and no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from zoo.core.options import lookup

if TYPE_CHECKING:
    import numpy as np

    from zoo.core.records import Settings
    from zoo.method.contract import TextClassifier

__all__ = ["ARCHS", "MODELS", "build_model"]

_CLASSES = {
    "bilstm": "zoo.models.bilstm:BiLSTM",
    "textcnn": "zoo.models.textcnn:TextCNN",
    "texthan": "zoo.models.texthan:TextHAN",
    "han": "zoo.models.han:HAN",
}
ARCHS = tuple(_CLASSES)


class _Models(Mapping[str, "type[TextClassifier]"]):
    """name -> class, imported when it is asked for."""

    def __getitem__(self, arch: str) -> type[TextClassifier]:
        module, name = _CLASSES[arch].split(":")
        found: type[TextClassifier] = getattr(import_module(module), name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


MODELS: Mapping[str, type[TextClassifier]] = _Models()


def build_model(
    arch: str,
    vocabulary: int,
    classes: int,
    sizes: Settings,
    seed: int,
    vectors: np.ndarray | None = None,
) -> TextClassifier:
    """A freshly initialised model; the weights are a function of (arch, sizes, seed) alone.

    Args:
        arch: a key of MODELS.
        vocabulary: number of words V, id 0 = padding.
        classes: number of classes C.
        sizes: a record of the class `MODELS[arch].Sizes`.
        seed: of the initial weights; the caller's random state is left as it was.
        vectors: (V, D) float32 initial word vectors, or None for N(0, 0.1^2).
    """
    import numpy as np
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` also seeds what is not put back
        model = lookup(MODELS, arch, "arch")(vocabulary, classes, sizes)
    if vectors is not None:
        with torch.no_grad():
            model.embedding.weight.copy_(torch.from_numpy(np.ascontiguousarray(vectors)))
    found: TextClassifier = model
    return found
