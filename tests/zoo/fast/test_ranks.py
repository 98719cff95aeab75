"""Ranks by radix sort and by histogram against a plain sort of floats."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zoo.fast import ranks
from zoo.fast.ranks import HISTOGRAM_ERROR, histogram_ranks, rank_normalise, sorted_ranks


def slow(saliency: Tensor) -> Tensor:
    """The definition, by a sort of floats and groups of equal values."""
    result = torch.zeros_like(saliency)
    active = saliency > 0
    values, order = saliency[active].sort()
    if len(values) == 0:
        return result
    _, group, counts = torch.unique_consecutive(values, return_inverse=True, return_counts=True)
    middle = counts.cumsum(0) - (counts + 1) / 2
    mid_ranks = torch.empty_like(values)
    mid_ranks[order] = middle.to(values.dtype)[group]
    result[active] = mid_ranks / (len(values) - 1) if len(values) > 1 else torch.full_like(mid_ranks, 0.5)
    return result


@st.composite
def saliencies(draw: st.DrawFn, dtype: torch.dtype = torch.float64) -> Tensor:
    some = draw(st.lists(st.floats(1e-35, 1e35), max_size=4))
    entries = st.one_of(st.just(0.0), st.floats(1e-35, 1e35), st.sampled_from([1.0, *some]))
    return torch.tensor(draw(st.lists(entries, max_size=40)), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@given(data=st.data())
def test_radix_sort_gives_the_mid_ranks(dtype: torch.dtype, data: st.DataObject) -> None:
    saliency = data.draw(saliencies(dtype))
    if dtype == torch.float16:
        saliency = saliency.clamp_max(6e4)
    torch.testing.assert_close(sorted_ranks(saliency), slow(saliency), rtol=0, atol=0)


def spread(kind: str, n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(n, generator=generator)
    return {
        "normal": normal.abs(),
        "heavy tails": normal.pow(3).abs(),
        "log-normal, wide": (8 * normal).exp(),
        "half zeros": normal.abs() * (torch.rand(n, generator=generator) < 0.5),
        "one value very often": torch.where(normal > 0.5, torch.tensor(3.0), normal.abs()),
        "few values": (normal * 2).round().abs(),
        "all in one bin": 1 + 1e-5 * torch.rand(n, generator=generator),
        "tiny": normal.abs() * 1e-38,
        "all zero": torch.zeros(n),
        "with infinity": normal.abs().index_fill_(0, torch.tensor([3]), float("inf")),
    }[kind]


KINDS = (
    "normal", "heavy tails", "log-normal, wide", "half zeros", "one value very often", "few values",
    "all in one bin", "tiny", "all zero", "with infinity",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_histogram_keeps_its_bound_and_the_order_or_declines(kind: str) -> None:
    saliency = spread(kind, 60_000)
    found = histogram_ranks(saliency)
    if found is None:
        return
    exact = slow(saliency)
    assert (found - exact).abs().max() <= HISTOGRAM_ERROR / 2 + 1e-6
    assert (found[saliency == 0] == 0).all()
    assert (found[saliency.argsort()].diff() >= 0).all()


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "half zeros"])
def test_the_histogram_serves_gradients(kind: str) -> None:
    assert histogram_ranks(spread(kind, 60_000)) is not None


@pytest.mark.parametrize("kind", ["one value very often", "few values", "all in one bin", "all zero"])
def test_the_histogram_declines_what_it_would_get_wrong(kind: str) -> None:
    assert histogram_ranks(spread(kind, 60_000)) is None
    torch.testing.assert_close(rank_normalise(spread(kind, 60_000)), slow(spread(kind, 60_000)))


def test_float64_and_short_vectors_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(saliency: Tensor) -> Tensor:
        raise AssertionError("must not be called")

    monkeypatch.setattr(ranks, "histogram_ranks", never)
    rank_normalise(spread("normal", 60_000).double())
    rank_normalise(spread("normal", 40_000))
    with pytest.raises(AssertionError):
        rank_normalise(spread("normal", 60_000))
