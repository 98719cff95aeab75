"""What a model must offer to be trained by any recipe: two calls, found by method and never by name.

    embed(tokens)            (B, T) int   -> (B, T, D) word vectors, before any dropout
    classify(vectors, mask)  (B, T, D), (B, T) bool (True = token) -> (B, C) logits

`classify` must accept any number of rows: the K adversarial passes come as one batch of K * B rows.
`TextClassifier` is the base of the zoo's own models, which say more of themselves and are trained faster for
it; what it declares is asked of its subclasses alone, so that no other model's attribute of such a name means
anything.

Index letters: B examples, T tokens, D vector size, U units, C classes, K passes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.core.errors import UserError
from zoo.core.options import one_of
from zoo.core.records import Settings
from zoo.fast.word_gradient import WordGradient
from zoo.method.dropout import AdaptiveDropout


class TextClassifier(nn.Module):
    """Base of the zoo's models: word vectors, the split of `classify`, dropout sites by name.

    classify = head(trunk(vectors, mask)). Where all active dropout sites lie in the head, the K passes share
    one trunk pass; elsewhere they share what lies before the first active site. The results are the same.
    """

    Sizes: ClassVar[type[Settings]]  # the record of the model's sizes
    default_sites: tuple[str, ...] = ("pooled",)  # sites used when a recipe names none
    head_sites: tuple[str, ...] = ("pooled",)  # sites inside `head`; all others lie in `trunk`
    # Whether all layers take a mask of fewer rows than the states, so that a site may repeat the rows. Each
    # class says so for itself: a subclass with layers of its own does not inherit it.
    repeats_rows: bool = False
    line: int = 0  # places of a line where each sentence begins a new one; 0 = running text
    classifier: nn.Module  # the last layer, which `update_scope=encoder` leaves out

    def __init__(self, vocabulary: int, dimensions: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dimensions, padding_idx=0)
        with torch.no_grad():
            self.embedding.weight.mul_(0.1)
        self.word_gradient = WordGradient()
        self.sites = nn.ModuleDict()  # in the order in which a forward pass meets them

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


def dropout_sites(model: nn.Module) -> dict[str, AdaptiveDropout]:
    """Every adaptive-dropout site of a model by its name (a foreign model's by its module path)."""
    if isinstance(model, TextClassifier):
        return {name: site for name, site in model.sites.items() if isinstance(site, AdaptiveDropout)}
    return {name: site for name, site in model.named_modules() if isinstance(site, AdaptiveDropout)}


def active_sites(model: nn.Module, named: Iterable[str]) -> tuple[str, ...]:
    """The sites that a recipe names, else the model's default ones, else all.

    Raises:
        UserError: the model has no site of this name.
    """
    sites = dropout_sites(model)
    for name in named:
        if name not in sites:
            what = f"expected {one_of(name, sites)}" if sites else "the model has no site"
            raise UserError(f"dropout setting sites={name}: {type(model).__name__} has no such site; {what}")
    if named := tuple(named):
        return named
    return model.default_sites if isinstance(model, TextClassifier) else tuple(sites)


def selected_parameters(model: nn.Module, scope: str) -> list[nn.Parameter]:
    """All parameters, all but the classifier's (`body`), or all but those and embedding tables (`encoder`).

    The classifier is the module of that name, and what a model of Hugging Face has around its `base_model`;
    where PEFT has wrapped the model it is that of the model inside, all of which PEFT calls `base_model`.

    Raises:
        UserError: `body` or `encoder`, and the model has neither.
    """
    if scope == "all":
        return list(model.parameters())
    unwrap = getattr(model, "get_base_model", None)
    inner = unwrap() if callable(unwrap) else model
    classifier, base = getattr(inner, "classifier", None), getattr(inner, "base_model", None)
    left_out = set[nn.Parameter]()
    if isinstance(classifier, nn.Module):
        left_out |= set(classifier.parameters())
    if isinstance(base, nn.Module):
        left_out |= set(inner.parameters()) - set(base.parameters())
    if not left_out:
        raise UserError(
            f"this recipe leaves the classifier out (scope {scope}): expected {type(model).__name__} to have "
            "a module `classifier`, its last layer"
        )
    if scope == "encoder":
        left_out |= {p for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    return [p for p in model.parameters() if p not in left_out]


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
