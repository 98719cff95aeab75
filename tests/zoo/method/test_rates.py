"""Drop rates in fixed shapes: no search where nothing bounds them below, one call for all sites of a size."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import tiny
from zoo.fast.shapes import demand_fixed_shapes
from zoo.method import rates, sites
from zoo.method.dropout import AdaptiveDropout
from zoo.method.rates import drop_rates
from zoo.method.sites import Dropout, DropoutSites
from zoo.method.step import prepare, train_step
from zoo.recipes import RECIPES

KINDS = ("mean", "rank", "logistic", "inverse")


@given(
    st.lists(st.one_of(st.sampled_from([0.0, 1.0, 1e-12]), st.floats(1e-30, 1e30)), min_size=1, max_size=30),
    st.lists(st.floats(0, 0.95), min_size=1, max_size=3),
    st.sampled_from([0.5, 0.95]),
)
def test_rates_without_a_search_are_those_of_the_search(
    norms: list[float], targets: list[float], q_max: float
) -> None:
    activity = torch.tensor(norms, dtype=torch.float64)
    activity = torch.where(activity.max() > 0, activity / activity.max(), 1.0)
    target = torch.tensor(targets, dtype=torch.float64).clamp_max(q_max)[:, None]
    found = rates._solve_without_floor(activity, target, q_max)
    torch.testing.assert_close(found.mean(-1, keepdim=True), target, rtol=0, atol=1e-12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rates, "_solve_without_floor", lambda *_: pytest.fail("the twin searches"))
        wanted = rates._solve_clipped(activity, target, 0.0, q_max)
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-10)


def test_fixed_shapes_do_without_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def searched(*_: object) -> Tensor:
        raise LookupError

    monkeypatch.setattr(rates, "_scale_at_mean", searched)
    norms, target = torch.tensor([0.0, 1.0, 100.0]), torch.tensor([0.5])
    with demand_fixed_shapes():
        found = drop_rates(norms, target)
        torch.testing.assert_close(found[0], torch.tensor([0.0, 0.55, 0.95]).double(), rtol=0, atol=1e-7)
        with pytest.raises(LookupError):
            drop_rates(norms, target, q_min=0.05)
    with pytest.raises(LookupError):
        drop_rates(norms, target)  # on a CPU as ever, bit for bit


@pytest.mark.parametrize("shapes", [nullcontext, demand_fixed_shapes])
@pytest.mark.parametrize("kind", KINDS)
def test_a_site_without_a_usable_norm_leaves_the_others_theirs(kind: str, shapes: type[nullcontext]) -> None:
    good = [1.0, 2.0, 5.0, 0.0]
    norms = torch.tensor([[torch.inf, 2, 0, 1], good, [torch.nan, 2, 0, 1], [0.0] * 4, [torch.inf] * 4])
    target = torch.tensor([0.2, 0.7], dtype=torch.float64)
    with shapes():
        found = drop_rates(norms, target, kind)
        alone = drop_rates(torch.tensor(good), target, kind)
    torch.testing.assert_close(found[:, 1], alone, rtol=1e-12, atol=1e-12)
    for row in (0, 2, 3, 4):
        assert torch.equal(found[:, row], target[:, None].expand(-1, 4)), row


def planner(kind: str, scope: str, widths: dict[str, int]) -> DropoutSites:
    """Sites that have seen a gradient, but for the last."""
    settings = Dropout(kind, base_rates=(0.2, 0.1, 0.6), statistic_scope=scope)
    found = DropoutSites({n: AdaptiveDropout(u) for n, u in widths.items()}, settings, widths, None)
    generator = torch.Generator().manual_seed(0)
    for name in list(widths)[:-1]:
        shape = (4, widths[name]) if scope == "example" else (widths[name],)
        found.watches[name].latest = torch.rand(shape, generator=generator) ** 9
        found.active[name].average.copy_(torch.rand(widths[name], generator=generator) ** 9)
    return found


@pytest.mark.parametrize("scope", ["batch", "example"])
@pytest.mark.parametrize("kind", KINDS)
def test_sites_get_together_what_each_gets_by_itself(
    kind: str, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, ...]] = []

    def counted(norms: Tensor, *given: object) -> Tensor:
        calls.append(tuple(norms.shape))
        return drop_rates(norms, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(sites, "drop_rates", counted)
    widths = {"words": 7, "layer1": 12, "pooled": 12, "unseen": 12}
    ours = planner(kind, scope, widths)
    with demand_fixed_shapes():
        for passes, plan in ((1, lambda: ours.plan_clean(1)), (2, lambda: ours.plan_passes(2))):
            calls.clear()
            plan()
            rows = (4,) if scope == "example" and passes == 2 else ()
            # "unseen" has an average of zeros for the clean pass, nothing for the others.
            assert calls == [(1, *rows, 7), (4 - passes, *rows, 12)]
            for name, site in ours.active.items():
                numbers = [k + (passes > 1) for k in range(passes)]
                found = ours.watches[name].latest if passes > 1 else site.average
                wanted = ours._site_rates(name, site, numbers, found)
                assert site.coming is not None
                torch.testing.assert_close(site.coming.rates, wanted, rtol=1e-9, atol=1e-12)


def test_sites_of_other_base_rates_are_served_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user's dropout modules have, each its own."""
    own = {"a": 0.1, "b": 0.3, "c": 0.3}
    ours = planner("mean", "batch", dict.fromkeys(own, 5))
    monkeypatch.setattr(ours, "base_rate", lambda name, k: own[name])
    with demand_fixed_shapes():
        ours.plan_clean(1)
    for name, rate in ours.mean_rates().items():
        assert rate.item() == pytest.approx(own[name], abs=1e-7)


@pytest.mark.parametrize("recipe", ["uegr", "dropout"])
def test_on_a_cpu_each_site_is_asked_by_itself(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what was trained there before is trained again bit for bit."""
    monkeypatch.setattr(torch, "stack", lambda *_: pytest.fail("sites were stacked"))
    monkeypatch.setattr(rates, "_solve_without_floor", lambda *_: pytest.fail("no search"))
    trainee = prepare(tiny.model("bilstm").train(), RECIPES[recipe], torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(trainee.model.parameters(), 0.1)
    for _ in range(2):
        train_step(trainee, tiny.batch(), optimizer)
