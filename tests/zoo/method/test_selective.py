"""The selective update alone, in front of any optimizer."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from zoo.fast.rows import Rows
from zoo.method.backward.selective import Selective, SelectiveUpdate


def parameters(*gradients: list[float]) -> list[nn.Parameter]:
    made = []
    for gradient in gradients:
        parameter = nn.Parameter(torch.zeros(len(gradient), dtype=torch.float64))
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        made.append(parameter)
    return made


def test_the_masked_gradient_is_unbiased() -> None:
    """Mean over masks of m g / p is g. 6 standard errors: a false alarm in under 1 of 1e7 runs."""
    gradient = [0.0, 1e-3, -0.5, 2.0, 7.0]
    update = SelectiveUpdate(parameters(gradient), generator=torch.Generator().manual_seed(0))
    (parameter,) = update.parameters
    exact = torch.tensor(gradient, dtype=torch.float64)
    total, n = torch.zeros(5, dtype=torch.float64), 20_000
    for _ in range(n):
        parameter.grad = exact.clone()
        update.apply()
        total += parameter.grad
    p = update.settings.probabilities(exact.abs(), [5])
    error = exact.abs() * ((1 - p) / p / n).sqrt()
    assert ((total / n - exact).abs() <= 6 * error).all()


def test_each_entry_draws_its_own_mask() -> None:
    update = SelectiveUpdate(parameters([1.0] * 5_000), Selective(keep="constant", keep_constant=0.5))
    update.apply()
    kept = (update.parameters[0].grad != 0).double().mean().item()
    assert 0.45 < kept < 0.55  # 7 standard errors


def test_kept_entries_are_scaled_and_others_are_zero() -> None:
    update = SelectiveUpdate(parameters([3.0] * 100), Selective(keep="constant", keep_constant=0.25))
    record = update.apply()
    values = set(update.parameters[0].grad.tolist())
    assert values == {0.0, 12.0}
    assert record["mean_keep_probability"].item() == pytest.approx(0.25)
    update = SelectiveUpdate(parameters([3.0] * 100), Selective(keep="constant", rescale=False))
    update.apply()
    assert set(update.parameters[0].grad.tolist()) == {0.0, 3.0}


def test_zeros_take_no_part_in_the_ranking() -> None:
    """95 % zeros must not push the rest to the top: the kept share stays that of Eq. 9 (0.454)."""
    gradient = torch.zeros(40_000)
    gradient[:2_000] = torch.randn(2_000, generator=torch.Generator().manual_seed(1))
    parameter = nn.Parameter(torch.zeros(40_000))
    parameter.grad = gradient
    update = SelectiveUpdate([parameter], generator=torch.Generator().manual_seed(0))
    record = update.apply()
    assert record["mean_keep_probability"].item() == pytest.approx(0.4537, abs=1e-3)
    assert record["kept_share"].item() == pytest.approx(0.4537, abs=0.06)  # 5.4 standard errors


def test_tiny_gradients_rank_without_underflow() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([1e-30, 2e-30, 4e-30])  # their squares are 0 in float32
    update = SelectiveUpdate([parameter], Selective(threshold=0.5, sharpness=20.0))
    assert update.apply()["mean_keep_probability"].item() == pytest.approx(0.5, abs=1e-6)


def test_a_steep_rule_gives_no_nan() -> None:
    parameter = nn.Parameter(torch.zeros(1_000))
    parameter.grad = torch.randn(1_000)
    SelectiveUpdate([parameter], Selective(threshold=1.0, sharpness=40.0)).apply()
    assert torch.isfinite(parameter.grad).all()


def test_joint_and_per_tensor_ranking() -> None:
    small, large = [1.0, 2.0], [10.0, 20.0]
    flat = torch.tensor(small + large, dtype=torch.float64)
    rule = Selective(threshold=0.5, sharpness=5.0)
    joint = rule.probabilities(flat, [2, 2])
    assert (joint.diff() > 0).all()
    own = Selective(threshold=0.5, sharpness=5.0, normalise_scope="tensor").probabilities(flat, [2, 2])
    torch.testing.assert_close(own[:2], own[2:])


def test_epoch_options() -> None:
    update = SelectiveUpdate(parameters([1.0, 2.0, 3.0]), Selective(resample="epoch"))
    (parameter,) = update.parameters
    masks = []
    for epoch in range(3):
        update.new_epoch()
        for _ in range(2):
            parameter.grad = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
            update.apply()
            masks.append((epoch, tuple((parameter.grad != 0).tolist())))
    assert all(masks[i][1] == masks[i + 1][1] for i in (0, 2, 4))
    update = SelectiveUpdate(parameters([1.0, 2.0]), Selective(saliency="epoch"))
    update.new_epoch()
    update.apply()
    update.parameters[0].grad = torch.tensor([3.0, 0.0], dtype=torch.float64)
    update.apply()
    assert update.running is not None
    first = float(update.parameters[0].grad[0])
    update.new_epoch()
    assert update.last_epoch is not None
    assert update.last_epoch.tolist() == [pytest.approx(5.0), pytest.approx(2.0)], first


TOUCHED = {"rank": {}, "min-max": {"normalise": "minmax"}, "log min-max": {"normalise": "log_minmax"},
           "running": {"saliency": "ema"}, "epoch": {"saliency": "epoch"}, "held": {"resample": "epoch"},
           "by tensor": {"normalise_scope": "tensor"}, "on the update": {"mask_on": "update"}}  # fmt: skip


@pytest.mark.parametrize("name", TOUCHED)
def test_to_know_the_touched_rows_changes_the_cost_and_nothing_else(name: str) -> None:
    """Three batches in two epochs, each with other rows of a table; every entry has its own noise."""
    found = []
    for known in (False, True):
        table, vector = nn.Parameter(torch.ones(6, 2).double()), nn.Parameter(torch.ones(3).double())
        update = SelectiveUpdate([table, vector], Selective(threshold=0.3, **TOUCHED[name]))
        random = torch.Generator().manual_seed(0)
        for step, numbers in enumerate(([1, 4], [0, 1, 5], [2, 4])):
            if step != 1:
                update.new_epoch()
            rows = torch.tensor(numbers)
            table.grad = torch.zeros_like(table)
            table.grad[rows] = torch.randn(len(rows), 2, generator=random).double()
            vector.grad = torch.randn(3, generator=random).double()
            noise = torch.rand(6, 2, generator=random).double(), torch.rand(3, generator=random).double()

            def uniform(p: torch.Tensor, noise: Any = noise, rows: torch.Tensor = rows) -> torch.Tensor:
                words = noise[0] if len(p) == 15 else noise[0][rows]
                return torch.cat([words.flatten(), noise[1]])

            update.uniform = uniform  # type: ignore[method-assign]
            update.step(torch.optim.SGD([table, vector], lr=0.1), {table: Rows(rows)} if known else None)
        found.append(torch.cat([table.detach().flatten(), vector.detach()]))
    torch.testing.assert_close(*found, rtol=0, atol=1e-12)


def test_in_front_of_any_optimizer_it_reaches_the_optimum() -> None:
    """Minimise 0.5 (x - target)^2; the masked gradient is unbiased, so SGD still arrives."""
    target = torch.tensor([1.0, -2.0, 3.0, 0.5])
    x = nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.SGD([x], lr=0.05)
    update = SelectiveUpdate([x], generator=torch.Generator().manual_seed(0))
    for _ in range(600):
        optimizer.zero_grad()
        (0.5 * (x - target).square().sum()).backward()
        update.apply()
        optimizer.step()
    torch.testing.assert_close(x.detach(), target, rtol=0, atol=1e-3)


def test_nothing_to_do() -> None:
    assert SelectiveUpdate([nn.Parameter(torch.zeros(2))]).apply()["kept_share"] == 0
    update = SelectiveUpdate(parameters([0.0, 0.0]))
    record = update.apply()
    assert record["kept_share"] == 0
    assert not math.isnan(float(update.parameters[0].grad.sum()))
