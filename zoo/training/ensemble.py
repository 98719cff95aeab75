"""Networks that vote: the mean of their probabilities, behind the two calls of one model.

The control of equal compute: a method that costs two steps is held against two networks of a plain one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.method.contract import TextClassifier


class Ensemble(nn.Module):
    """Members of one architecture; what they see of a text are their own word vectors, side by side.

    An attack on these vectors is one on all members at once, against the loss of their common answer.
    Index letters: M members, B examples, T tokens, D vector size, C classes.
    """

    def __init__(self, members: Sequence[TextClassifier]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.line = members[0].line

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, T) ids -> (B, T, M D)."""
        return torch.cat([member.embed(tokens) for member in self._each()], -1)

    def classify(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(B, T, M D), (B, T) -> (B, C): the logarithm of the members' mean probability."""
        logs = [
            member.classify(own, mask).log_softmax(-1)
            for member, own in zip(self._each(), vectors.chunk(len(self.members), -1), strict=True)
        ]
        return torch.stack(logs).logsumexp(0) - math.log(len(logs))

    def _each(self) -> list[TextClassifier]:
        return list(self.members)  # type: ignore[arg-type]
