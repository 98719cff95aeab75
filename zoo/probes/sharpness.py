"""How flat the loss is around the weights that were found.

    rise(r) = mean over random directions d of L(theta + r d) - L(theta)
    top = the largest eigenvalue of the Hessian of L

A direction is Gaussian, and each of its filters (row of a tensor of two or more dimensions) as long as the
same filter of the weights (Li et al. 2018), so that a network which is another one by scale alone is as flat;
biases stay. L is the mean cross-entropy of n training texts, dropout off.

The Hessian times a vector is a central difference of two gradients in double precision: the zoo's own kernels
have no second derivative. Where the maximum over time changes its window between the two points, the
difference sees the jump of the gradient and not the curvature beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.core.batch import Batch
from zoo.core.records import Settings, setting
from zoo.method.contract import TextClassifier
from zoo.probes.subject import Subject, gradient, loss_of

_DIFFERENCE = 1e-5  # length of the step of the central difference


@dataclass(frozen=True)
class Sharpness(Settings):
    """How it is measured."""

    what: ClassVar[str] = "measurement setting"

    rows: int = setting(256, low=1)  # texts of the training part
    directions: int = setting(10, low=1)
    radii: tuple[float, ...] = setting((0.1, 0.25, 0.5, 1.0), above=0)
    iterations: int = setting(30, low=1)  # of the power iteration, at most
    tolerance: float = setting(1e-3, above=0)  # relative change of the eigenvalue at which it stops

    def measure(self, subject: Subject) -> dict[str, Any]:
        """`loss` and `rise` by radius (nats), `top` eigenvalue, `iterations` taken, norm of the gradient."""
        model = subject.fitted().double()
        batch = subject.sample(subject.corpus.train, self.rows)
        with torch.no_grad():
            loss = float(loss_of(model, batch))
        rises = rise(model, batch, self.radii, self.directions)
        top, taken = top_eigenvalue(model, lambda: loss_of(model, batch), self.iterations, self.tolerance)
        slope = torch.cat([g.flatten() for g in gradient(model, loss_of(model, batch))]).norm()
        return {
            "rows": len(batch.labels), "loss": loss, "radii": list(self.radii), "rise": rises, "top": top,
            "iterations": taken, "gradient": float(slope),
        }  # fmt: skip


def filter_normalised(model: nn.Module, generator: torch.Generator) -> list[Tensor]:
    """A random direction in the shapes of the parameters; zero for tensors of fewer than two dimensions."""
    made = []
    for p in model.parameters():
        if p.dim() < 2:
            made.append(torch.zeros_like(p))
            continue
        d = torch.randn(p.shape, generator=generator, dtype=p.dtype)
        lengths, own = (t.detach().flatten(1).norm(dim=1) for t in (p, d))
        made.append(d * (lengths / own).view(-1, *[1] * (p.dim() - 1)))
    return made


@torch.no_grad()
def rise(model: TextClassifier, batch: Batch, radii: tuple[float, ...], directions: int) -> list[float]:
    """Mean rise of the loss by radius over both signs of seeded directions; the weights are put back."""
    generator = torch.Generator().manual_seed(0)
    parameters = list(model.parameters())
    before = [p.clone() for p in parameters]
    here, sums = float(loss_of(model, batch)), [0.0] * len(radii)
    for _ in range(directions):
        direction = filter_normalised(model, generator)
        for i, radius in enumerate(radii):
            for sign in (-1, 1):
                for p, old, d in zip(parameters, before, direction, strict=True):
                    p.copy_(old + sign * radius * d)
                sums[i] += float(loss_of(model, batch)) - here
        for p, old in zip(parameters, before, strict=True):
            p.copy_(old)  # before the next direction takes its lengths
    return [total / (2 * directions) for total in sums]


def hessian_times(model: nn.Module, loss: Callable[[], Tensor], vector: list[Tensor]) -> list[Tensor]:
    """H v for a v of length 1 in the shapes of the parameters, which are put back."""
    parameters = list(model.parameters())
    before = [p.detach().clone() for p in parameters]

    def slope(step: float) -> list[Tensor]:
        with torch.no_grad():
            for p, old, v in zip(parameters, before, vector, strict=True):
                p.copy_(old + step * v)
        return gradient(model, loss())

    up, down = slope(_DIFFERENCE), slope(-_DIFFERENCE)
    with torch.no_grad():
        for p, old in zip(parameters, before, strict=True):
            p.copy_(old)
    return [(a - b) / (2 * _DIFFERENCE) for a, b in zip(up, down, strict=True)]


def top_eigenvalue(
    model: nn.Module, loss: Callable[[], Tensor], iterations: int, tolerance: float
) -> tuple[float, int]:
    """The largest eigenvalue of the Hessian and the products that it took.

    The power iteration finds that of the largest size; where it is negative, a second one on H - lambda I
    finds the largest.
    """
    size, taken = _largest_size(model, loss, 0.0, iterations, tolerance)
    if size >= 0:
        return size, taken
    above, more = _largest_size(model, loss, -size, iterations, tolerance)
    return above + size, taken + more


def _largest_size(
    model: nn.Module, loss: Callable[[], Tensor], shift: float, iterations: int, tolerance: float
) -> tuple[float, int]:
    """Of H + shift I: the Rayleigh quotient of a seeded start after at most so many products."""
    generator = torch.Generator().manual_seed(0)
    v = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in model.parameters()]
    found, taken = 0.0, 0
    while taken < iterations:
        taken += 1
        length = torch.stack([t.norm() for t in v]).norm()
        v = [t / length for t in v]
        product = [h + shift * t for h, t in zip(hessian_times(model, loss, v), v, strict=True)]
        before, found = found, float(sum((a * b).sum() for a, b in zip(product, v, strict=True)))
        if abs(found - before) <= tolerance * abs(found):
            break
        v = product
    return found, taken
