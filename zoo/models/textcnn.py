"""TextCNN: convolutions of several widths, ReLU, maximum over time, linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.core.errors import UserError
from zoo.core.records import Settings, setting
from zoo.fast.convolution import max_over_time
from zoo.method.contract import TextClassifier
from zoo.method.dropout import AdaptiveDropout


@dataclass(frozen=True)
class ConvolutionSizes(Settings):
    """Sizes of `textcnn`; the defaults are those of the paper's lineage."""

    what: ClassVar[str] = "model setting"

    embedding: int = setting(300, low=1, high=10_000)  # D, size of a word vector
    filters: int = setting(300, low=1, high=10_000)  # per width
    widths: tuple[int, ...] = setting((1, 2, 3, 4, 5), low=1, high=100)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise UserError("model setting widths=(): expected at least one width")


class TextCNN(TextClassifier):
    """Sites: `embedding` (optional), `pooled` before the classifier."""

    Sizes = ConvolutionSizes
    repeats_rows = True

    def __init__(self, vocabulary: int, classes: int, sizes: ConvolutionSizes) -> None:
        super().__init__(vocabulary, sizes.embedding)
        self.widths = sizes.widths
        self.convolutions = nn.ModuleList(
            nn.Conv1d(sizes.embedding, sizes.filters, width) for width in sizes.widths
        )
        units = sizes.filters * len(sizes.widths)
        self.classifier = nn.Linear(units, classes)
        self.sites["embedding"] = AdaptiveDropout(sizes.embedding)
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
