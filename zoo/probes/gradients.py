"""Gradients of single texts and of batches at chosen entries of a model's parameters.

Index letters: n texts, d entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from zoo.core.batch import Batch
from zoo.method.contract import TextClassifier, selected_parameters
from zoo.probes.subject import gradient, loss_of, pieces

Array = np.ndarray


@dataclass(frozen=True)
class Entries:
    """Places (d,) in the flat vector of all parameters, by the part of the model that they lie in."""

    parts: dict[str, Tensor]

    @property
    def all(self) -> Tensor:
        """(d,) of all parts, one after the other."""
        return torch.cat(list(self.parts.values()))

    def slices(self) -> dict[str, slice]:
        """Where each part stands in `all`."""
        found, first = {}, 0
        for name, places in self.parts.items():
            found[name] = slice(first, first + len(places))
            first += len(places)
        return found


def flat_gradient(model: TextClassifier, batch: Batch) -> Tensor:
    """(all parameters,) of the mean loss."""
    return torch.cat([g.flatten() for g in gradient(model, loss_of(model, batch))])


def part_of_each(model: nn.Module) -> list[str]:
    """For every parameter `words`, `inside` or `classifier`."""
    encoder, body = (set(selected_parameters(model, scope)) for scope in ("encoder", "body"))
    return ["inside" if p in encoder else "words" if p in body else "classifier" for p in model.parameters()]


def choose(model: TextClassifier, batch: Batch, count: int) -> Entries:
    """At most `count` seeded entries of each part, among those where some text has a gradient."""
    seen = torch.zeros(sum(p.numel() for p in model.parameters()), dtype=torch.bool)
    for text in pieces(batch, 1):
        seen |= flat_gradient(model, text) != 0
    generator = torch.Generator().manual_seed(0)
    kinds = part_of_each(model)
    of_entry = torch.cat(
        [torch.full((p.numel(),), i) for i, p in enumerate(model.parameters())]
    )  # number of the tensor
    parts = {}
    for part in dict.fromkeys(kinds):
        own = torch.tensor([kind == part for kind in kinds])[of_entry] & seen
        places = own.nonzero().squeeze(1)
        parts[part] = places[torch.randperm(len(places), generator=generator)[:count]].sort().values
    return Entries(parts)


def of_texts(model: TextClassifier, batch: Batch, entries: Entries) -> Array:
    """(n, d) gradient of each text's loss at the entries, float64."""
    rows = [flat_gradient(model, text)[entries.all] for text in pieces(batch, 1)]
    return torch.stack(rows).double().numpy()


def excess_kurtosis(x: Array) -> Array:
    """(n, d) -> (d,) fourth standardised moment less 3; nan where all values are the same."""
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (x - x.mean(0)) / x.std(0)
        return (z**4).mean(0) - 3


def not_gaussian(x: Array, level: float = 0.01) -> Array:
    """(n, d) -> (d,) bool: Jarque and Bera's test refuses a normal distribution at this level.

    Their statistic, n/6 (skewness^2 + excess kurtosis^2 / 4), has two degrees of freedom, so its tail is
    exp(-s/2). For n of a few hundred it refuses normal samples about twice as often as it says at 1 %.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (x - x.mean(0)) / x.std(0)
        statistic = len(x) / 6 * ((z**3).mean(0) ** 2 + ((z**4).mean(0) - 3) ** 2 / 4)
    return statistic > -2 * np.log(level)


def effective_dimensions(x: Array) -> float:
    """tr(S)^2 / tr(S^2) of the covariance S of (n, d): d of a multiple of the identity, 1 of a line.

    From n samples of identity covariance it comes out near d / (1 + d / n).
    """
    centred = x - x.mean(0)
    # The smaller of the two products has the same non-zero eigenvalues.
    s = centred @ centred.T if len(x) < x.shape[1] else centred.T @ centred
    return float(np.trace(s) ** 2 / (s**2).sum())
