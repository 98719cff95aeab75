"""Adaptive dropout as a module: units with large gradient norms are dropped more often.

    q = drop_rates(n),   m ~ Bernoulli(1 - q) independently,   h' = h * m / (1 - q)

The paper gives no formula; this reading satisfies all that its text says (docs/decisions.md). Alone, in any
training loop, the module keeps an exponential moving average of its units' gradient norms, refreshed by each
backward pass, and takes its rates from it (uniform until the first one). The bi-stage step tells it what to
do in the coming pass instead (`Pass`).

Index letters: K passes, B examples, T positions, U units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from zoo.core.errors import UserError
from zoo.core.options import one_of
from zoo.fast.across import across
from zoo.method.rates import KINDS, drop_rates, gradient_norm, uniform

Masks = torch.Generator | Sequence[torch.Generator] | None  # where they are drawn; of several models, of each


@dataclass(frozen=True)
class Pass:
    """What a site does in the coming forward pass over K * B rows.

    Args:
        rates: (K, U) or (K, B, U) drop probabilities; rows k * B .. k * B + B - 1 belong to pass k. At a
            site of S models (K, U) or (K, S, U).
        repeat: how often the site repeats the rows it gets: K at the first site of K passes that share what
            lies before it, else 1.
        generator: source of the mask; None: torch's own. At a site of several models one of each.
        noise: uniform numbers in the shape of the output in place of new ones: the same mask again.
        keep_noise: leave the numbers in the site's `drawn`, for a later pass with the same mask.
        observe: takes the gradient at the output (K * B, [T,] U), the mask of the positions that count and
            the output, when the backward pass gets there; None: nobody looks.
    """

    rates: Tensor
    repeat: int = 1
    generator: Masks = None
    noise: Tensor | None = None
    keep_noise: bool = False
    observe: Callable[[Tensor, Tensor | None, Tensor], None] | None = None


class AdaptiveDropout(nn.Module):
    """One dropout site for (B, T, U) or (B, U) activations; the identity at evaluation.

    Args:
        units: U.
        rate: mean drop rate, in [0, 1).
        kind: uniform | mean | rank | logistic | inverse (see `drop_rates`).
        gamma, q_min, q_max: of `drop_rates`.
        decay: of the moving average of the statistic, in [0, 1].

    Raises:
        UserError: a value out of its range.
    """

    average: Tensor
    models = 1  # more: it is called under vmap, and drops for so many, (S, U) averages (`zoo.fast.across`)

    def __init__(
        self,
        units: int,
        rate: float = 0.2,
        kind: str = "mean",
        gamma: float = 1.0,
        q_min: float = 0.0,
        q_max: float = 0.95,
        decay: float = 0.9,
    ) -> None:
        super().__init__()
        if units < 1:
            raise UserError(f"units={units}: expected at least 1")
        if kind not in KINDS:
            raise UserError(f"kind={kind!r}: expected {one_of(kind, KINDS)}")
        for name, value in (("rate", rate), ("q_min", q_min), ("q_max", q_max)):
            if not 0 <= value < 1:
                raise UserError(f"{name}={value}: expected a probability in [0, 1)")
        if kind != "uniform" and not q_min <= rate <= q_max:
            raise UserError(f"rate={rate}: expected a rate from q_min={q_min} to q_max={q_max}")
        if not (gamma >= 0 and 0 <= decay <= 1):
            raise UserError(f"gamma={gamma}, decay={decay}: expected gamma at least 0 and decay in [0, 1]")
        self.units, self.rate, self.kind = units, rate, kind
        self.gamma, self.q_min, self.q_max, self.decay = gamma, q_min, q_max, decay
        self.register_buffer("average", torch.zeros(units))  # all zero = nothing seen = uniform rates
        self.managed = False  # whether a step tells this site what to do
        self.coming: Pass | None = None  # None in a managed site: it does nothing
        self.drawn: Tensor | None = None  # the uniform numbers of the last pass that was to keep them

    def forward(self, h: Tensor, mask: Tensor | None = None) -> Tensor:
        """(K * B, [T,] U) -> the same shape, or `repeat` times as many rows (see `Pass`).

        `mask` (K * B, T) or (B, T) marks the positions that count.
        """
        if not self.training:
            return h
        coming = self.coming if self.managed else self._alone(h)
        if coming is None:
            return h
        if self.models > 1:
            return across(self._of_several, h, mask)
        if not h.requires_grad and torch.is_grad_enabled():
            h = h.detach().requires_grad_()  # so that the output has a gradient to observe
        scale = self._scaled_mask(coming, (coming.repeat * len(h), *h.shape[1:]), h)
        out = h * scale if coming.repeat == 1 else (h * scale.view(coming.repeat, *h.shape)).flatten(0, 1)
        return self._observed(out, mask, coming)

    def _of_several(self, h: Tensor, mask: Tensor | None) -> Tensor:
        """`forward` of S models: (S, K * B, [T,] U), mask (S, K * B, T) or (S, B, T)."""
        coming = self.coming
        assert coming is not None
        assert isinstance(coming.generator, Sequence)
        if not h.requires_grad and torch.is_grad_enabled():
            h = h.detach().requires_grad_()
        shape, rates = (coming.repeat * h.shape[1], *h.shape[2:]), coming.rates
        keep = torch.stack([self.noise(shape, h, own) for own in coming.generator])
        rates = rates.expand(len(h), -1, -1) if rates.dim() == 2 else rates.transpose(0, 1)
        scale = scaled_mask(keep, rates.to(keep.dtype), rows=1).to(h.dtype)
        out = (h[:, None] * scale.unflatten(1, (coming.repeat, -1))).flatten(1, 2)
        return self._observed(out, mask, coming)

    def _observed(self, out: Tensor, mask: Tensor | None, coming: Pass) -> Tensor:
        """The output, whose gradient `coming.observe` will see."""
        if coming.observe is not None and out.requires_grad:
            observe, kept = coming.observe, out.detach()
            rows = rows_like if self.models == 1 else torch.vmap(rows_like)
            positions = None if mask is None else rows(mask, out)
            out.register_hook(lambda gradient: observe(gradient, positions, kept))
        return out

    def _alone(self, h: Tensor) -> Pass:
        base = torch.tensor([self.rate], device=h.device)
        rates = drop_rates(self.average, base, self.kind, self.gamma, self.q_min, self.q_max)
        return Pass(rates, observe=None if self.kind == "uniform" else self._refresh)

    def _scaled_mask(self, coming: Pass, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """m / (1 - q) of this shape."""
        assert not isinstance(coming.generator, Sequence)
        if coming.noise is None:
            keep = self.noise(shape, like, coming.generator)
            if coming.keep_noise:
                self.drawn = keep.clone()
        else:
            keep = coming.noise.clone()
        return scaled_mask(keep, coming.rates.to(keep.dtype)).to(like.dtype)

    def noise(self, shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Uniform numbers in [0, 1), the caller's to keep; a unit is dropped where they lie below q."""
        return uniform(shape, like, generator)

    @torch.no_grad()
    def _refresh(self, gradient: Tensor, mask: Tensor | None, _: Tensor) -> None:
        self.blend(gradient_norm(gradient, mask), self.decay)

    @torch.no_grad()
    def blend(self, norm: Tensor, decay: float) -> None:
        """Take the norms (U,) of a batch into the moving average; the first ones as they are."""
        blend = partial(blended, decay=decay)
        form = blend if self.models == 1 else torch.vmap(blend)
        self.average.copy_(form(self.average, norm.to(self.average)))


def blended(average: Tensor, norm: Tensor, decay: float) -> Tensor:
    """The moving average (U,) after the norms (U,); what is all zero has seen nothing."""
    moved = torch.where(average.any(), torch.lerp(norm, average, decay), norm)
    # One exploding batch must not poison the average for good.
    return torch.where(torch.isfinite(norm).all(), moved, average)


def scaled_mask(noise: Tensor, rates: Tensor, rows: int = 0) -> Tensor:
    """m / (1 - q) in place of uniform numbers (K * B, [T,] U), from rates (K, U) or (K, B, U).

    Both may have more axes in front, `rows` of them.
    """
    q = rates.unsqueeze(rows + 1) if rates.dim() == rows + 2 else rates
    if noise.dim() == rows + 3:
        q = q.unsqueeze(rows + 2)
    keep = noise.unflatten(rows, (q.shape[rows], -1))
    keep.ge_(q).mul_(1 / (1 - q))  # in place, 1 or 0 as numbers: ten times the speed of a bool
    return keep.flatten(rows, rows + 1)


def rows_like(mask: Tensor, states: Tensor) -> Tensor:
    """`mask` (B, T) repeated to the rows of `states` (K * B, ...)."""
    return mask if len(mask) == len(states) else mask.repeat(len(states) // max(1, len(mask)), 1)
