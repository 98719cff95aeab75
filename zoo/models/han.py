"""HAN: the two-level hierarchical attention network of Yang et al. 2016.

Words -> BiGRU -> attention = sentence vector; sentences -> BiGRU -> attention = text vector -> linear.
The contract stays flat: a text of S sentences comes as T = S * W tokens, each sentence padded to W
(`words_per_sentence`), so the model folds (B, S * W) back into (B * S, W).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.core.records import Settings, setting
from zoo.fast.shapes import fixed_shapes
from zoo.method.contract import TextClassifier
from zoo.method.dropout import AdaptiveDropout
from zoo.models.layers import AdditiveAttention, BiRecurrent


@dataclass(frozen=True)
class HierarchicalSizes(Settings):
    """Sizes of `han`; hidden as in Yang et al. 2016."""

    what: ClassVar[str] = "model setting"

    embedding: int = setting(300, low=1, high=10_000)  # D, size of a word vector
    hidden: int = setting(50, low=1, high=10_000)  # per direction, of words and of sentences
    words_per_sentence: int = setting(30, low=1, high=10_000)  # longer sentences are cut into several


class HAN(TextClassifier):
    """Sites: `embedding` (optional), `sentences` (sentence vectors), `pooled` before the classifier."""

    Sizes = HierarchicalSizes
    repeats_rows = True
    default_sites = ("sentences", "pooled")

    def __init__(self, vocabulary: int, classes: int, sizes: HierarchicalSizes) -> None:
        super().__init__(vocabulary, sizes.embedding)
        self.line = self.words_per_sentence = sizes.words_per_sentence
        width = 2 * sizes.hidden
        self.word_layer = BiRecurrent(nn.GRU, sizes.embedding, sizes.hidden)
        self.word_attention = AdditiveAttention(width)
        self.sentence_layer = BiRecurrent(nn.GRU, width, sizes.hidden)
        self.sentence_attention = AdditiveAttention(width)
        self.classifier = nn.Linear(width, classes)
        self.sites["embedding"] = AdaptiveDropout(sizes.embedding)
        self.sites["sentences"] = AdaptiveDropout(width)
        self.sites["pooled"] = AdaptiveDropout(width)

    def _fold(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B, T) -> (B, S, W, D), (B, S, W); T is filled up to a multiple of W."""
        w = self.words_per_sentence
        missing = -vectors.shape[1] % w
        vectors, mask = F.pad(vectors, (0, 0, 0, missing)), F.pad(mask, (0, missing))
        return vectors.unflatten(1, (-1, w)), mask.unflatten(1, (-1, w))

    def _word_states(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States (S', W, U) and mask (S', W) of the S' sentences that hold a word, row by row.

        In fixed shapes of all B * S: the empty ones have zero states and no weight.
        """
        if fixed_shapes(vectors):
            vectors, words = vectors.flatten(0, 1), mask.flatten(0, 1)
        else:
            filled = mask.any(2)  # empty sentences cost nothing
            vectors, words = vectors[filled], mask[filled]
        return self.word_layer(vectors, words), words

    def _attention(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Word weights (S', W), sentence states (B, S, U) and sentence weights (B, S)."""
        vectors, mask = self._fold(self.sites["embedding"](vectors, mask), mask)
        states, words = self._word_states(vectors, mask)
        word_weights = self.word_attention.weights(states, words)
        filled = mask.any(2)  # (B, S): empty sentences weigh nothing
        sentences = _in_place((word_weights[:, None, :] @ states).squeeze(1), filled)
        sentences = self.sites["sentences"](sentences, filled)
        sentence_states = self.sentence_layer(sentences, filled)
        return word_weights, sentence_states, self.sentence_attention.weights(sentence_states, filled)

    def trunk(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(B, S * W, D) -> (B, U)."""
        _, states, weights = self._attention(vectors, mask)
        return (weights[:, None, :] @ states).squeeze(1)

    def head(self, features: Tensor) -> Tensor:
        """(B, U) -> (B, C)."""
        return self.classifier(self.sites["pooled"](features))

    def attend(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Ids (B, S * W) -> word weights (B, S, W), summing to 1 a sentence, and sentence weights (B, S)."""
        word_weights, _, sentence_weights = self._attention(self.embed(tokens), mask)
        _, folded = self._fold(self.embed(tokens), mask)
        return _in_place(word_weights, folded.any(2)), sentence_weights


def _in_place(rows: Tensor, filled: Tensor) -> Tensor:
    """Rows (S', U) of `HAN._word_states` back in their places (B, S, U); zero at the others."""
    if len(rows) == filled.numel():
        return rows.unflatten(0, filled.shape)
    places = rows.new_zeros(*filled.shape, rows.shape[1])
    places[filled] = rows
    return places
