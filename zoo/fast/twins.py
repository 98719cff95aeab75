"""Every fast path beside its slow twin: one table, which the tests compare and the benchmark times.

`tests/zoo/fast/test_twins.py` compares the forms of every row in value and gradient;
`python -m zoo.bench levers` times them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.fast import convolution, gru, linear, ranks, recurrent, shapes, trials
from zoo.fast.rows import Rows
from zoo.fast.trials import Make
from zoo.fast.word_gradient import WordGradient, fresh_gradient

Form = Callable[..., Tensor]
EXACT = 0.0  # bit for bit
TYPES = (torch.float32, torch.float64, torch.float16)


@dataclass(frozen=True)
class Twins:
    """One piece of work and the forms that do it.

    Args:
        forms: by their names in print, first the slow twin, last the one in use on a CPU; those between serve
            other devices, or were tried and lost.
        inputs: by name, what makes the arguments from a generator and a type of float.
        tolerance: for each of the first of TYPES, the largest permitted difference of a value; ten times as
            much, relative and absolute, of a gradient.
        timed: by the title of the measurement, what makes arguments of the size of a training step.
        with_gradient: whether the gradient by every float argument is compared, and timed, as well.
    """

    forms: Mapping[str, Form]
    inputs: Mapping[str, Make]
    tolerance: tuple[float, ...]
    timed: Mapping[str, Make]
    with_gradient: bool = False

    @property
    def slow(self) -> str:
        """The slow twin's name."""
        return next(iter(self.forms))

    @property
    def kept(self) -> str:
        """The name of the form in use."""
        return list(self.forms)[-1]


def leaves(inputs: tuple[Any, ...]) -> list[Tensor]:
    """What a gradient is taken by: the float tensors among the arguments, and the weights of the layers."""
    found: list[Tensor] = []
    for value in inputs:
        if isinstance(value, nn.Module):
            found += value.parameters()
        elif isinstance(value, Tensor) and value.is_floating_point():
            found.append(value.requires_grad_())
    return found


# --- forms that are a few lines, and forms that were tried and lost ---------------------------------------


def _count(saliency: Tensor) -> Tensor:
    return torch.tensor(ranks.count_nonzero(saliency))


def _sum(table: Tensor, ids: Tensor) -> Tensor:
    return Rows.of(ids).take(table).sign_().sum(0)


def _edit(table: Tensor, ids: Tensor) -> Tensor:
    rows = Rows.of(ids)
    rows.put(table, rows.take(table).abs_())
    return table


def _fixed(form: Form) -> Form:
    def fixed(*inputs: Tensor) -> Tensor:
        with shapes.demand_fixed_shapes():
            return form(*inputs)

    return fixed


def _kept_gradient(table: nn.Embedding, tokens: Tensor, gradient: Tensor, keeper: WordGradient) -> Tensor:
    table.weight.grad = None
    keeper.add(table, tokens, gradient)
    assert table.weight.grad is not None
    return table.weight.grad


def _unfolded(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The windows as rows of one matrix."""
    (texts, length, size), width = x.shape, weight.shape[2]
    windows = x.contiguous().as_strided((texts, length - width + 1, width * size), (length * size, size, 1))
    return linear.linear(windows, weight.transpose(1, 2).flatten(1), bias)


def _one_by_one(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer as a convolution, which torch hands to oneDNN."""
    if x.numel() == 0:
        return F.linear(x, weight, bias)  # a convolution refuses an empty image
    image = x.flatten(0, -2).t()[None, :, None]
    return F.conv2d(image, weight[:, :, None, None], bias)[0, :, 0].t().unflatten(0, x.shape[:-1])


def _gathered(x: Tensor, lengths: Tensor) -> Tensor:
    time = torch.arange(x.shape[1])
    index = torch.where(time < lengths[:, None], lengths[:, None] - 1 - time, time)
    return x.gather(1, index[:, :, None].expand_as(x))


_BATCH = "30,000 x 300 words, 16 x 64 of them in the batch"
_BIG = trials.table(30_000, 300, (16, 64))

TWINS: dict[str, Twins] = {
    "ranks": Twins(
        {"sort of floats": ranks.plain_ranks, "histogram of their bits": ranks.rank_normalise},
        trials.LONG_SALIENCIES, (ranks.HISTOGRAM_ERROR, EXACT),
        {"Ranks of 800,000 saliencies": trials.saliency(800_000)},
    ),
    "exact ranks": Twins(
        {"sort of floats": ranks.plain_ranks, "two searches, in fixed shapes": ranks.searched_ranks,
         "radix sort of their bits": ranks.sorted_ranks},
        trials.SALIENCIES, (EXACT, EXACT, EXACT),
        {"Exact ranks of 800,000 saliencies": trials.saliency(800_000)},
    ),
    "ranks in fixed shapes": Twins(
        {"two searches": ranks.searched_ranks, "histogram that cannot decline": ranks.fixed_histogram_ranks,
         "histogram of their bits": ranks.rank_normalise},
        {kind: trials.LONG_SALIENCIES[kind] for kind in trials.WELL_SPREAD}, (ranks.HISTOGRAM_ERROR,), {},
    ),
    "count of non-zeros": Twins(
        {"comparison with 0": lambda saliency: (saliency > 0).sum(), "sum of the signs": _count},
        trials.SALIENCIES | trials.LONG_SALIENCIES, (EXACT, EXACT),
        {"Counting the non-zeros of 800,000 saliencies": trials.saliency(800_000)},
    ),
    "edit of rows": Twins(
        {"every row": lambda table, _: table.abs_(), "rows of the batch, in fixed shapes": _fixed(_edit),
         "rows of the batch": _edit},
        trials.TABLES, (EXACT, EXACT), {f"An edit of the gradient of {_BATCH}": _BIG},
    ),
    "sums of rows": Twins(
        {"every row": lambda table, _: table.sign().sum(0),
         "rows of the batch, in fixed shapes": _fixed(_sum), "rows of the batch": _sum},
        trials.TABLES, (EXACT, EXACT), {f"Counting in the gradient of {_BATCH}": _BIG},
    ),
    "rows with a gradient": Twins(
        {"any entry that is not zero": lambda table, _: (table != 0).any(1).nonzero().squeeze(1),
         "largest size": lambda table, _: torch.linalg.vector_norm(table, torch.inf, 1).nonzero().squeeze(1),
         "largest and smallest entry": lambda table, _: Rows.with_gradient(table).numbers},
        trials.TABLES, (EXACT, EXACT), {f"Finding the rows with a gradient of {_BATCH}": _BIG},
    ),
    "first places": Twins(
        {"every two places": shapes.first_places_by_pairs, "search in the sorted ids": shapes.first_places},
        trials.IDS, (EXACT,), {"First place of each of 16 x 64 words": trials.ids(16 * 64, 30_000)},
    ),
    "gradient of the words": Twins(
        {"a fresh dense tensor (autograd)": lambda table, tokens, gradient, _: fresh_gradient(
            table, tokens, gradient),
         "a kept buffer, touched rows cleared": _kept_gradient},
        trials.LOOKUPS, (1e-5, 1e-13),
        {"Gradient of a table of 30,000 x 300, 16 x 64 words": trials.lookup(30_000, 300, 16, 64, 0)},
    ),
    "responses": Twins(
        {"conv1d": lambda *inputs: convolution.conv1d_responses(*inputs[:3]),
         "unfolded windows, oneDNN product": lambda *inputs: _unfolded(*inputs[:3]),
         "conv2d, channels last": lambda *inputs: convolution.responses(*inputs[:3])},
        trials.FILTERS, (1e-4, 1e-12),
        {"Filters of width 5 over 16 x 256 words": trials.filters(
            16, 256, 300, 100, 5, full=True)},
    ),
    "maximum over time": Twins(
        {"conv1d and autograd": convolution.conv1d_max_over_time,
         "channels last and autograd": convolution.plain_max_over_time,
         "channels last, winning windows": convolution.max_over_time},
        trials.FILTERS, (1e-5, 1e-12),
        {"The same with ReLU and maximum, forward and backward": trials.filters(
            16, 256, 300, 100, 5, full=True)},
        with_gradient=True,
    ),
    "linear layer": Twins(
        {"linear (MKL)": F.linear, "1 x 1 convolution": _one_by_one, "oneDNN product": linear.linear},
        trials.LINEAR, (1e-5, 1e-13),
        {"Linear layer 300 -> 768 on 4,096 rows, forward and backward": trials.affine(
            4_096, 300, outputs=768)},
        with_gradient=True,
    ),
    "product": Twins(
        {"matmul (MKL)": lambda a, b: a @ b.t(), "oneDNN product": linear.product},
        trials.PRODUCTS, (1e-5, 1e-13),
        {"Product of 4,096 x 300 and 300 x 768": trials.normals((4_096, 300), (768, 300))},
    ),
    "cross product": Twins(
        {"matmul (MKL)": lambda a, b: a.t() @ b, "oneDNN product": linear.cross_product},
        trials.CROSS_PRODUCTS, (1e-5, 1e-13),
        {"Product of 768 x 4,096 and 4,096 x 300": trials.normals((4_096, 768), (4_096, 300))},
    ),
    "tanh": Twins(
        {"torch.tanh": torch.tanh, "2 sigmoid(2x) - 1": linear.tanh},
        trials.REALS, (2.4e-7, 5e-16),
        {"tanh of 1,048,576 entries, forward and backward": trials.normals((1_048_576,))},
        with_gradient=True,
    ),
    "reversal": Twins(
        {"text by text": recurrent.reverse_text_by_text, "gather": _gathered,
         "whole rows": recurrent.reverse_by_length},
        trials.SEQUENCES, (EXACT, EXACT),
        {"Reversing 16 x 256 x 300 in time, forward and backward": trials.sequences(
            256, 300, lambda _: torch.full((16,), 256))},
        with_gradient=True,
    ),
    "LSTM": Twins(
        {"torch, packed": recurrent.packed_layer, "torch, two one-way layers": recurrent.two_one_way_layers},
        trials.recurrent_layers(nn.LSTM), (2e-5, 1e-12),
        {"Bidirectional LSTM of 128, 16 texts of 128 to 256 words, forward and backward": trials.bucket(
            nn.LSTM, 128)},
        with_gradient=True,
    ),
    "GRU": Twins(
        {"torch, packed": recurrent.packed_layer, "torch, two one-way layers": recurrent.two_one_way_layers,
         "own gradient, steps by oneDNN": partial(gru.bidirectional_gru, by_mkl=lambda entries: False),
         "own gradient, steps by MKL": partial(gru.bidirectional_gru, by_mkl=lambda entries: True),
         "own gradient": gru.bidirectional_gru},
        trials.recurrent_layers(nn.GRU), (2e-5, 1e-12),
        {"Bidirectional GRU of 128, 16 texts of 128 to 256 words, forward and backward": trials.bucket(
            nn.GRU, 128),
         "Bidirectional GRU of 50, 320 sentences, forward and backward": trials.sentences(nn.GRU, 50)},
        with_gradient=True,
    ),
}  # fmt: skip
