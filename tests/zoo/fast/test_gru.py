"""The packing of the GRU layer with a written-out gradient."""

from __future__ import annotations

import torch

from zoo.fast.gru import Packing


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
