"""How far a network drifts from where it began: linear CKA of its layers, epoch by epoch (Fig. 2a).

    CKA(X, Y) = ||Y'X||_F^2 / (||X'X||_F ||Y'Y||_F)

X and Y (n, features) of the same n texts, columns centred; 1 = the same features up to rotation and scale.
The paper takes the pre-trained model for X; ours begin with random weights, so this is the drift from those.
Layers: the mean word vector, the mean state of each recurrent layer, the pooled features. The texts are of
the training part, dropout off.

Index letters: B texts, T tokens, U features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.core.batch import Batch
from zoo.core.records import Settings, setting
from zoo.method.contract import TextClassifier
from zoo.probes.subject import Subject


@dataclass(frozen=True)
class Drift(Settings):
    """How it is measured."""

    what: ClassVar[str] = "measurement setting"

    rows: int = setting(512, low=2)  # texts

    def measure(self, subject: Subject) -> dict[str, Any]:
        """`cka`: layer -> CKA to the first weights before training and after each epoch."""
        batch = subject.sample(subject.corpus.train, self.rows)
        first: dict[str, Tensor] = {}
        curves: dict[str, list[float]] = {}

        def watch(epoch: int, model: TextClassifier) -> None:
            found = features(model, batch)
            first.update({} if first else found)
            for layer, states in found.items():
                curves.setdefault(layer, []).append(linear_cka(first[layer], states))

        subject.fitted(watch)
        return {"rows": len(batch.labels), "cka": curves}


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Of (n, U) and (n, V) features of the same texts; nan where one is the same for all texts."""
    x, y = (z.double() - z.double().mean(0) for z in (x, y))
    cross = torch.linalg.matrix_norm(y.T @ x).square()
    return float(cross / (torch.linalg.matrix_norm(x.T @ x) * torch.linalg.matrix_norm(y.T @ y)))


@torch.no_grad()
def features(model: TextClassifier, batch: Batch) -> dict[str, Tensor]:
    """(B, U) features of every layer, in the order of the forward pass."""
    found: dict[str, Tensor] = {}
    handles = []
    layers = getattr(model, "layers", None)
    for number, layer in enumerate(layers if isinstance(layers, nn.ModuleList) else (), 1):
        handles.append(
            layer.register_forward_hook(
                lambda module, inputs, states, name=f"layer {number}": found.update(
                    {name: mean_over_words(states, batch.mask)}
                )
            )
        )
    try:
        vectors = model.embed(batch.tokens)
        found["words"] = mean_over_words(vectors, batch.mask)
        found["pooled"] = model.trunk(vectors, batch.mask).clone()
    finally:
        for handle in handles:
            handle.remove()
    return found


def mean_over_words(states: Tensor, mask: Tensor) -> Tensor:
    """(B, T, U), (B, T) -> (B, U)."""
    valid = mask[:, :, None].to(states)
    return (states * valid).sum(1) / valid.sum(1).clamp_min(1)
