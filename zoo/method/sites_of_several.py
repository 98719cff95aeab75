"""The dropout sites of several models in training as one (`zoo.method.several`).

Index letters: S models, K passes, B examples, T positions, U units.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.method.dropout import AdaptiveDropout
from zoo.method.rates import gradient_norm
from zoo.method.sites import DropoutSites, Watch


class SitesOfSeveral(DropoutSites):
    """Sites that hold a statistic and rates for each model.

    Statistics are (S, U), rates (K, S, U) or, where all models have the same, (K, U).

    Args:
        of_one: the sites of the model that stands for all.
        generators: of the masks of each model.
    """

    present: Tensor  # (S, B) bool, the texts that count

    def __init__(self, of_one: DropoutSites, generators: Sequence[torch.Generator]) -> None:
        super().__init__(of_one.active, of_one.settings, of_one.active, generators, of_one.repeats)
        self.models = len(generators)

    def use(self, name: str, site: AdaptiveDropout) -> None:
        """See `DropoutSites`."""
        super().use(name, site)
        self.watches[name] = _WatchOfSeveral(self, site)

    def _mean(self, rates: Tensor) -> Tensor:
        return rates.mean().expand(self.models)  # whatever the statistics, it is the base rate of each


class _WatchOfSeveral(Watch):
    """The same of several models; without positions of its own a text that does not count has none."""

    def __init__(self, sites: SitesOfSeveral, site: AdaptiveDropout) -> None:
        assert sites.settings is not None
        super().__init__(site, sites.settings)
        self.sites = sites

    def norm(self, gradient: Tensor, mask: Tensor | None, by_example: bool = False) -> Tensor:
        """(S, K * B, [T,] U) -> (S, U)."""
        if gradient.dim() == 3:
            gradient, mask = gradient[:, :, None], self.sites.present[:, :, None]
            mask = mask.repeat(1, gradient.shape[1] // mask.shape[1], 1)
        return torch.vmap(gradient_norm)(gradient, mask)
