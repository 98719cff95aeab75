"""All dropout sites of a model under one record: which rates each pass gets (lines 3 and 5 of Algorithm 1).

The clean pass takes its rates from earlier steps, as this step's gradient is not known yet; the K passes from
the gradient that the clean pass has just left at the site.

Index letters: K passes, B examples, T positions, U units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from zoo.core.errors import UserError
from zoo.core.records import Settings, setting
from zoo.fast.shapes import fixed_shapes
from zoo.fast.widest import widest
from zoo.method.dropout import AdaptiveDropout, Masks, Pass
from zoo.method.rates import KINDS, drop_rates, gradient_norm, root, uniform


@dataclass(frozen=True)
class Dropout(Settings):
    """The drop rates at the sites: `uniform` (ordinary dropout), `layer`, or a kind of `drop_rates`."""

    what: ClassVar[str] = "dropout setting"

    kind: str = setting("uniform", choices=(*KINDS, "layer"))
    # Of the clean pass, then of pass 1 .. K; the last one repeats.
    base_rates: tuple[float, ...] = setting((0.2,), low=0, below=1)
    sites: tuple[str, ...] = setting(())  # names of those to use; empty = the model's default ones
    gamma: float = setting(1.0, low=0)  # exponent of the statistic; 0 is ordinary dropout
    q_min: float = setting(0.0, low=0, high=0.99)
    q_max: float = setting(0.95, low=0.01, high=0.99)
    statistic: str = setting("gradient", choices=("gradient", "attribution"))  # or |h * gradient|
    statistic_scope: str = setting("batch", choices=("batch", "example"))  # one a unit, or also an example
    # What passes 1 .. K use; the clean pass always uses earlier steps.
    statistics: str = setting("same_step", choices=("same_step", "ema", "previous_step"))
    statistics_decay: float = setting(0.9, low=0, high=1)  # of the exponential moving average
    clean_dropout: str = setting("adaptive", choices=("adaptive", "uniform", "off"))  # mask of the clean pass

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.base_rates:
            raise UserError("dropout setting base_rates=(): expected at least one drop rate")
        if self.q_min > self.q_max:
            raise UserError(f"dropout setting q_min={self.q_min}: expected at most q_max={self.q_max}")
        for rate in self.base_rates if self.kind != "uniform" else ():
            if not self.q_min <= rate <= self.q_max:
                limits = f"from q_min={self.q_min} to q_max={self.q_max}"
                raise UserError(f"dropout setting base_rates={self.base_rates}: expected rates {limits}")
        if self.statistics == "previous_step" and self.statistic_scope == "example":
            raise UserError(
                "dropout setting statistics=previous_step: the last batch had other examples; "
                "expected statistic_scope=batch, or statistics=same_step or ema"
            )

    def unread(self) -> Iterable[str]:
        """Uniform rates read no statistic, and do not care whose mask is adaptive."""
        if self.kind == "uniform":
            yield from ("gamma", "q_min", "q_max", "statistic", "statistic_scope", "statistics")
            yield "statistics_decay"

    def named_for(self, adversarial: int) -> dict[str, Any]:
        """What enters a name beside a forward stage of so many adversarial passes."""
        named = self.named()
        if not adversarial:  # nothing but the moving average is used then
            for name in ("statistics", "statistic_scope"):
                named.pop(name, None)
        rates = tuple(self.base_rate(k) for k in range(1 + adversarial))
        while len(rates) > 1 and rates[-1] == rates[-2]:  # the last one repeats
            rates = rates[:-1]
        named.pop("base_rates", None)
        return named if rates == (0.2,) else named | {"base_rates": rates}

    def base_rate(self, k: int) -> float:
        """Base drop rate of pass k (0 = clean)."""
        return self.base_rates[min(k, len(self.base_rates) - 1)]


class Watch:
    """What one site's backward passes leave behind: the statistic of this step, and of the one before."""

    def __init__(self, site: AdaptiveDropout, settings: Dropout) -> None:
        self.site, self.settings = site, settings
        self.latest: Tensor | None = None  # (U,) or (B, U)
        self.before: Tensor | None = None
        self.open = False

    @torch.no_grad()
    def observe(self, gradient: Tensor, mask: Tensor | None, output: Tensor) -> None:
        """Take in the gradient (K * B, [T,] U) at the site's output, as autograd reaches it."""
        if not self.open:
            return
        if self.settings.statistic == "attribution":
            gradient = gradient * output
        by_example = self.settings.statistic_scope == "example"
        self.before, self.latest = self.latest, self.norm(gradient, mask, by_example)
        norm = self.norm(gradient, mask) if by_example else self.latest
        self.site.blend(norm, self.settings.statistics_decay)

    def norm(self, gradient: Tensor, mask: Tensor | None, by_example: bool = False) -> Tensor:
        """The statistic of a batch."""
        return gradient_norm(gradient, mask, by_example)


class DropoutSites:
    """Tells every site of a model what to do in the coming pass.

    Args:
        sites: by name, in the order in which a forward pass meets them.
        settings: None = no dropout at all.
        active: the names in use; the other sites do nothing.
        generator: of all masks; None: torch's own.
        repeats: whether the first active site may turn B rows into K * B, so that K passes share what lies
            before it.
    """

    def __init__(
        self,
        sites: Mapping[str, AdaptiveDropout],
        settings: Dropout | None,
        active: Iterable[str],
        generator: Masks,
        repeats: bool = False,
    ) -> None:
        self.settings, self.generator, self.repeats = settings, generator, repeats
        wanted = set(active) if settings is not None else set()
        self.active = {name: site for name, site in sites.items() if name in wanted}
        self.watches: dict[str, Watch] = {}
        self.clean = 1  # clean passes of the present step
        self._constants: dict[tuple[tuple[float, ...], torch.device], Tensor] = {}
        for name, site in sites.items():
            site.managed, site.coming = True, None
            if name in self.active:
                self.use(name, site)

    def use(self, name: str, site: AdaptiveDropout) -> None:
        """One more site at work."""
        assert self.settings is not None
        self.active[name], self.watches[name] = site, Watch(site, self.settings)

    def base_rate(self, name: str, k: int) -> float:
        """Mean drop rate of a site in pass k (0 = clean)."""
        assert self.settings is not None
        return 0.0 if k == 0 and self.settings.clean_dropout == "off" else self.settings.base_rate(k)

    def plan_clean(self, passes: int, keep_mask: bool = False) -> None:
        """The clean pass(es): rates from earlier steps. `keep_mask`: for `plan_same_mask`."""
        self.clean = passes
        if self.settings is None:
            return
        mode = self.settings.clean_dropout
        averages = {name: site.average for name, site in self.active.items()}
        self._plan([0] * passes, averages if mode == "adaptive" else {}, watch=True, keep_mask=keep_mask)

    def plan_passes(self, passes: int) -> None:
        """The K adversarial passes, each with its own base rate."""
        if self.settings is None:
            return
        found = {
            name: {"same_step": watch.latest, "ema": watch.site.average, "previous_step": watch.before}[
                self.settings.statistics
            ]
            for name, watch in self.watches.items()
        }
        known = {name: self._of_texts(norms) for name, norms in found.items() if norms is not None}
        self._plan([k + 1 for k in range(passes)], known, watch=False)

    def _of_texts(self, norms: Tensor) -> Tensor:
        """Of single texts in P clean passes, (P * B, U) -> (B, U); statistics of a batch as they are."""
        s = cast(Dropout, self.settings)
        if self.clean == 1 or (s.statistics, s.statistic_scope) != ("same_step", "example"):
            return norms
        return root(norms.square().unflatten(0, (self.clean, -1)).mean(0))

    def stop_watching(self) -> None:
        """Further backward passes of this step leave the statistics alone."""
        for watch in self.watches.values():
            watch.open = False

    def seen(self) -> dict[str, tuple[Tensor | None, Tensor | None]]:
        """The latest statistic of each site and the one before; its average is a buffer of the model."""
        return {name: (watch.latest, watch.before) for name, watch in self.watches.items()}

    def load_seen(self, seen: Mapping[str, tuple[Tensor | None, Tensor | None]]) -> None:
        """Go on from a `seen`, on the devices of the sites."""
        for name, both in seen.items():
            watch, device = self.watches[name], self.active[name].average.device
            watch.latest, watch.before = (None if one is None else one.to(device) for one in both)

    def uniform(self, like: Tensor) -> Tensor:
        """Uniform numbers in [0, 1) from the generator of the masks, in the shape of `like`."""
        assert not isinstance(self.generator, Sequence)
        return uniform(like.shape, like, self.generator).to(like.dtype)

    def mean_rates(self) -> dict[str, Tensor]:
        """Mean drop rate of each active site in the passes planned last (scalars, on the device)."""
        return {
            name: self._mean(site.coming.rates)
            for name, site in self.active.items()
            if site.coming is not None
        }

    def _mean(self, rates: Tensor) -> Tensor:
        return rates.mean()

    def _plan(
        self,
        passes: list[int],
        statistics: Mapping[str, Tensor],
        *,
        watch: bool,
        keep_mask: bool = False,
    ) -> None:
        """`passes`: the numbers of those that come as one batch (0 = clean)."""
        assert self.settings is not None
        found = self._rates(passes, statistics)
        for number, (name, site) in enumerate(self.active.items()):
            rates = found.get(name)
            if rates is None:
                rates = self._site_rates(name, site, passes, statistics.get(name))
            observed = watch and self.settings.kind != "uniform"
            self.watches[name].open = watch
            site.coming = Pass(
                rates,
                repeat=len(passes) if self.repeats and number == 0 else 1,
                generator=self.generator,
                keep_noise=keep_mask,
                observe=self.watches[name].observe if observed else None,
            )

    def _rates(self, passes: list[int], statistics: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """(K, U) or (K, B, U) rates of the sites that get them together."""
        s = cast(Dropout, self.settings)
        if s.kind == "layer":
            shares = self._layer_rates(passes, statistics)
            return {name: rate[:, None].expand(-1, self.active[name].units) for name, rate in shares.items()}
        found: dict[str, Tensor] = {}
        if s.kind == "uniform" or not any(map(fixed_shapes, statistics.values())):
            return found
        # A call costs a GPU its launches, however many sites it serves: those of one size share it.
        groups: dict[Any, list[str]] = {}
        for name, norms in statistics.items():
            bases = tuple(self.base_rate(name, k) for k in passes)
            groups.setdefault((bases, norms.shape, norms.dtype, norms.device), []).append(name)
        for (bases, _, _, device), names in groups.items():
            stacked = torch.stack([statistics[name] for name in names])
            targets = self._constant(bases, device)
            rates = drop_rates(stacked, targets, s.kind, s.gamma, s.q_min, s.q_max)
            found |= zip(names, rates.unbind(1), strict=True)
        return found

    def _site_rates(
        self, name: str, site: AdaptiveDropout, passes: list[int], norms: Tensor | None
    ) -> Tensor:
        """(K, U) or (K, B, U) rates of a site by itself."""
        s = cast(Dropout, self.settings)
        targets = self._constant(tuple(self.base_rate(name, k) for k in passes), site.average.device)
        if norms is None or s.kind in ("uniform", "layer"):
            return targets[:, None].expand(-1, site.units)
        return drop_rates(norms, targets, s.kind, s.gamma, s.q_min, s.q_max)

    def plan_same_mask(self) -> None:
        """The pass before once more, with the mask that `plan_clean(..., keep_mask=True)` has kept."""
        for site in self.active.values():
            if site.coming is not None:
                site.coming = replace(site.coming, noise=site.drawn)

    def _constant(self, values: tuple[float, ...], device: torch.device) -> Tensor:
        """(n,) of the widest type, sent to the device once: a step must not wait for the host."""
        if (values, device) not in self._constants:
            self._constants[values, device] = torch.tensor(values, device=device, dtype=widest(device))
        return self._constants[values, device]

    def _layer_rates(self, passes: list[int], statistics: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """(K,) rates a site: one with a larger mean gradient norm drops more, all of its units alike."""
        assert self.settings is not None
        if not statistics:
            return {}
        means = torch.stack([norms.mean() for norms in statistics.values()])
        base = tuple(mean([self.base_rate(name, k) for name in statistics]) for k in passes)
        targets = self._constant(base, means.device)
        s = self.settings
        shares = drop_rates(means, targets, "mean", s.gamma, s.q_min, s.q_max)
        return dict(zip(statistics, shares.unbind(-1), strict=True))
