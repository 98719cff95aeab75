"""One bidirectional recurrent layer by torch's own LSTM or GRU, as two one-way layers.

The second layer reads each text backwards from its own last token, so padding never enters a state. Equal to
packed sequences to rounding; docs/performance.md says what it gains. On a GPU the two run at once.

Index letters: B texts, T steps, D inputs, H hidden units per direction.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.fast.streams import at_once

Recurrent = nn.LSTM | nn.GRU


def two_one_way_layers(x: Tensor, mask: Tensor, ahead: Recurrent, back: Recurrent) -> Tensor:
    """(B, T, D), (B, T) -> (B, T, 2H), [state ahead, state back] at each token, zero at padding.

    Args:
        ahead, back: one-layer, one-way LSTMs or GRUs, batch first, that hold the weights.
    """
    lengths = mask.sum(1)

    def read_back() -> Tensor:
        states, _ = back(reverse_by_length(x, lengths))
        return reverse_by_length(states, lengths)

    forth, back_again = at_once(lambda: ahead(x)[0], read_back, x.device)
    return torch.cat([forth, back_again], dim=2) * mask[:, :, None]


def packed_layer(x: Tensor, mask: Tensor, ahead: Recurrent, back: Recurrent) -> Tensor:
    """The same by torch's bidirectional layer on packed sequences: the slow twin."""
    size, hidden = ahead.input_size, ahead.hidden_size
    layer = type(ahead)(size, hidden, batch_first=True, bidirectional=True, device="meta")  # weights follow
    weights: dict[str, Tensor] = dict(ahead.named_parameters())
    weights |= {f"{name}_reverse": weight for name, weight in back.named_parameters()}
    # An empty text cannot be packed: it counts as one token, and the mask takes its state away again.
    lengths = mask.sum(1).clamp_min(1).cpu()
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    states, _ = torch.func.functional_call(layer, weights, (packed,))
    padded, _ = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
    return padded * mask[:, :, None]


def reverse_by_length(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the first lengths[b] steps of each row of x (B, T, D); padding stays where it is."""
    time = torch.arange(x.shape[1], device=x.device)
    index = torch.where(time < lengths[:, None], lengths[:, None] - 1 - time, time)
    rows = index + x.shape[1] * torch.arange(len(x), device=x.device)[:, None]
    return x.flatten(0, 1).index_select(0, rows.flatten()).view_as(x)  # whole rows


def reverse_text_by_text(x: Tensor, lengths: Tensor) -> Tensor:
    """The same: the slow twin."""
    return torch.stack(
        [torch.cat([text[:n].flip(0), text[n:]]) for text, n in zip(x, lengths.tolist(), strict=True)]
    )
