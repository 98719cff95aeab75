"""The masked gradient is a product m / p * g: finite, and zero where m is, however steep the rule."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.method.backward.selective import LEAST_PROBABILITY, Selective, SelectiveUpdate


@pytest.mark.parametrize("sharpness", [1.0, 20.0, 40.0])
@pytest.mark.parametrize("entries", [1_000, 60_000])
def test_as_where_says(sharpness: float, entries: int) -> None:
    parameter = nn.Parameter(torch.zeros(entries))
    gradient = torch.randn(entries, generator=torch.Generator().manual_seed(0)) * 1e-3
    gradient[::7] = 0.0
    parameter.grad = gradient.clone()
    rule = Selective(threshold=0.9, sharpness=sharpness)
    noise = torch.rand(entries, generator=torch.Generator().manual_seed(1))
    update = SelectiveUpdate([parameter], rule)
    update.uniform = lambda _: noise.clone()  # type: ignore[method-assign]
    record = update.apply()
    p = rule.probabilities(gradient.abs(), [entries])
    assert (p >= LEAST_PROBABILITY).all()
    wanted = torch.where(noise < p, gradient / p, 0.0)
    torch.testing.assert_close(parameter.grad, wanted, rtol=1e-6, atol=0)
    real = gradient != 0
    assert record["kept_share"].item() == pytest.approx((noise < p)[real].double().mean().item(), abs=1e-6)
    assert record["mean_keep_probability"].item() == pytest.approx(p[real].double().mean().item(), abs=1e-5)
