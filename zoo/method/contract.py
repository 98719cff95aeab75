"""What a model must offer to be trained by any recipe: two calls, found by method and never by name.

    embed(tokens)            (B, T) int   -> (B, T, D) word vectors, before any dropout
    classify(vectors, mask)  (B, T, D), (B, T) bool (True = token) -> (B, C) logits

`classify` must accept any number of rows: the K adversarial passes come as one batch of K * B rows.
A model may split `classify` into `trunk` and `head`, with classify = head(trunk(vectors, mask)). Where all
active dropout sites lie in the head, the K passes then share one trunk pass; the result is the same.

Index letters: B examples, T tokens, D vector size, U units, C classes, K passes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.core.errors import UserError
from zoo.fast.word_gradient import WordGradient
from zoo.method.dropout import AdaptiveDropout


class TextClassifier(nn.Module):
    """Base of the zoo's models: word vectors, the split of `classify`, dropout sites by name."""

    default_sites: tuple[str, ...] = ("pooled",)  # sites used when a recipe names none
    head_sites: tuple[str, ...] = ("pooled",)  # sites inside `head`; all others lie in `trunk`

    def __init__(self, vocabulary: int, dimensions: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dimensions, padding_idx=0)
        with torch.no_grad():
            self.embedding.weight.mul_(0.1)
        self.word_gradient = WordGradient()
        self.sites = nn.ModuleDict()

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, T) ids -> (B, T, D); zero vectors at padding (id 0)."""
        return self.embedding(tokens)

    def trunk(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) vectors and (B, T) mask -> (B, U) pooled features."""
        raise NotImplementedError

    def head(self, features: Tensor) -> Tensor:
        """(B, U) pooled features -> (B, C) logits."""
        raise NotImplementedError

    def classify(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) vectors and (B, T) mask -> (B, C) logits."""
        return self.head(self.trunk(vectors, mask))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, T) ids and mask -> (B, C) logits."""
        return self.classify(self.embed(tokens), mask)


def check_contract(model: nn.Module) -> None:
    """Refuse a model without the two calls, saying what to add."""
    for call, signature in (("embed", "embed(tokens)"), ("classify", "classify(vectors, mask)")):
        if not callable(getattr(model, call, None)):
            raise UserError(
                f"{type(model).__name__} cannot be trained by a recipe: add a method {signature} "
                "(embed: ids to word vectors; classify: word vectors and mask to logits)"
            )


def embed_backward(model: nn.Module, tokens: Tensor, vectors: Tensor, gradient: Tensor) -> None:
    """`vectors.backward(gradient)` for vectors = model.embed(tokens).

    A plain lookup in the zoo's own table takes the kept buffer; anything else goes through autograd.
    """
    if isinstance(model, TextClassifier) and type(model).embed is TextClassifier.embed:
        table, weight = model.embedding, model.embedding.weight
        plain = table.max_norm is None and not table.scale_grad_by_freq and not table.sparse
        plain = plain and type(table) is nn.Embedding and weight.is_leaf and not weight._backward_hooks
        if plain:
            model.word_gradient.add(table, tokens, gradient)
            return
    vectors.backward(gradient)


def repeats_late(model: nn.Module, active: tuple[str, ...]) -> bool:
    """Whether the first active site may turn B rows into K * B, so that K passes share what is before it.

    The zoo's own models can: their layers take a mask of fewer rows than the states. `embedding` is not
    among the sites, as nothing lies before it.
    """
    from zoo.models import MODELS

    return type(model) in MODELS.values() and "embedding" not in active


def dropout_sites(model: nn.Module) -> dict[str, AdaptiveDropout]:
    """Every adaptive-dropout site of a model by its name (a foreign model's by its module path)."""
    own = getattr(model, "sites", None)
    if isinstance(own, nn.ModuleDict):
        return {name: site for name, site in own.items() if isinstance(site, AdaptiveDropout)}
    return {name: site for name, site in model.named_modules() if isinstance(site, AdaptiveDropout)}
