"""Adversarial perturbation of the embedded input (Eq. 2).

    fgm         delta = epsilon * G / ||G||_2     norm per example, token, batch, or word (`table`)
    fgsm        delta = epsilon * sign(G)
    token_linf  delta_t = epsilon * G_t / (max_d |G_td| + 1e-8)

G = dL_clean / d(vectors), (B, T, D). delta is a constant, zero at padding, and zero where G is zero or not
finite: over the example (fgsm, fgm), the token (token_linf, fgm by token), or everything (fgm by batch or
table). Normalising makes it free of the loss's reduction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo.core.batch import Batch
from zoo.core.errors import UserError
from zoo.core.records import Settings, setting
from zoo.fast.shapes import first_places, fixed_shapes
from zoo.method.rates import embedding_rms, root

ATTACKS = ("fgsm", "fgm", "token_linf")
SCOPES = ("example", "token", "batch", "table")
UNITS = ("norm", "rms", "absolute")
_AXES = {"example": (1, 2), "token": (2,), "batch": (0, 1, 2)}


@dataclass(frozen=True)
class Attack(Settings):
    """How the word vectors are attacked."""

    what: ClassVar[str] = "forward setting"

    attack: str = setting("fgm", choices=ATTACKS, unnamed="fgsm")
    attack_scope: str = setting("example", choices=SCOPES)  # over what fgm takes its norm
    attack_steps: int = setting(1, low=1, high=100)  # > 1 is PGD: steps of 1.5 epsilon / attack_steps
    epsilon: float = setting(0.5, low=0, unnamed=0.1)
    # Of the batch's word vectors, so that one value serves all: their norm, or the RMS of their entries.
    epsilon_unit: str = setting("norm", choices=UNITS, unnamed="rms")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.attack != "fgm" and self.epsilon_unit == "norm":
            raise UserError(
                f"forward setting attack={self.attack}: moves every entry, and epsilon_unit=norm is for a "
                "whole text's shift; expected epsilon_unit=rms and, say, epsilon=0.05"
            )


def attack(
    settings: Attack,
    vectors: Tensor,
    gradient: Tensor,
    batch: Batch,
    gradient_at: Callable[[Tensor], Tensor],
    rms: Tensor | None = None,
) -> Tensor:
    """delta (B, T, D) from the clean gradient; attack_steps > 1 go on climbing (PGD).

    Args:
        vectors: (B, T, D) clean word vectors, for the unit of epsilon.
        gradient_at: the clean loss's gradient at other vectors; called attack_steps - 1 times.
        rms: `embedding_rms` of the vectors, in a shape that goes with them; None: of all of them.
    """
    epsilon = vectors.new_full((), settings.epsilon)
    if settings.epsilon_unit != "absolute":
        epsilon = epsilon * (embedding_rms(vectors, batch.mask) if rms is None else rms)
    if settings.epsilon_unit == "norm":
        epsilon = epsilon * math.sqrt(vectors.shape[2])
    kind = (settings.attack, settings.attack_scope, batch.tokens)
    if settings.attack_steps == 1:
        return perturbation(gradient, batch.mask, epsilon, *kind)
    step = 1.5 / settings.attack_steps * epsilon  # reaches the border with a third to spare
    delta = torch.zeros_like(vectors)
    for i in range(settings.attack_steps):
        if i > 0:
            gradient = gradient_at(vectors + delta)
        moved = delta + perturbation(gradient, batch.mask, step, *kind)
        delta = project(moved, epsilon, *kind, batch.mask)
    return delta


def project(
    delta: Tensor,
    epsilon: Tensor | float,
    attack: str,
    scope: str = "example",
    tokens: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Back into the permitted set: a max norm for the sign forms, for fgm the l2 ball of its scope.

    With scope = table all places of a word share one shift, which counts once in the norm of the table; at
    places that `mask` (B, T) leaves out there is none.
    """
    if attack != "fgm":
        limit = torch.as_tensor(epsilon)
        return torch.maximum(torch.minimum(delta, limit), -limit)
    if scope == "table":
        places = _places_of_each_word(_needed(tokens), mask)
        norm = root((delta.square().sum(2) / places).sum())
    else:
        norm = root(delta.square().sum(_AXES[scope], keepdim=True))
    return delta * torch.where(norm > epsilon, epsilon / norm.clamp_min(1e-30), 1.0)


def perturbation(
    gradient: Tensor,
    mask: Tensor,
    epsilon: Tensor | float,
    attack: str = "fgsm",
    scope: str = "example",
    tokens: Tensor | None = None,
) -> Tensor:
    """delta (B, T, D) from the gradient (B, T, D); `tokens` (B, T) only for scope = table.

    Raises:
        UserError: an unknown attack or scope.
    """
    for given, choices in ((attack, ATTACKS), (scope, SCOPES)):
        if given not in choices:
            raise UserError(f"attack {attack!r}, scope {scope!r}: expected one of {', '.join(choices)}")
    valid = mask.bool()[:, :, None]
    if attack in ("fgm", "fgsm") and not fixed_shapes(gradient):
        masked = gradient * valid.to(gradient.dtype)
        if masked.sum().isfinite():  # so every entry is; the same numbers as below, several times as fast
            if attack == "fgsm":
                return masked.sign_().mul_(epsilon)
            if scope in _AXES and (largest := _largest(masked, _AXES[scope])).all():
                masked.div_(largest)
                return masked.div_(_norm(masked, _AXES[scope])).mul_(epsilon)
    gradient = torch.where(valid, gradient, 0.0)
    if attack == "fgsm":
        usable = torch.isfinite(gradient).all((1, 2), keepdim=True)
        direction = torch.where(usable, gradient, 0.0).sign()
    elif attack == "token_linf":
        largest = gradient.abs().amax(2, keepdim=True)
        direction = torch.where(torch.isfinite(largest), gradient / (largest + 1e-8), 0.0)
    elif scope == "table":
        direction = _table_direction(gradient, tokens)
    else:
        direction = _unit(gradient, _AXES[scope])
    return torch.where(valid, epsilon * direction, 0.0)


def _unit(gradient: Tensor, over: tuple[int, ...]) -> Tensor:
    """gradient / norm over the axes; zero where the norm is zero or not finite."""
    # Dividing by the largest entry first keeps the squares of tiny gradients from underflowing.
    scale = _largest(gradient, over)
    usable = torch.isfinite(scale) & (scale > 0)
    scaled = torch.where(usable, gradient / torch.where(usable, scale, 1.0), 0.0)
    return scaled / torch.where(usable, _norm(scaled, over), 1.0)


def _largest(gradient: Tensor, over: tuple[int, ...]) -> Tensor:
    return torch.linalg.vector_norm(gradient, math.inf, over, keepdim=True)


def _norm(scaled: Tensor, over: tuple[int, ...]) -> Tensor:
    return root(scaled.square().sum(over, keepdim=True))


def _table_direction(gradient: Tensor, tokens: Tensor | None) -> Tensor:
    """All occurrences of a word share the shift of its row; one norm over the whole table (R-AT's code)."""
    index, words = _numbered(_needed(tokens))
    rows = gradient.new_zeros(words, gradient.shape[2])
    rows.index_add_(0, index.flatten(), gradient.flatten(0, 1))
    return _unit(rows, (0, 1))[index]


def _places_of_each_word(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """(B, T), at how many valid places of the batch the word of this place stands; 1 where at none."""
    index, words = _numbered(tokens)
    counts = torch.zeros(words, device=tokens.device)
    ones = counts.new_ones(index.numel()) if mask is None else mask.flatten().to(counts.dtype)
    return counts.index_add_(0, index.flatten(), ones)[index].clamp_min(1)


def _numbered(tokens: Tensor) -> tuple[Tensor, int]:
    """(B, T) the number of each place's word among those of the batch, and an upper bound of the numbers."""
    if fixed_shapes(tokens):
        return first_places(tokens.flatten()).view_as(tokens), tokens.numel()
    found, index = tokens.unique(return_inverse=True)
    return index, len(found)


def _needed(tokens: Tensor | None) -> Tensor:
    if tokens is None:
        raise ValueError("tokens: got None, wanted the (B, T) word ids that scope='table' sums over")
    return tokens
