"""What BiLSTM and TextHAN share: recurrent layers, dropout between them, a linear layer at the end."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from zoo.core.records import Settings, setting
from zoo.method.contract import TextClassifier
from zoo.method.dropout import AdaptiveDropout
from zoo.models.layers import BiRecurrent


@dataclass(frozen=True)
class RecurrentSizes(Settings):
    """Sizes of `bilstm` and `texthan`; the defaults are those of the paper's lineage."""

    what: ClassVar[str] = "model setting"

    embedding: int = setting(300, low=1, high=10_000)  # D, size of a word vector
    hidden: int = setting(300, low=1, high=10_000)  # per direction
    layers: int = setting(2, low=1, high=20)


class RecurrentClassifier(TextClassifier):
    """Sites: `embedding` (optional), `layer1` .. between the layers, `pooled` before the classifier.

    A model says the kind of its layers, in `pool` how the states of a text become one vector, and itself
    whether that takes a mask of fewer rows (`repeats_rows`).
    """

    Sizes = RecurrentSizes
    recurrent: type[nn.LSTM] | type[nn.GRU]

    def __init__(self, vocabulary: int, classes: int, sizes: RecurrentSizes) -> None:
        super().__init__(vocabulary, sizes.embedding)
        width = 2 * sizes.hidden
        self.layers = nn.ModuleList(
            BiRecurrent(self.recurrent, sizes.embedding if i == 0 else width, sizes.hidden)
            for i in range(sizes.layers)
        )
        self.classifier = nn.Linear(width, classes)
        self.sites["embedding"] = AdaptiveDropout(sizes.embedding)
        for i in range(1, sizes.layers):
            self.sites[f"layer{i}"] = AdaptiveDropout(width)
        self.sites["pooled"] = AdaptiveDropout(width)
        self.default_sites = tuple(name for name in self.sites if name != "embedding")

    def states(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, 2H), the top layer's states; zero at padding."""
        states = self.sites["embedding"](vectors, mask)
        for i, layer in enumerate(self.layers):
            if i > 0:
                states = self.sites[f"layer{i}"](states, mask)
            states = layer(states, mask)
        return states

    @abstractmethod
    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, T, 2H) -> (B, 2H), one vector of each text."""

    def trunk(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, 2H)."""
        return self.pool(self.states(vectors, mask), mask)

    def head(self, features: Tensor) -> Tensor:
        """(B, 2H) -> (B, C)."""
        return self.classifier(self.sites["pooled"](features))
