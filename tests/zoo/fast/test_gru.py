"""The packing of the GRU layer with a written-out gradient, and its products on either kind of processor."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from zoo.fast import gru
from zoo.fast.gru import LARGE, Packing
from zoo.fast.recurrent import two_one_way_layers


def test_packing_reads_every_token_once_in_both_directions() -> None:
    mask = torch.arange(5) < torch.tensor([3, 0, 5, 3])[:, None]
    packing = Packing.of(mask)
    assert packing.counts == [3, 3, 3, 1, 1]
    assert packing.texts == 3
    assert sorted(packing.tokens.tolist()) == mask.flatten().nonzero().squeeze(1).tolist()
    assert torch.equal(packing.mirror[packing.mirror], torch.arange(11))
    # The longest text comes first: the backward direction starts at its last token, packed last.
    assert packing.tokens[packing.mirror[0]] == 2 * 5 + 4
    assert packing.tokens[packing.previous[-1]] == packing.tokens[-1] - 1


def test_nothing_to_pack() -> None:
    packing = Packing.of(torch.zeros(3, 4, dtype=torch.bool))
    assert (packing.texts, packing.counts, packing.tokens.tolist()) == (0, [], [])


@pytest.mark.parametrize("mkl", [True, False], ids=["MKL", "oneDNN"])
def test_steps_of_many_texts_by_either_product(mkl: bool) -> None:
    """States and all gradients of torch's own layers, to rounding in float64."""
    torch.manual_seed(0)
    texts, hidden = 150, 50
    x = torch.randn(texts, 4, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.arange(4) < torch.randint(0, 5, (texts, 1))
    layers = [nn.GRU(3, hidden, batch_first=True, dtype=torch.float64) for _ in range(2)]
    wanted = [x, *(weight for layer in layers for weight in layer.parameters())]
    found = []
    for form in (partial(gru.bidirectional_gru, by_mkl=lambda _: mkl), two_one_way_layers):
        states = form(x, mask, *layers)
        found.append([states, *torch.autograd.grad(states.square().sum(), wanted)])
    for own, plain in zip(*found, strict=True):
        torch.testing.assert_close(own, plain, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("fast", [True, False])
def test_large_steps_go_to_mkl_where_it_is_fast(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gru, "mkl_is_fast", lambda: fast)
    assert gru.steps_by_mkl(LARGE - 1)
    assert gru.steps_by_mkl(LARGE) is fast
