"""Where the mask acts: each place against a slow form of AdamW, and its mean over masks by enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from zoo.core.errors import UserError
from zoo.fast.rows import Rows
from zoo.fast.shapes import demand_fixed_shapes
from zoo.method.backward.places import Entries, masked_first_moment, masked_update
from zoo.method.backward.selective import Selective, SelectiveUpdate

PLACES: dict[str, Callable[..., Callable[[], None]]] = {
    "update": masked_update,
    "first_moment": masked_first_moment,
}
ADAMW = {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.02}
Factors = list[tuple[Tensor, Tensor]]  # a step's gradient (6, 2) and factors m / p (6, 2)


def slow_adamw(theta: Tensor, steps: Factors, place: str) -> Tensor:
    """AdamW written out, every entry of it at every step."""
    rate, (b1, b2), epsilon = ADAMW["lr"], ADAMW["betas"], ADAMW["eps"]
    u, v = torch.zeros_like(theta), torch.zeros_like(theta)
    for t, (g, factor) in enumerate(steps, start=1):
        factor = torch.where(g != 0, factor, 1.0)
        masked = g * factor
        u = b1 * u + (1 - b1) * (g if place == "update" else masked)
        v = b2 * v + (1 - b2) * (masked if place == "gradient" else g) ** 2
        direction = (u / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + epsilon)
        step = -rate * (direction + ADAMW["weight_decay"] * theta)
        theta = theta + (factor * step if place == "update" else step)
    return theta


def batches(seed: int, count: int = 4) -> tuple[list[Tensor], Factors]:
    """Rows of a table of 6 x 2 with repeats, and what those rows get; all other rows have no gradient."""
    random, found, rows = torch.Generator().manual_seed(seed), Factors(), []
    for _ in range(count):
        own = torch.randint(0, 6, (4,), generator=random)
        g = torch.zeros(6, 2).double()
        g[own] = torch.randn(4, 2, generator=random).double()
        g[own[0], 0] = 0.0  # an exact zero inside a touched row
        p = 0.1 + 0.9 * torch.rand(6, 2, generator=random).double()
        found.append((g, torch.bernoulli(p, generator=random) / p))
        rows.append(own)
    return rows, found


@pytest.mark.parametrize("known", ["all", "rows", "fixed shapes"])
@pytest.mark.parametrize("place", ["update", "first_moment"])
@given(st.integers(0, 2**32 - 1))
def test_a_place_is_the_slow_form_of_adamw(place: str, known: str, seed: int) -> None:
    """On the rows of a batch alone, some of them twice, as on the whole table."""
    start = torch.randn(6, 2, generator=torch.Generator().manual_seed(seed)).double()
    table = nn.Parameter(start.clone())
    optimizer = torch.optim.AdamW([table], fused=True, **ADAMW)  # type: ignore[arg-type]
    rows, steps = batches(seed)
    for ids, (g, factor) in zip(rows, steps, strict=True):
        table.grad = g.clone()
        if known == "fixed shapes":
            with demand_fixed_shapes():
                touched = Rows.of(ids)
        else:
            touched = Rows.of(ids)
        entries = Entries([(table, None if known == "all" else touched)])
        taken = factor if known == "all" else touched.take(factor)
        finish = PLACES[place](optimizer, entries, entries.take(lambda p: p.grad), taken.flatten())
        optimizer.step()
        finish()
    torch.testing.assert_close(table.detach(), slow_adamw(start, steps, place), rtol=0, atol=1e-12)


def mean_over_masks(place: str, steps: list[Tensor], p: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of the last step over every mask, and that step without one; earlier steps have none."""

    def moved(factor: Tensor | None) -> Tensor:
        theta = nn.Parameter(torch.tensor([0.5, -1.0, 2.0]).double())
        optimizer = torch.optim.AdamW([theta], **ADAMW)  # type: ignore[arg-type]
        for g in steps[:-1]:
            theta.grad = g.clone()
            optimizer.step()
        before, theta.grad = theta.detach().clone(), steps[-1].clone()
        entries = Entries([(theta, None)])
        if factor is None:
            optimizer.step()
        elif place == "gradient":
            theta.grad *= factor
            optimizer.step()
        else:
            finish = PLACES[place](optimizer, entries, steps[-1], factor)
            optimizer.step()
            finish()
        return theta.detach() - before

    mean = torch.zeros(3).double()
    for bits in itertools.product([0.0, 1.0], repeat=3):
        m = torch.tensor(bits).double()
        mean += torch.prod(torch.where(m > 0, p, 1 - p)) * moved(m / p)
    return mean, moved(None)


@pytest.mark.parametrize("earlier", [0, 3])
def test_the_mean_over_all_masks_is_adamws_own_step_but_on_the_gradient(earlier: int) -> None:
    random = torch.Generator().manual_seed(earlier)
    steps = [torch.randn(3, generator=random).double() for _ in range(earlier + 1)]
    p = torch.tensor([0.25, 0.5, 0.9]).double()
    for place in ("update", "first_moment"):
        mean, plain = mean_over_masks(place, steps, p)
        torch.testing.assert_close(mean, plain, rtol=0, atol=1e-14)
    mean, plain = mean_over_masks("gradient", steps, p)
    assert float((mean - plain).abs().max()) > 0.01 * float(plain.abs().max())


def trained(optimizer: type[torch.optim.Optimizer], mask_on: str, **options: Any) -> np.ndarray:
    torch.manual_seed(0)
    model = nn.Linear(4, 3).double()
    selective = SelectiveUpdate(
        model.parameters(), Selective(mask_on=mask_on), torch.Generator().manual_seed(1)
    )
    stepper = optimizer(model.parameters(), **options)
    for _ in range(3):
        stepper.zero_grad()
        model(torch.ones(2, 4).double()).square().sum().backward()
        selective.step(stepper)
    return torch.cat([p.detach().flatten() for p in model.parameters()]).numpy()


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}], ids=str)
def test_the_first_moment_of_sgd_is_its_gradient_or_momentum(options: dict[str, Any]) -> None:
    on = {
        place: trained(torch.optim.SGD, place, lr=0.05, **options) for place in ("gradient", "first_moment")
    }
    np.testing.assert_array_equal(on["gradient"], on["first_moment"])


def test_plain_sgd_is_one_wherever_the_mask_acts() -> None:
    """Where Theorem 1 speaks, the three readings are one."""
    ends = [trained(torch.optim.SGD, place, lr=0.05) for place in ("gradient", "update", "first_moment")]
    for end in ends[1:]:
        np.testing.assert_allclose(end, ends[0], rtol=0, atol=1e-14)


def test_groups_keep_their_own_rates() -> None:
    both = [nn.Parameter(torch.ones(2).double()) for _ in range(2)]
    groups = [{"params": [p], "lr": rate} for p, rate in zip(both, (0.1, 0.01), strict=True)]
    optimizer = torch.optim.AdamW(groups)
    for p in both:
        p.grad = torch.tensor([1.0, -2.0]).double()
    entries = Entries([(p, None) for p in both])
    gradient = torch.cat([p.grad for p in both])
    finish = masked_first_moment(optimizer, entries, gradient, torch.full((4,), 2.0).double())
    optimizer.step()
    finish()
    moves = [1 - 0.01 * rate - p.detach()[0] for p, rate in zip(both, (0.1, 0.01), strict=True)]
    assert float(moves[0] / moves[1]) == pytest.approx(10)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (torch.optim.RMSprop, {}),
        (torch.optim.AdamW, {"amsgrad": True}),
        (torch.optim.Adam, {"maximize": True}),
    ],
)
def test_a_first_moment_that_is_not_known_is_refused_before_any_step(
    optimizer: type[torch.optim.Optimizer], options: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3).double()
    before = [p.detach().clone() for p in model.parameters()]
    selective = SelectiveUpdate(model.parameters(), Selective(mask_on="first_moment"))
    model(torch.ones(2, 4).double()).sum().backward()
    with pytest.raises(UserError, match=r"first_moment with .*: expected SGD, Adam or AdamW"):
        selective.step(optimizer(model.parameters(), **options))  # type: ignore[arg-type]
    for p, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(p.detach(), old)
