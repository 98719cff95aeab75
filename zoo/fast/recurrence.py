"""Recurrent layers of several models at once: one product a step for all models and both directions.

    LSTM  i, f, o = sigmoid, g = tanh of W x + U h + b;   c = f c + i g;   h = o tanh(c)
    GRU   r, z = sigmoid(W x + U h + b);   n = tanh(W x + b + r (U h + b2));   h = n + z (h - n)

torch's layers compute one model, and vmap has no rule for them. All that does not wait for the step before is
computed for all steps at once: the products with x, and going back what each gate's gradient is multiplied
by. So a step takes some six operators there and four back, however many models.

Index letters: G models x directions, N texts, T steps, D inputs, H hidden units.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from zoo.fast.recurrent import reverse_by_length


def recurrent_layers(x: Tensor, mask: Tensor, *weights: Tensor) -> Tensor:
    """One bidirectional layer of each of S models: (S, N, T, D), (S, N, T) bool -> (S, N, T, 2H).

    [state ahead, state back] at each token, zero at padding.

    Args:
        weights: of the layer ahead, then of the one back, in torch's order and its order of gates, each with
            the models first: W (S, 4H, D) for an LSTM and (S, 3H, D) for a GRU, U (S, .., H), and two biases.
    """
    models, texts = x.shape[:2]
    lengths = mask.sum(2).flatten()

    def reverse(states: Tensor) -> Tensor:
        return reverse_by_length(states.flatten(0, 1), lengths).view_as(states)

    both = torch.cat([x, reverse(x)])
    w, u, *biases = (torch.cat(pair) for pair in zip(weights[:4], weights[4:], strict=True))
    form = _LSTM if u.shape[1] == 4 * u.shape[2] else _GRU
    inputs = both.flatten(1, 2) @ w.transpose(1, 2)
    inputs = inputs.unflatten(1, (texts, -1)).permute(2, 0, 1, 3)  # (T, G, N, gates)
    states = form.apply(inputs, u, *biases).permute(1, 2, 0, 3)  # (G, N, T, H)
    found = torch.cat([states[:models], reverse(states[models:])], 3)
    return found * mask[:, :, :, None]


class _LSTM(torch.autograd.Function):
    """inputs (T, G, N, 4H), U (G, 4H, H), biases (G, 4H) -> states (T, G, N, H).

    Here o stands before i, f, g: the sigmoids are neighbours, and so are the gates that reach the cell.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, u: Tensor, b: Tensor, b2: Tensor) -> Tensor:
        hidden = u.shape[2]
        u, gates = u.roll(hidden, 1), (inputs + (b + b2)[:, None]).roll(hidden, 3)
        states, cells = gates.new_empty(2, *gates.shape[:3], hidden)
        h = c = torch.zeros_like(states[0])
        for a, state, cell in zip(gates, states, cells, strict=True):
            a.baddbmm_(h, u.transpose(1, 2))
            a[..., : 3 * hidden].sigmoid_()
            a[..., 3 * hidden :].tanh_()
            o, i, f, g = a.chunk(4, -1)
            c = torch.mul(f, c, out=cell).addcmul_(i, g)
            h = torch.mul(o, c.tanh(), out=state)
        ctx.save_for_backward(u, gates, states, cells)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        u, gates, states, cells = ctx.saved_tensors
        o, i, f, g = gates.chunk(4, -1)
        outer = cells.tanh()
        by_state, to_cell = outer * _slope(o), o * (1 - outer.square())
        by_cell = torch.stack([g * _slope(i), _before(cells) * _slope(f), i * (1 - g.square())], 3)
        moved = torch.empty_like(gates)  # the gradient at what the gates are taken of
        parts = moved.unflatten(3, (4, -1))
        h, c = gradient[-1], torch.zeros_like(gradient[0])
        for t in range(len(gates) - 1, -1, -1):
            c = torch.addcmul(c, h, to_cell[t])
            torch.mul(h, by_state[t], out=parts[t, :, :, 0])
            torch.mul(c[:, :, None], by_cell[t], out=parts[t, :, :, 1:])
            c = c * f[t]
            if t > 0:
                h = torch.baddbmm(gradient[t - 1], moved[t], u)
        hidden, by_weight = u.shape[2], _by_weight(moved, states)
        moved, by_weight = moved.roll(-hidden, 3), by_weight.roll(-hidden, 1)
        by_bias = moved.sum((0, 2))
        # A tensor of its own for each bias: one for both would take what is added later twice.
        return moved, by_weight, by_bias, by_bias.clone()


class _GRU(torch.autograd.Function):
    """inputs (T, G, N, 3H), U (G, 3H, H), biases (G, 3H) -> states (T, G, N, H)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, u: Tensor, b: Tensor, b2: Tensor) -> Tensor:
        hidden = u.shape[2]
        gates = (inputs + b[:, None]).contiguous()
        steps, groups, texts, _ = gates.shape
        states, news = gates.new_empty(2, steps, groups, texts, hidden)  # news: U h + b2 of n
        h = torch.zeros_like(states[0])
        for a, state, new in zip(gates, states, news, strict=True):
            own = torch.baddbmm(b2[:, None], h, u.transpose(1, 2))
            a[..., : 2 * hidden].add_(own[..., : 2 * hidden]).sigmoid_()
            new.copy_(own[..., 2 * hidden :])
            r, z, n = a.chunk(3, -1)
            n.addcmul_(r, new).tanh_()
            h = torch.lerp(n, h, z, out=state)
        ctx.save_for_backward(u, gates, states, news)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        u, gates, states, news = ctx.saved_tensors
        r, z, n = gates.chunk(3, -1)
        to_new = (1 - z) * (1 - n.square())
        # Of the gradient at h: what U h + b2 gets of it for each gate.
        by_state = torch.stack([to_new * news * _slope(r), (_before(states) - n) * _slope(z), to_new * r], 3)
        moved = torch.empty_like(gates)
        parts, whole = moved.unflatten(3, (3, -1)), torch.empty_like(states)
        h = gradient[-1]
        for t in range(len(gates) - 1, -1, -1):
            whole[t] = h
            torch.mul(h[:, :, None], by_state[t], out=parts[t])
            if t > 0:
                h = torch.baddbmm(gradient[t - 1], moved[t], u).addcmul_(h, z[t])
        at_inputs = torch.cat([parts[..., :2, :].flatten(3), whole * to_new], 3)
        return at_inputs, _by_weight(moved, states), at_inputs.sum((0, 2)), moved.sum((0, 2))


def _slope(sigmoid: Tensor) -> Tensor:
    return sigmoid * (1 - sigmoid)


def _before(states: Tensor) -> Tensor:
    """(T, ...) -> the same a step later, from zero."""
    return torch.cat([torch.zeros_like(states[:1]), states[:-1]])


def _by_weight(moved: Tensor, states: Tensor) -> Tensor:
    """(T, G, N, gates), (T, G, N, H) -> (G, gates, H), the gradient of U: the sum over texts and steps."""
    at = moved[1:].permute(1, 3, 0, 2).flatten(2)
    return at @ states[:-1].permute(1, 0, 2, 3).flatten(1, 2)
