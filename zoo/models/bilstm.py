"""BiLSTM: stacked bidirectional LSTM, one vector a text from its states, linear layer.

The paper does not say how a text's states become one vector. By default it is the last state of each
direction; `pooling` has the other usual ways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from zoo.core.records import setting
from zoo.models.layers import last_states, max_states, mean_states
from zoo.models.recurrent import RecurrentClassifier, RecurrentSizes

POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "last": last_states,
    "mean": mean_states,
    "max": max_states,
}


@dataclass(frozen=True)
class BiLSTMSizes(RecurrentSizes):
    """What `bilstm` has of its own."""

    pooling: str = setting("last", choices=tuple(POOLINGS))  # of the top layer's states over a text


class BiLSTM(RecurrentClassifier):
    """LSTM layers, and the states pooled as `pooling` says."""

    Sizes = BiLSTMSizes
    repeats_rows = True
    recurrent = nn.LSTM

    def __init__(self, vocabulary: int, classes: int, sizes: BiLSTMSizes) -> None:
        super().__init__(vocabulary, classes, sizes)
        self.pooling = sizes.pooling

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, T, 2H) -> (B, 2H)."""
        return POOLINGS[self.pooling](states, mask)
