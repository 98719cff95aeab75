"""BiLSTM: stacked bidirectional LSTM, last state of each direction, linear layer (uegr.md section 7)."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.method.contract import TextClassifier
from zoo.method.dropout import AdaptiveDropout
from zoo.models.layers import BiRecurrent, last_states
from zoo.settings import ModelSettings


class BiLSTM(TextClassifier):
    """Sites: `embedding` (optional), `layer1` .. between the layers, `pooled` before the classifier."""

    recurrent: type[nn.LSTM] | type[nn.GRU] = nn.LSTM

    def __init__(self, vocabulary: int, classes: int, settings: ModelSettings) -> None:
        super().__init__(vocabulary, settings.embedding)
        width = 2 * settings.hidden
        self.layers = nn.ModuleList(
            BiRecurrent(self.recurrent, settings.embedding if i == 0 else width, settings.hidden)
            for i in range(settings.layers)
        )
        self.classifier = nn.Linear(width, classes)
        self.sites["embedding"] = AdaptiveDropout(settings.embedding)
        for i in range(1, settings.layers):
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
