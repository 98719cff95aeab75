"""Some texts between their words and the logits, whatever the model: where attacks on vectors take hold.

Index letters: n texts, B examples, T tokens, D vector size, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from zoo.core.batch import Batch


@dataclass(frozen=True)
class Words:
    """Some texts as word vectors. vectors: (B, T, D), constant. classify: (B, T, D) -> (B, C) logits."""

    batch: Batch
    vectors: Tensor
    classify: Callable[[Tensor], Tensor]
