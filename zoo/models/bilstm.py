"""BiLSTM: stacked bidirectional LSTM, last state of each direction, linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from zoo.core.records import Settings, setting
from zoo.method.contract import TextClassifier
from zoo.method.dropout import AdaptiveDropout
from zoo.models.layers import BiRecurrent, last_states


@dataclass(frozen=True)
class RecurrentSizes(Settings):
    """Sizes of `bilstm` and `texthan`; the defaults are those of the paper's lineage."""

    what: ClassVar[str] = "model setting"

    embedding: int = setting(300, low=1, high=10_000)  # D, size of a word vector
    hidden: int = setting(300, low=1, high=10_000)  # per direction
    layers: int = setting(2, low=1, high=20)


class BiLSTM(TextClassifier):
    """Sites: `embedding` (optional), `layer1` .. between the layers, `pooled` before the classifier."""

    Sizes = RecurrentSizes
    repeats_rows = True
    recurrent: type[nn.LSTM] | type[nn.GRU] = nn.LSTM

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

    def trunk(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, 2H)."""
        return last_states(self.states(vectors, mask), mask)

    def head(self, features: Tensor) -> Tensor:
        """(B, 2H) -> (B, C)."""
        return self.classifier(self.sites["pooled"](features))
