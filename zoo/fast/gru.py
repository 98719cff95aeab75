"""One bidirectional GRU layer for the CPU, both directions in one loop over the time steps.

    r, z = sigmoid(x W_rz + h' V_rz),   n = tanh(x W_n + r (h' V_n + c)),   h = n + z (h' - n)

torch's own GRU keeps an autograd graph of a dozen nodes a step and adds up the weight gradients step by
step. Here the gradient is written out: all factors that do not depend on later steps are computed for all
steps at once, so that a step of the backward loop is one matrix product and three elementwise operations,
and the weight gradients are one product over all steps.

Texts are packed, longest first, so that step t works on the count_t texts that are longer than t: padding
costs nothing and never enters a state.

Index letters: B texts, T steps, D inputs, H hidden units, N tokens in all = sum of count_t, 2 directions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from zoo.fast.linear import FEW_ROWS, affine_into, cross_product, mkl_is_fast, product, tanh_

# Entries of the states of one direction, from which on oneDNN's product pays where MKL is slow.
LARGE = 4_000


@dataclass(frozen=True)
class Packing:
    """Where the tokens of a padded batch go, step by step, longest text first."""

    tokens: Tensor  # (N,) place of each packed token in the flattened (B * T) batch
    mirror: Tensor  # (N,) packed place of the token that the backward direction reads in its stead
    previous: Tensor  # (N - count_0,) packed place of the same text's token one step before
    counts: list[int]  # texts at each step

    @property
    def texts(self) -> int:
        """Texts at the first step; 0 where all is padding."""
        return self.counts[0] if self.counts else 0

    @classmethod
    def of(cls, mask: Tensor) -> Packing:
        """The packing of a (B, T) mask with the tokens first."""
        lengths, order = mask.sum(1).sort(descending=True, stable=True)
        time = torch.arange(int(lengths[0]) if len(lengths) else 0, device=mask.device)
        alive = time[:, None] < lengths
        step, text = alive.nonzero(as_tuple=True)
        counts = alive.sum(1)
        places = torch.zeros(alive.shape, dtype=torch.long, device=mask.device)
        places[step, text] = torch.arange(len(step), device=mask.device)
        later = step > 0
        return cls(
            order[text] * mask.shape[1] + step,
            places[lengths[text] - 1 - step, text],
            places[step[later] - 1, text[later]],
            counts.tolist(),
        )


def steps_by_mkl(entries: int) -> bool:
    """Whether a step's product of states with so many entries of a direction goes to MKL."""
    return mkl_is_fast() or entries < LARGE


def bidirectional_gru(
    x: Tensor, mask: Tensor, ahead: nn.GRU, back: nn.GRU, by_mkl: Callable[[int], bool] = steps_by_mkl
) -> Tensor:
    """(B, T, D), (B, T) -> (B, T, 2H), [state ahead, state back] at each token, zero at padding.

    Args:
        ahead, back: one-layer, one-way GRUs that hold the weights.
        by_mkl: whether a step whose states have so many entries is MKL's; oneDNN's otherwise.
    """
    packing = Packing.of(mask)
    inputs = x.flatten(0, 1).index_select(0, packing.tokens)
    input_weights, weights, input_biases, biases = zip(
        *(layer.all_weights[0] for layer in (ahead, back)), strict=True
    )
    packed = _Layer.apply(
        inputs, torch.cat(input_weights), torch.cat(input_biases),
        torch.stack(weights), torch.stack(biases), packing, by_mkl,
    )  # fmt: skip
    states = x.new_zeros(x.shape[0] * x.shape[1], 2 * ahead.hidden_size)
    return states.index_copy(0, packing.tokens, packed).unflatten(0, x.shape[:2])


class _Layer(torch.autograd.Function):
    """(N, D) inputs -> (N, 2H) states of both directions, in packed order.

    Weights are those of torch's GRU, of the gates [r, z, n]: (6H, D) and (6H,) for the inputs, the directions
    one behind the other, (2, 3H, H) and (2, 3H) for the states.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        input_weight: Tensor,
        input_bias: Tensor,
        weight: Tensor,
        bias: Tensor,
        packing: Packing,
        by_mkl: Callable[[int], bool],
    ) -> Tensor:
        counts, hidden = packing.counts, weight.shape[2]
        acts = _gates(inputs, input_weight, input_bias, packing.mirror)  # becomes r, z, n
        recurrent = inputs.new_empty(2, len(inputs), hidden)  # h' V_n + c
        states = torch.empty_like(recurrent)
        before, row = inputs.new_zeros(2, packing.texts, hidden), bias[:, None]
        columns = weight.transpose(1, 2).contiguous()
        steps = zip(
            counts,
            *_by_step(acts, counts, slice(0, 2 * hidden), slice(0, hidden), slice(2 * hidden, None)),
            *_by_step(recurrent, counts, slice(None)),
            *_by_step(states, counts, slice(None)),
            strict=True,
        )
        rec = inputs.new_empty(2, 0, 3 * hidden)  # h' V + c
        for count, rz, r, new, rec_new, state in steps:
            if count != rec.shape[1]:
                before, rec = before[:, :count], inputs.new_empty(2, count, 3 * hidden)
            if by_mkl(count * hidden):
                torch.baddbmm(row, before, columns, out=rec)
            else:
                torch.stack([product(before[i], columns[i].t()) for i in range(2)], out=rec)
                rec.add_(row)
            rz.add_(rec[..., : 2 * hidden]).sigmoid_()
            rec_new.copy_(rec[..., 2 * hidden :])
            tanh_(new.addcmul_(r, rec_new))
            before = torch.lerp(new, before, rz[..., hidden:], out=state)
        ctx.save_for_backward(inputs, input_weight, acts, recurrent, states, weight)
        ctx.packing, ctx.by_mkl = packing, by_mkl
        return torch.cat([states[0], states[1].index_select(0, packing.mirror)], 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, input_weight, acts, recurrent, states, weight = ctx.saved_tensors
        packing: Packing = ctx.packing
        counts, hidden = packing.counts, weight.shape[2]
        r, z, new = acts.split(hidden, 2)
        before = torch.cat(
            [states.new_zeros(2, packing.texts, hidden), states.index_select(1, packing.previous)], 1
        )
        # d h' V + c = d h * factors, for the gates r, z, n; and the n of the input part lacks the factor r.
        factors = torch.empty_like(acts)
        rest = 1 - z
        factor_new = (1 - new * new).mul_(rest)
        torch.mul(factor_new, r, out=factors[..., 2 * hidden :])
        torch.mul(factors[..., 2 * hidden :] * recurrent, 1 - r, out=factors[..., :hidden])
        torch.mul((before - new).mul_(z), rest, out=factors[..., hidden : 2 * hidden])

        d_state = torch.empty_like(states)
        d_state[0] = gradient[:, :hidden]
        torch.index_select(gradient[:, hidden:], 0, packing.mirror, out=d_state[1])
        d_recurrent = factors  # in place
        carry = states.new_zeros(2, packing.texts, hidden)
        steps = zip(
            counts,
            *_by_step(z, counts, slice(None)),
            *_by_step(d_state, counts, slice(None)),
            *_by_step(d_recurrent, counts, slice(None)),
            d_recurrent.unflatten(2, (3, hidden)).split(counts, 1),
            strict=True,
        )
        for count, z_t, d_h, d_rec, d_rec_gates in reversed(list(steps)):
            own = carry[:, :count]
            d_h.add_(own)
            d_rec_gates.mul_(d_h[:, :, None])
            torch.mul(d_h, z_t, out=own)
            if ctx.by_mkl(count * hidden):
                own.baddbmm_(d_rec, weight)
            else:
                for i in range(2):
                    own[i].add_(product(d_rec[i], weight[i].t()))
        _, *wanted = ctx.needs_input_grad[:5]
        d_input_weight = d_input_bias = d_weight = d_bias = None
        if any(wanted):  # not where only the input is attacked
            d_weight = torch.stack([cross_product(d_recurrent[i], before[i]) for i in range(2)])
            d_bias = d_recurrent.sum(1)
        few = len(inputs) < FEW_ROWS
        torch.mul(d_state, factor_new, out=d_recurrent[..., 2 * hidden :])
        d_gates = acts.new_empty(len(inputs), 6 * hidden)
        d_gates[:, : 3 * hidden] = d_recurrent[0]
        torch.index_select(d_recurrent[1], 0, packing.mirror, out=d_gates[:, 3 * hidden :])
        if any(wanted):
            d_input_weight = d_gates.t() @ inputs if few else cross_product(d_gates, inputs)
            d_input_bias = d_gates.sum(0)
        d_inputs = None
        if ctx.needs_input_grad[0]:
            d_inputs = d_gates @ input_weight if few else product(d_gates, input_weight.t())
        return d_inputs, d_input_weight, d_input_bias, d_weight, d_bias, None, None


def _gates(inputs: Tensor, weight: Tensor, bias: Tensor, mirror: Tensor) -> Tensor:
    """(2, N, 3H) input parts of the gates, each direction in its own order."""
    gates = inputs.new_empty(2, len(inputs), len(weight) // 2)
    if len(inputs) < FEW_ROWS:  # as `linear` has it
        whole = F.linear(inputs, weight, bias)
        gates[0] = whole[:, : gates.shape[2]]
        gates[1] = whole[:, gates.shape[2] :].index_select(0, mirror)
        return gates
    rows = inputs, inputs.index_select(0, mirror)
    for out, own, w, b in zip(gates, rows, weight.chunk(2), bias.chunk(2), strict=True):
        affine_into(out, own, w, b)
    return gates


def _by_step(packed: Tensor, counts: list[int], *columns: slice) -> list[tuple[Tensor, ...]]:
    """Views of (2, N, C), for each slice of columns one of (2, count_t, c) for every step."""
    return [packed[..., part].split(counts, 1) for part in columns]
