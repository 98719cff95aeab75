"""TextCNN: convolutions of several widths, ReLU, maximum over time, linear layer (uegr.md section 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.fast.convolution import max_over_time
from zoo.method.contract import TextClassifier
from zoo.method.dropout import AdaptiveDropout
from zoo.settings import ModelSettings


class TextCNN(TextClassifier):
    """Sites: `embedding` (optional), `pooled` before the classifier."""

    def __init__(self, vocabulary: int, classes: int, settings: ModelSettings) -> None:
        super().__init__(vocabulary, settings.embedding)
        self.widths = settings.widths
        self.convolutions = nn.ModuleList(
            nn.Conv1d(settings.embedding, settings.filters, width) for width in settings.widths
        )
        units = settings.filters * len(settings.widths)
        self.classifier = nn.Linear(units, classes)
        self.sites["embedding"] = AdaptiveDropout(settings.embedding)
        self.sites["pooled"] = AdaptiveDropout(units)

    def trunk(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, filters * widths).

        A window counts where it lies inside the text; a text shorter than the filter has one window,
        filled up with zeros. So the result does not depend on padding.
        """
        vectors = self.sites["embedding"](vectors, mask) * mask[:, :, None]
        missing = max(self.widths) - vectors.shape[1]
        if missing > 0:
            vectors = F.pad(vectors, (0, 0, 0, missing))
        lengths = mask.sum(1)
        pooled = []
        for width, convolution in zip(self.widths, self.convolutions, strict=True):
            weight, bias = convolution.parameters()
            pooled.append(max_over_time(vectors, weight, bias, (lengths - width + 1).clamp_min(1)))
        return torch.cat(pooled, dim=1)

    def head(self, features: Tensor) -> Tensor:
        """(B, filters * widths) -> (B, C)."""
        return self.classifier(self.sites["pooled"](features))
