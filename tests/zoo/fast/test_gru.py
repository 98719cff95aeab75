"""The GRU layer with a written-out gradient against torch's own GRU."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from zoo.fast import gru
from zoo.fast.gru import Packing, bidirectional_gru
from zoo.models.layers import BiRecurrent


def compare(layer: BiRecurrent, x: Tensor, lengths: list[int], tolerance: float) -> None:
    mask = torch.arange(x.shape[1]) < torch.tensor(lengths)[:, None]
    inputs = [x.requires_grad_(), *layer.parameters()]
    assert isinstance(layer.ahead, nn.GRU)
    assert isinstance(layer.back, nn.GRU)
    fast, slow = bidirectional_gru(x, mask, layer.ahead, layer.back), layer.plain(x, mask)
    torch.testing.assert_close(fast, slow, rtol=0, atol=tolerance)
    weights = torch.randn_like(fast)
    if max(lengths, default=0) == 0:
        return
    for one, other in zip(
        torch.autograd.grad(fast, inputs, weights), torch.autograd.grad(slow, inputs, weights), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("large", [True, False])
@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=5), seed=st.integers(0, 999))
def test_states_and_gradients(large: bool, lengths: list[int], seed: int) -> None:
    """Any lengths, empty texts among them; with torch's batched product and with one product a direction."""
    torch.manual_seed(seed)
    layer = BiRecurrent(nn.GRU, 4, 3).double()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gru, "LARGE", 0 if large else 10**9)
        compare(layer, torch.randn(len(lengths), 6, 4, dtype=torch.float64), lengths, 1e-12)


@pytest.mark.parametrize("large", [True, False])
def test_in_float32(large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(gru, "LARGE", 0 if large else 10**9)
    compare(BiRecurrent(nn.GRU, 20, 16), torch.randn(6, 30, 20), [30, 30, 11, 5, 29, 1], 2e-5)


def test_the_gradient_can_be_taken_twice_from_one_graph() -> None:
    """The backward pass must leave what it saved as it was."""
    torch.manual_seed(0)
    layer = BiRecurrent(nn.GRU, 4, 3).double()
    x = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    total = layer(x, torch.ones(2, 5, dtype=torch.bool)).square().sum()
    first, second = (torch.autograd.grad(total, x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_packing_reads_every_token_once_in_both_directions() -> None:
    mask = torch.arange(5) < torch.tensor([3, 0, 5, 3])[:, None]
    packing = Packing.of(mask)
    assert packing.counts == [3, 3, 3, 1, 1]
    assert sorted(packing.tokens.tolist()) == mask.flatten().nonzero().squeeze(1).tolist()
    assert torch.equal(packing.mirror[packing.mirror], torch.arange(11))
    # The longest text comes first: the backward direction starts at its last token, packed last.
    assert packing.tokens[packing.mirror[0]] == 2 * 5 + 4
    assert packing.tokens[packing.previous[-1]] == packing.tokens[-1] - 1


def test_the_models_use_it_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BiRecurrent, "plain", lambda *_: pytest.fail("torch's own GRU was used"))
    BiRecurrent(nn.GRU, 4, 3)(torch.randn(2, 5, 4), torch.ones(2, 5, dtype=torch.bool))
