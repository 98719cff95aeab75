"""TextHAN: bidirectional GRU layers and one additive attention over the tokens.

The lineage's "TextHAN" has a single level, in spite of its name; the two-level
network of Yang et al. 2016 is `zoo.models.han`.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.models.bilstm import BiLSTM, RecurrentSizes
from zoo.models.layers import AdditiveAttention


class TextHAN(BiLSTM):
    """BiLSTM's layers with GRU cells, and attention in place of the last states."""

    recurrent = nn.GRU
    repeats_rows = True

    def __init__(self, vocabulary: int, classes: int, sizes: RecurrentSizes) -> None:
        super().__init__(vocabulary, classes, sizes)
        self.attention = AdditiveAttention(2 * sizes.hidden)

    def trunk(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, 2H), the attention's weighted sum."""
        return self.attention(self.states(vectors, mask), mask)

    def attend(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, T) ids -> (B, T) attention weights, for pictures."""
        return self.attention.weights(self.states(self.embed(tokens), mask), mask)
