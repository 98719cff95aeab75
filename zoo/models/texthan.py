"""TextHAN: bidirectional GRU layers and one additive attention over the tokens.

The lineage's "TextHAN" has a single level, in spite of its name; the two-level
network of Yang et al. 2016 is `zoo.models.han`.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.models.layers import AdditiveAttention
from zoo.models.recurrent import RecurrentClassifier, RecurrentSizes


class TextHAN(RecurrentClassifier):
    """GRU layers, and the attention's weighted sum of the states."""

    repeats_rows = True
    recurrent = nn.GRU

    def __init__(self, vocabulary: int, classes: int, sizes: RecurrentSizes) -> None:
        super().__init__(vocabulary, classes, sizes)
        self.attention = AdditiveAttention(2 * sizes.hidden)

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, T, 2H) -> (B, 2H)."""
        return self.attention(states, mask)

    def attend(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, T) ids -> (B, T) attention weights, for pictures."""
        return self.attention.weights(self.states(self.embed(tokens), mask), mask)
