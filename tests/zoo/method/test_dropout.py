"""Adaptive dropout alone, as a module in any training loop."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from zoo.method.dropout import AdaptiveDropout, Pass
from zoo.method.rates import drop_rates
from zoo.method.sites import Dropout, DropoutSites


def step(site: AdaptiveDropout, weight: torch.Tensor) -> None:
    """One training step whose gradient at the output of unit u is weight[u]."""
    h = torch.ones(16, len(weight), dtype=weight.dtype, requires_grad=True)
    (site(h) * weight).sum().backward()


def test_evaluation_is_the_identity() -> None:
    h = torch.randn(4, 3)
    assert AdaptiveDropout(3).eval()(h) is h
    idle = AdaptiveDropout(3).train()
    idle.managed = True
    assert idle(h) is h, "a site that a step does not use does nothing"


def test_alone_it_drops_units_with_large_gradients_more_often() -> None:
    site = AdaptiveDropout(4, rate=0.3)
    weight = torch.tensor([0.1, 1.0, 2.0, 4.0])
    first = drop_rates(site.average, torch.tensor([0.3]))[0]
    assert torch.allclose(first, torch.full((4,), 0.3, dtype=torch.float64)), "uniform before any gradient"
    for _ in range(3):
        step(site, weight)
    rates = drop_rates(site.average, torch.tensor([0.3]))[0]
    assert (rates.diff() > 0).all()
    assert float(rates.mean()) == pytest.approx(0.3, abs=1e-7)
    torch.testing.assert_close(site.average, weight)  # the norm at the output, whatever was dropped


def test_a_frozen_input_is_observed_too() -> None:
    site = AdaptiveDropout(2)
    layer = nn.Linear(2, 1)
    layer(site(torch.ones(5, 2))).sum().backward()
    assert (site.average > 0).all()


def test_dropped_share_and_mean_are_those_of_the_rates() -> None:
    """Kept counts are binomial; 6 standard errors: a false alarm in fewer than one run in 1e8."""
    site = AdaptiveDropout(3, kind="mean")
    rates = torch.tensor([[0.1, 0.5, 0.8]], dtype=torch.float64)
    site.managed, site.coming = True, Pass(rates, generator=torch.Generator().manual_seed(0))
    n = 200_000
    out = site(torch.ones(n, 3, dtype=torch.float64))
    q = rates[0]
    dropped = (out == 0).double().mean(0)
    assert ((dropped - q).abs() < 6 * (q * (1 - q) / n).sqrt()).all()
    spread = (q / (1 - q) / n).sqrt()
    assert ((out.mean(0) - 1).abs() < 6 * spread).all(), "inverted scaling keeps the mean"
    assert set(out[:, 1].unique().tolist()) == {0.0, 2.0}


def test_passes_have_their_own_rates_and_masks() -> None:
    site = AdaptiveDropout(50)
    site.managed, site.coming = True, Pass(torch.tensor([[0.0] * 50, [0.9] * 50]))
    out = site(torch.ones(8, 3, 50), torch.ones(8, 3, dtype=torch.bool))
    assert (out[:4] == 1).all()
    assert (out[4:] == 0).double().mean() > 0.8


def test_padding_takes_no_part_in_the_statistic() -> None:
    site = AdaptiveDropout(2)
    mask = torch.tensor([[True, False]])
    h = torch.ones(1, 2, 2, requires_grad=True)
    weight = torch.tensor([[[1.0, 2.0], [100.0, 0.0]]])
    (site(h, mask) * weight).sum().backward()
    torch.testing.assert_close(site.average, torch.tensor([1.0, 2.0]))


def test_one_exploding_batch_does_not_poison_the_average() -> None:
    site = AdaptiveDropout(2)
    step(site, torch.tensor([1.0, 2.0]))
    step(site, torch.tensor([math.inf, 2.0]))
    torch.testing.assert_close(site.average, torch.tensor([1.0, 2.0]))
    rates = drop_rates(torch.tensor([math.inf, 2.0]), torch.tensor([0.2]))
    torch.testing.assert_close(rates, torch.full((1, 2), 0.2, dtype=torch.float64))


def test_layer_rates_share_the_base_rate_between_sites() -> None:
    sites = {"a": AdaptiveDropout(2), "b": AdaptiveDropout(3)}
    for site in sites.values():
        site.train()
    planner = DropoutSites(sites, Dropout("layer", base_rates=(0.2,)), ("a", "b"), torch.Generator())
    planner.watches["a"].latest = torch.tensor([1.0, 1.0])
    planner.watches["b"].latest = torch.tensor([3.0, 3.0, 3.0])
    planner.plan_passes(1)
    assert planner.mean_rates()["a"].item() == pytest.approx(0.1)
    assert planner.mean_rates()["b"].item() == pytest.approx(0.3)


def test_the_average_is_part_of_the_state_of_a_model() -> None:
    site = AdaptiveDropout(2)
    step(site, torch.tensor([1.0, 2.0]))
    other = AdaptiveDropout(2)
    other.load_state_dict(site.state_dict())
    torch.testing.assert_close(other.average, site.average)
