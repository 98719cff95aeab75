"""The four classifiers the way research code writes them: torch's own layers on the padded batch.

Same networks, sizes and results as `zoo.models` on texts without padding (tests compare them). With padding
only TextCNN's and the attention's masks know where a text ends; the recurrent layers run through it.

Index letters: B examples, T tokens, D vector size, U units, C classes, S sentences of W words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Drop = Callable[[str, Tensor], Tensor]  # (name of the site, activations) -> the same shape


class Attention(nn.Module):
    """Additive attention over the tokens: (B, T, U), (B, T) -> (B, U)."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.project = nn.Linear(units, units)
        self.context = nn.Parameter(torch.randn(units) * units**-0.5)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """The weighted sum."""
        scores = torch.tanh(self.project(states)) @ self.context
        weights = torch.softmax(scores.masked_fill(~mask, -1e9), dim=1)
        return (weights.unsqueeze(2) * states).sum(1)


class TextCNN(nn.Module):
    """Convolutions, ReLU, maximum over time."""

    def __init__(self, vocabulary: int, classes: int, sizes: Any) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, sizes.embedding, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(sizes.embedding, sizes.filters, w) for w in sizes.widths)
        self.classifier = nn.Linear(sizes.filters * len(sizes.widths), classes)

    def forward(self, tokens: Tensor, mask: Tensor, drop: Drop) -> Tensor:
        """Ids and mask (B, T) -> logits (B, C)."""
        x = drop("embedding", self.embedding(tokens)).transpose(1, 2)
        pooled = [F.relu(conv(x)) for conv in self.convolutions]
        pooled = [F.max_pool1d(p, p.size(2)).squeeze(2) for p in pooled]
        return self.classifier(drop("pooled", torch.cat(pooled, 1)))


class BiLSTM(nn.Module):
    """Bidirectional LSTM layers, last state of each direction."""

    recurrent: type[nn.LSTM] | type[nn.GRU] = nn.LSTM

    def __init__(self, vocabulary: int, classes: int, sizes: Any) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, sizes.embedding, padding_idx=0)
        inputs = [sizes.embedding] + [2 * sizes.hidden] * (sizes.layers - 1)
        self.layers = nn.ModuleList(
            self.recurrent(n, sizes.hidden, batch_first=True, bidirectional=True) for n in inputs
        )
        self.classifier = nn.Linear(2 * sizes.hidden, classes)

    def states(self, tokens: Tensor, drop: Drop) -> Tensor:
        """States of the top layer, (B, T, U)."""
        h = drop("embedding", self.embedding(tokens))
        for i, layer in enumerate(self.layers):
            h, _ = layer(h if i == 0 else drop(f"layer{i}", h))
        return h

    def forward(self, tokens: Tensor, mask: Tensor, drop: Drop) -> Tensor:
        """Ids and mask (B, T) -> logits (B, C)."""
        h = self.states(tokens, drop)
        hidden = h.size(2) // 2
        last = torch.cat([h[:, -1, :hidden], h[:, 0, hidden:]], 1)
        return self.classifier(drop("pooled", last))


class TextHAN(BiLSTM):
    """Bidirectional GRU layers and attention."""

    recurrent = nn.GRU

    def __init__(self, vocabulary: int, classes: int, sizes: Any) -> None:
        super().__init__(vocabulary, classes, sizes)
        self.attention = Attention(2 * sizes.hidden)

    def forward(self, tokens: Tensor, mask: Tensor, drop: Drop) -> Tensor:
        """Ids and mask (B, T) -> logits (B, C)."""
        return self.classifier(drop("pooled", self.attention(self.states(tokens, drop), mask)))


class HAN(nn.Module):
    """GRU and attention over the words, then over the sentences."""

    def __init__(self, vocabulary: int, classes: int, sizes: Any) -> None:
        super().__init__()
        self.words_per_sentence = sizes.words_per_sentence
        self.embedding = nn.Embedding(vocabulary, sizes.embedding, padding_idx=0)
        units, settings = 2 * sizes.hidden, {"batch_first": True, "bidirectional": True}
        self.word_layer = nn.GRU(sizes.embedding, sizes.hidden, **settings)
        self.word_attention = Attention(units)
        self.sentence_layer = nn.GRU(units, sizes.hidden, **settings)
        self.sentence_attention = Attention(units)
        self.classifier = nn.Linear(units, classes)

    def forward(self, tokens: Tensor, mask: Tensor, drop: Drop) -> Tensor:
        """Ids and mask (B, T) -> logits (B, C)."""
        x = drop("embedding", self.embedding(tokens))
        words = x.reshape(-1, self.words_per_sentence, x.size(2))  # all B * S places, empty ones too
        word_mask = mask.reshape(-1, self.words_per_sentence)
        sentences = self.word_attention(self.word_layer(words)[0], word_mask)
        sentences = drop("sentences", sentences.reshape(len(tokens), -1, sentences.size(1)))
        sentence_mask = word_mask.any(1).reshape(len(tokens), -1)
        text = self.sentence_attention(self.sentence_layer(sentences)[0], sentence_mask)
        return self.classifier(drop("pooled", text))


ARCHS: dict[str, type[nn.Module]] = {"textcnn": TextCNN, "bilstm": BiLSTM, "texthan": TextHAN, "han": HAN}
SITES: dict[str, Sequence[str]] = {
    "textcnn": ("pooled",),
    "bilstm": ("layer1", "pooled"),
    "texthan": ("layer1", "pooled"),
    "han": ("sentences", "pooled"),
}
