"""Adaptive dropout as a module: units with large gradient norms are dropped more often.

    q = drop_rates(n),   m ~ Bernoulli(1 - q) independently,   h' = h * m / (1 - q)

The paper gives no formula; this is the definition of uegr.md section 2. Alone, in any training loop, the
module keeps an exponential moving average of its units' gradient norms, refreshed by each backward pass,
and takes its rates from it (uniform until the first one). The bi-stage step plans the rates instead.

Index letters: K passes, B examples, T positions, U units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from zoo.method.rates import drop_rates, gradient_norm
from zoo.recipes import Recipe


class AdaptiveDropout(nn.Module):
    """One dropout site for (B, T, U) or (B, U) activations.

    Args:
        units: U.
        rate: mean drop rate.
        kind: none | uniform | mean | rank | logistic | inverse (see `drop_rates`).
        gamma, q_min, q_max: of `drop_rates`.
        decay: of the moving average of the statistic.
        statistic: gradient (the norm of G) or attribution (the norm of h' * G).
        by_example: keep one statistic an example and unit; only a planned pass of the same step uses it.

    At evaluation the layer is the identity.
    """

    average: Tensor

    def __init__(
        self,
        units: int,
        rate: float = 0.2,
        kind: str = "mean",
        gamma: float = 1.0,
        q_min: float = 0.0,
        q_max: float = 0.95,
        decay: float = 0.9,
        statistic: str = "gradient",
        by_example: bool = False,
    ) -> None:
        super().__init__()
        self.units, self.rate, self.kind = units, rate, kind
        self.gamma, self.q_min, self.q_max, self.decay = gamma, q_min, q_max, decay
        self.statistic, self.by_example = statistic, by_example
        self.register_buffer("average", torch.zeros(units))  # all zero = nothing seen = uniform rates
        self.latest: Tensor | None = None  # statistic of the last backward pass, (U,) or (B, U)
        self.before: Tensor | None = None  # and of the one before
        self.plan: Tensor | None = None  # rates (K, U) or (K, B, U) for the next forward passes
        self.watch = True  # whether backward passes refresh the statistic
        self.generator: torch.Generator | None = None
        self.hold = False  # keep drawing the same mask
        self.held: Tensor | None = None
        self.repeat: list[int] = []  # shared by all sites: how often the first one repeats the rows

    def noise(self, shape: torch.Size, like: Tensor) -> Tensor:
        """Uniform numbers in [0, 1), the caller's to keep; a unit is dropped where they lie below q."""
        if self.held is None or not self.hold:
            drawn = torch.rand(shape, generator=self.generator, device=like.device, dtype=like.dtype)
            if not self.hold:
                return drawn
            self.held = drawn
        return self.held.clone()

    def rates(self, base_rates: Tensor, norms: Tensor) -> Tensor:
        """Drop probabilities (K, ..., U) of this site from a statistic (..., U)."""
        return drop_rates(norms, base_rates, self.kind, self.gamma, self.q_min, self.q_max)

    def forward(self, h: Tensor, mask: Tensor | None = None) -> Tensor:
        """(K * B, [T,] U) -> the same shape; `mask` (K * B, T) or (B, T) marks the positions that count.

        The first site after `DropoutSites.repeat_rows` takes (B, [T,] U), the same for all K passes.
        """
        if not self.training or self.kind == "none":
            return h
        q = self.plan
        if q is None:
            q = self.rates(torch.tensor([self.rate], device=h.device), self.average)
        if not h.requires_grad and torch.is_grad_enabled():
            h = h.detach().requires_grad_()  # so that the output has a gradient to observe
        passes = self.repeat.pop() if self.repeat else 1
        scale = self._scaled_mask((passes * len(h), *h.shape[1:]), h, q.to(h.dtype))
        out = h * scale if passes == 1 else (h * scale.view(passes, *h.shape)).flatten(0, 1)
        mask = None if mask is None else rows_like(mask, out)
        if self.watch and self.kind != "uniform" and out.requires_grad:
            kept = out.detach() if self.statistic == "attribution" else None
            out.register_hook(lambda gradient: self._observe(gradient, mask, kept))
        return out

    def _scaled_mask(self, shape: tuple[int, ...], like: Tensor, q: Tensor) -> Tensor:
        """m / (1 - q) of this shape: rows k * B .. k * B + B - 1 belong to pass k."""
        if q.dim() == 2:
            q = q[:, None]
        if len(shape) == 3:
            q = q[:, :, None]
        keep = self.noise(torch.Size(shape), like).unflatten(0, (len(q), -1))
        keep.ge_(q).mul_(1 / (1 - q))  # in place, 1 or 0 as numbers: ten times the speed of a bool
        return keep.flatten(0, 1)

    @torch.no_grad()
    def _observe(self, gradient: Tensor, mask: Tensor | None, kept: Tensor | None) -> None:
        if kept is not None:
            gradient = gradient * kept
        self.before = self.latest
        self.latest = gradient_norm(gradient, mask, self.by_example)
        norm = gradient_norm(gradient, mask) if self.by_example else self.latest
        seen = self.average.any()
        blended = torch.lerp(norm.to(self.average), self.average, self.decay)
        update = torch.where(seen, blended, norm.to(self.average))
        # One exploding batch must not poison the average for good.
        self.average.copy_(torch.where(torch.isfinite(norm).all(), update, self.average))


def rows_like(mask: Tensor, states: Tensor) -> Tensor:
    """`mask` (B, T) repeated to the rows of `states` (K * B, ...)."""
    return mask if len(mask) == len(states) else mask.repeat(len(states) // max(1, len(mask)), 1)


class DropoutSites:
    """All sites of a model under one recipe: plans the rates of the clean and of the K passes."""

    def __init__(
        self,
        sites: Mapping[str, AdaptiveDropout],
        recipe: Recipe,
        active: tuple[str, ...],
        generator: torch.Generator | None = None,
    ) -> None:
        self.recipe, self.generator = recipe, generator
        self.layerwise = recipe.dropout == "layer"
        self.active = {name: site for name, site in sites.items() if name in active}
        self._constants: dict[tuple[tuple[float, ...], torch.device], Tensor] = {}
        for name, site in sites.items():
            used = name in self.active
            site.kind = ("mean" if self.layerwise else recipe.dropout) if used else "none"
            site.gamma, site.q_min, site.q_max = recipe.gamma, recipe.q_min, recipe.q_max
            site.decay, site.statistic = recipe.statistics_decay, recipe.statistic
            site.by_example = recipe.statistic_scope == "example"
            site.generator, site.plan, site.watch = generator, None, False

    def plan_clean(self, passes: int) -> None:
        """Rates of the clean pass(es): from earlier steps, as this step's gradient is not known yet."""
        mode = self.recipe.clean_dropout
        rates = [0.0 if mode == "off" else self.recipe.base_rate(0)] * passes
        self._plan(rates, {} if mode != "adaptive" else self._statistics("average"), watch=True)

    def plan_passes(self, passes: int) -> None:
        """Rates of the K adversarial passes, each with its own base rate."""
        source = {"same_step": "latest", "ema": "average", "previous_step": "before"}
        rates = [self.recipe.base_rate(k + 1) for k in range(passes)]
        self._plan(rates, self._statistics(source[self.recipe.statistics]), watch=False)

    def stop_watching(self) -> None:
        """Further backward passes of this step leave the statistics alone."""
        for site in self.active.values():
            site.watch = False

    @contextmanager
    def same_mask(self) -> Iterator[None]:
        """All passes of the block, which must have one shape, see one mask."""
        for site in self.active.values():
            site.hold = True
        try:
            yield
        finally:
            for site in self.active.values():
                site.hold, site.held = False, None

    def repeat_rows(self, passes: int) -> list[int]:
        """Let the first active site of the next forward pass turn B rows into `passes` * B.

        Up to there the passes are the same. Returns a list that is empty once it has been done.
        """
        pending = [passes]
        for site in self.active.values():
            site.repeat = pending
        return pending

    def uniform(self, like: Tensor) -> Tensor:
        """Uniform numbers in [0, 1) from the generator of the masks, in the shape of `like`."""
        return torch.rand(like.shape, generator=self.generator, device=like.device, dtype=like.dtype)

    def mean_rates(self) -> dict[str, Tensor]:
        """Mean drop rate of each active site in the passes planned last (scalars, on the device)."""
        return {
            name: site.plan.mean()
            for name, site in self.active.items()
            if site.plan is not None and site.kind != "none"
        }

    def _statistics(self, which: str) -> dict[str, Tensor]:
        found = {name: getattr(site, which) for name, site in self.active.items()}
        return {name: norms for name, norms in found.items() if norms is not None}

    def _plan(self, base_rates: list[float], statistics: dict[str, Tensor], watch: bool) -> None:
        if self.layerwise:
            statistics = self._by_layer(statistics)
        for name, site in self.active.items():
            site.watch = watch
            if site.kind == "none":
                continue
            targets = self._constant(tuple(base_rates), site.average.device)
            norms = statistics.get(name)
            if norms is None or site.kind == "uniform":
                site.plan = targets[:, None].expand(-1, site.units)
            elif self.layerwise:
                share = drop_rates(norms, targets, "mean", site.gamma, site.q_min, site.q_max)
                index = list(statistics).index(name)
                site.plan = share[:, index, None].expand(-1, site.units)
            else:
                site.plan = site.rates(targets, norms)

    def _constant(self, values: tuple[float, ...], device: torch.device) -> Tensor:
        """(n,) float64, sent to the device once: a step must not wait for the host."""
        if (values, device) not in self._constants:
            self._constants[values, device] = torch.tensor(values, device=device, dtype=torch.float64)
        return self._constants[values, device]

    @staticmethod
    def _by_layer(statistics: dict[str, Tensor]) -> dict[str, Tensor]:
        """One number a site, its mean gradient norm; every site sees the vector of all of them."""
        if not statistics:
            return {}
        means = torch.stack([norms.mean() for norms in statistics.values()])
        return dict.fromkeys(statistics, means)
