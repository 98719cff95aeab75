"""Selective update (Eq. 7-9): a Bernoulli mask over the gradient that leaves its mean unchanged.

    s = g^2        stilde = rank(s) / (n - 1)        p = sigmoid(2 b (stilde - a))
    m ~ Bernoulli(p),   g <- m g / p                 E[m g / p | g] = g (Theorem 1)

It edits `.grad` between `backward()` and `step()`, in front of any optimizer. Clip gradients before it,
never after: clipping afterwards breaks unbiasedness.

Exact zeros take no part in the ranking: a batch leaves 95 % and more of an embedding table untouched, and
ranking those zeros would push every real gradient to the top, which switches the selection off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.fast.ranks import rank_normalise
from zoo.fast.rows import Rows
from zoo.fast.word_gradient import keeps_zero_rows


@dataclass(frozen=True)
class KeepRule:
    """How saliencies become keep probabilities; the fields are those of `zoo.recipes.Recipe`."""

    threshold: float = 0.6
    sharpness: float = 1.0
    normalise: str = "rank"
    normalise_scope: str = "global"
    p_floor: float = 0.0
    keep: str = "saliency"
    keep_constant: float = 0.5

    def probabilities(self, saliency: Tensor, sizes: list[int]) -> Tensor:
        """p (n,) in (0, 1] from saliencies (n,) of entries grouped by tensor (`sizes` sums to n)."""
        if self.keep == "constant":
            return torch.full_like(saliency, self.keep_constant)
        parts = saliency.split(sizes) if self.normalise_scope == "tensor" else [saliency]
        normalised = torch.cat([NORMALISERS[self.normalise](part) for part in parts])
        p = (normalised - self.threshold).mul_(2 * self.sharpness).sigmoid_()
        # Never 0: sampled and rescaled with the same p, so a steep rule stays unbiased and finite.
        return p.clamp_min_(max(self.p_floor, torch.finfo(p.dtype).tiny))


def minmax_normalise(saliency: Tensor) -> Tensor:
    """(s - min) / (max - min), zeros included; 0.5 where all are equal. Degenerate: docs/decisions.md."""
    if len(saliency) == 0:
        return saliency
    low, width = saliency.min(), saliency.max() - saliency.min()
    return torch.where(width > 0, (saliency - low) / width, 0.5)


def log_minmax_normalise(saliency: Tensor) -> Tensor:
    """Min-max of log s over the non-zero entries; zeros get 0."""
    if len(saliency) == 0:
        return saliency
    active, logs = saliency > 0, saliency.log()
    low = torch.where(active, logs, torch.inf).min()
    width = torch.where(active, logs, -torch.inf).max() - low
    return torch.where(active, torch.where(width > 0, (logs - low) / width, 0.5), 0.0)


NORMALISERS = {"rank": rank_normalise, "minmax": minmax_normalise, "log_minmax": log_minmax_normalise}


class SelectiveUpdate:
    """The selective update in front of an optimizer.

        selective = SelectiveUpdate(model.parameters())
        loss.backward(); selective.apply(); optimizer.step()

    Args:
        parameters: tensors whose gradients are masked, ranked jointly.
        rule: Eq. 8-9.
        saliency: batch (g^2, default), ema, epoch (mean over the last epoch; the batch's own in the
            first one), or per_sample (the caller passes the squares to `apply`).
        decay: of saliency = ema.
        rescale: divide by p; off is RoAST's ablation and biased.
        resample: draw a mask every step, or keep one until `new_epoch()`.
        generator: source of the masks.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        rule: KeepRule | None = None,
        saliency: str = "batch",
        decay: float = 0.9,
        rescale: bool = True,
        resample: str = "step",
        generator: torch.Generator | None = None,
    ) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.rule, self.saliency, self.decay = rule or KeepRule(), saliency, decay
        self.rescale, self.resample, self.generator = rescale, resample, generator
        # These need an entry for every parameter at every step (min-max its zeros): no row shortcut.
        self.dense = saliency in ("ema", "epoch") or resample == "epoch" or self.rule.normalise == "minmax"
        self.running: Tensor | None = None
        self.last_epoch: Tensor | None = None
        self.steps = 0
        self.fixed: tuple[Tensor, Tensor] | None = None

    def uniform(self, like: Tensor) -> Tensor:
        """Uniform numbers in [0, 1); an entry is kept where they lie below p."""
        return torch.rand(like.shape, generator=self.generator, device=like.device, dtype=like.dtype)

    def new_epoch(self) -> None:
        """Tell the options that change once an epoch that one begins."""
        self.fixed = None
        if self.saliency == "epoch" and self.running is not None:
            self.last_epoch, self.running, self.steps = self.running / self.steps, None, 0

    @torch.no_grad()
    def apply(
        self,
        touched: Mapping[Tensor, Rows] | None = None,
        squares: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Mask every `.grad` in place.

        Args:
            touched: rows of a parameter that can be non-zero (the words of the batch in an embedding
                table); all other rows are left alone, which changes nothing but the cost.
            squares: saliencies in the shape of each gradient, for saliency = per_sample.

        Returns:
            `kept_share` (share of the non-zero entries kept) and `mean_keep_probability`, scalars.
        """
        rows = {} if touched is None or self.dense or squares is not None else touched
        active = [(p.grad, rows.get(p)) for p in self.parameters if p.grad is not None]
        pieces = [grad if table is None else table.take(grad) for grad, table in active]
        if not pieces:
            zero = torch.zeros(())
            return {"kept_share": zero, "mean_keep_probability": zero}
        sizes = [piece.numel() for piece in pieces]
        gradient = torch.cat([piece.flatten() for piece in pieces])
        keep, p = self._draw(gradient, sizes, squares)
        # m / p first: finite whatever p, so a product, ten times as fast as torch.where, gives no 0 * inf.
        masked = gradient * (keep / p if self.rescale else keep)
        for (grad, table), piece, new in zip(active, pieces, masked.split(sizes), strict=True):
            with keeps_zero_rows(grad):
                if table is None:
                    grad.copy_(new.view_as(piece))
                else:
                    table.put(grad, new.view_as(piece))
        real = gradient.sign().abs_()  # 1 where not zero; unlike `!=` these are vectorised
        count = real.sum().clamp_min(1)
        return {
            "kept_share": masked.sign().abs_().sum() / count,
            "mean_keep_probability": torch.dot(p, real) / count,
        }

    def draw(
        self, gradient: Tensor, sizes: list[int], squares: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mask (bool) and keep probabilities (n,) of a flat gradient (n,) of tensors of `sizes`."""
        keep, p = self._draw(gradient, sizes, squares)
        return keep.bool(), p

    def _draw(
        self, gradient: Tensor, sizes: list[int], squares: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The same with a mask of 0 and 1 in the type of p, which later products take faster than a bool."""
        if self.fixed is not None:
            self._saliency(gradient, squares)  # keeps running sums up to date
            return self.fixed
        p = self.rule.probabilities(self._saliency(gradient, squares), sizes)
        keep = self.uniform(p).lt_(p)
        if self.resample == "epoch":
            self.fixed = keep, p
        return keep, p

    def _saliency(self, gradient: Tensor, squares: list[Tensor] | None) -> Tensor:
        if squares is not None:
            return torch.cat([s.flatten() for s in squares])
        if self.saliency == "batch" and self.rule.normalise == "rank":
            return gradient.abs()  # ranks as g^2 does, and does not underflow
        s = gradient.square()
        if self.saliency == "ema":
            # In place, so that a recorded step (zoo.training.graphs) finds it again.
            self.running = s if self.running is None else self.running.copy_(s.lerp(self.running, self.decay))
            return self.running
        if self.saliency == "epoch":
            self.running = s if self.running is None else self.running + s
            self.steps += 1
            return s if self.last_epoch is None else self.last_epoch
        return s
