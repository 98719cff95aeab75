"""Laws of the ranks, and what the histogram of them may get wrong and what not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zoo.fast import ranks
from zoo.fast.ranks import (
    HISTOGRAM_ERROR,
    count_nonzero,
    fixed_histogram_ranks,
    histogram_ranks,
    plain_ranks,
    rank_normalise,
    sorted_ranks,
)
from zoo.fast.shapes import demand_fixed_shapes
from zoo.fast.trials import LONG_SALIENCIES, WELL_SPREAD

FEW = st.sampled_from([0.0, 1.0, 2.0, 1e-35, 1e35])
SALIENCIES = st.lists(st.one_of(FEW, st.floats(1e-35, 1e35)), max_size=40)


def spread(kind: str) -> Tensor:
    (saliency,) = LONG_SALIENCIES[kind](torch.Generator().manual_seed(0), torch.float32)
    return saliency


@pytest.mark.parametrize("form", [plain_ranks, sorted_ranks])
@given(values=SALIENCIES)
def test_ranks_as_defined_by_counting(form: type, values: list[float]) -> None:
    """(entries below + half of the others alike) / (n - 1) among the n that are not zero."""
    active = [value for value in values if value > 0]
    wanted = [
        (sum(other < value for other in active) + (active.count(value) - 1) / 2) / max(len(active) - 1, 1)
        if len(active) > 1
        else 0.5
        for value in active
    ]
    found = form(torch.tensor(values, dtype=torch.float64)).tolist()
    assert [rank for rank, value in zip(found, values, strict=True) if value > 0] == pytest.approx(wanted)
    assert all(rank == 0 for rank, value in zip(found, values, strict=True) if value == 0)


@given(values=SALIENCIES, seed=st.integers(0, 99))
def test_neither_order_nor_scale_matters(values: list[float], seed: int) -> None:
    saliency = torch.tensor(values, dtype=torch.float64)
    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    found = rank_normalise(saliency)
    assert torch.equal(rank_normalise(saliency[order]), found[order])
    assert torch.equal(rank_normalise(4 * saliency), found)


@pytest.mark.parametrize("kind", LONG_SALIENCIES)
def test_the_histogram_keeps_its_bound_and_the_order_or_declines(kind: str) -> None:
    saliency = spread(kind)
    found = histogram_ranks(saliency)
    if found is None:
        return
    assert (found - plain_ranks(saliency)).abs().max() <= HISTOGRAM_ERROR / 2 + 1e-6
    assert (found[saliency == 0] == 0).all()
    assert (found[saliency.argsort()].diff() >= 0).all()


@pytest.mark.parametrize("scale", [1.0, 1e-7])
def test_a_few_zeros_have_no_rank_however_small_the_others_are(scale: float) -> None:
    """Below 2^-15 zeros do not share the first bin with what is nearly zero."""
    saliency = scale * spread("normal")
    saliency[:20] = 0
    found = histogram_ranks(saliency)
    assert found is not None
    assert torch.equal(found, fixed_histogram_ranks(saliency))
    assert found.min() == 0


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "many zeros"])
def test_the_histogram_serves_gradients(kind: str) -> None:
    assert histogram_ranks(spread(kind)) is not None


@pytest.mark.parametrize("kind", ["one value very often", "few values", "all in one bin", "all zero"])
def test_the_histogram_declines_what_it_would_get_wrong(kind: str) -> None:
    assert histogram_ranks(spread(kind)) is None
    assert torch.equal(rank_normalise(spread(kind)), plain_ranks(spread(kind)))


@pytest.mark.parametrize("share", [0.0005, 0.002, 0.005, 0.02])
def test_the_histogram_keeps_its_bound_however_full_a_bin_is(share: float) -> None:
    """Some of the entries lie within one bin, next to each other; more than its bound, and it declines."""
    saliency = spread("normal")
    few = int(share * len(saliency))
    steps = torch.arange(few) * 4096 // max(few, 1)
    saliency[:few] = (torch.tensor([1.0]).view(torch.int32) + steps.int()).view(torch.float32)
    found = histogram_ranks(saliency)
    assert (found is None) == (share > HISTOGRAM_ERROR)
    if found is not None:
        assert (found - plain_ranks(saliency)).abs().max() <= HISTOGRAM_ERROR / 2 + 1e-6


@pytest.mark.parametrize("tiny", [0, 20])
@pytest.mark.parametrize("kind", WELL_SPREAD)
def test_in_fixed_shapes_it_is_the_same_bit_for_bit(kind: str, tiny: int) -> None:
    """Also where some entries are so small that they share the first bin."""
    saliency = spread(kind)
    saliency[:tiny] = 1e-44
    wanted = histogram_ranks(saliency)
    assert wanted is not None
    found = fixed_histogram_ranks(saliency)
    if kind == "denormal":  # zeros, which have no rank, lie in another bin than the first
        found, wanted = found[saliency > 0], wanted[saliency > 0]
    assert torch.equal(found, wanted)


def test_in_fixed_shapes_equal_values_have_the_rank_that_they_share() -> None:
    """A full bin of one value is no error; what lies beside it in the bin is off by half its share."""
    saliency = spread("few values")
    assert torch.equal(fixed_histogram_ranks(saliency), plain_ranks(saliency))
    saliency[0] = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0))
    share = (saliency == 1).sum() / (saliency > 0).sum()
    error = (fixed_histogram_ranks(saliency) - plain_ranks(saliency)).abs()
    assert error[0] == pytest.approx(share.item() / 2, rel=1e-3)
    assert error[1:].max() < 1e-4


def test_in_fixed_shapes_one_entry_is_in_the_middle_and_none_is_nowhere() -> None:
    one = torch.zeros(9).index_fill(0, torch.tensor([4]), 3.0)
    assert fixed_histogram_ranks(one).tolist() == [0.0] * 4 + [0.5] + [0.0] * 4
    assert fixed_histogram_ranks(0 * one).tolist() == [0.0] * 9


def test_which_ranks_are_taken_in_fixed_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    for name in ("fixed_histogram_ranks", "searched_ranks"):
        monkeypatch.setattr(ranks, name, lambda saliency, name=name: taken.append(name) or saliency)
    with demand_fixed_shapes():
        for saliency in (spread("normal"), spread("normal").double(), spread("normal")[:40_000]):
            rank_normalise(saliency)
    assert taken == ["fixed_histogram_ranks", "searched_ranks", "searched_ranks"]


def test_more_entries_than_single_precision_can_count() -> None:
    assert count_nonzero(torch.ones((1 << 24) + 1)) == (1 << 24) + 1


def test_float64_and_short_vectors_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(saliency: Tensor) -> Tensor:
        raise AssertionError("must not be called")

    monkeypatch.setattr(ranks, "histogram_ranks", never)
    rank_normalise(spread("normal").double())
    rank_normalise(spread("normal")[:40_000])
    with pytest.raises(AssertionError):
        rank_normalise(spread("normal"))
