"""Layers that give the same result however much padding a batch has.

Index letters: B examples, T time steps, D inputs, H hidden units per direction, U = 2H.
Masks are (B, T) bool, True = token, tokens first: a row is `length` True values, then False.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.fast.across import across
from zoo.fast.gru import bidirectional_gru
from zoo.fast.linear import linear, tanh
from zoo.fast.recurrence import recurrent_layers
from zoo.fast.recurrent import two_one_way_layers
from zoo.fast.shapes import fixed_shapes
from zoo.method.dropout import rows_like


class BiRecurrent(nn.Module):
    """One bidirectional LSTM or GRU layer as two one-way layers; padding never enters a state.

    On a CPU a GRU takes `bidirectional_gru` in place of torch's own, which oneDNN does not compute.
    """

    models = 1  # more: it is called under vmap, and computes for so many (`zoo.fast.across`)

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU], inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.ahead = kind(inputs, hidden, batch_first=True)
        self.back = kind(inputs, hidden, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, 2H): [state ahead, state back] at each token, zero at padding.

        x may have K * B rows and the mask B, here and below: K passes over the same texts.
        """
        mask = rows_like(mask, x)
        if self.models > 1:
            return across(recurrent_layers, x, mask, *self.ahead.parameters(), *self.back.parameters())
        if isinstance(self.ahead, nn.GRU) and isinstance(self.back, nn.GRU) and not fixed_shapes(x):
            return bidirectional_gru(x, mask, self.ahead, self.back)
        return self.plain(x, mask)

    def plain(self, x: Tensor, mask: Tensor) -> Tensor:
        """The same with torch's own layers: LSTMs, other devices, and the GRU's slow twin in the tests."""
        return two_one_way_layers(x, mask, self.ahead, self.back)


def last_states(states: Tensor, mask: Tensor) -> Tensor:
    """Final state of each direction: (B, T, 2H) -> (B, 2H); zero for an all-padding row."""
    mask = rows_like(mask, states)
    hidden = states.shape[2] // 2
    last = (mask.sum(1) - 1).clamp_min(0)
    ahead = states[torch.arange(len(states), device=states.device), last, :hidden]
    return torch.cat([ahead, states[:, 0, hidden:]], dim=1)


def mean_states(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens: (B, T, 2H) -> (B, 2H); zero for an all-padding row."""
    mask = rows_like(mask, states)
    return (states * mask[:, :, None]).sum(1) / mask.sum(1).clamp_min(1)[:, None]


def max_states(states: Tensor, mask: Tensor) -> Tensor:
    """Largest value of each unit over the tokens: (B, T, 2H) -> (B, 2H); zero for an all-padding row."""
    mask = rows_like(mask, states)
    # An addition, as its gradient costs nothing; `amax` would share a tie's, for twice the time.
    outside = (~mask).to(states.dtype)[:, :, None] * (torch.finfo(states.dtype).min / 2)
    return (states + outside).max(1).values * mask.any(1)[:, None]


class AdditiveAttention(nn.Module):
    """Pooling by u_t = tanh(W h_t + b), w = softmax_t(u_t . v), sum_t w_t h_t (Yang et al. 2016)."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.project = nn.Linear(units, units)
        self.context = nn.Parameter(torch.empty(units).normal_(0.0, units**-0.5))

    def weights(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, T, U), (B, T) -> (B, T) attention weights; 0 on padding, summing to 1 (0 if all padding)."""
        mask = rows_like(mask, states)
        projected = linear(states, self.project.weight, self.project.bias)
        scores = tanh(projected) @ self.context
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        return torch.softmax(scores, dim=1) * mask

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, T, U), (B, T) -> (B, U) weighted sum over the tokens."""
        return (self.weights(states, mask)[:, None, :] @ states).squeeze(1)
