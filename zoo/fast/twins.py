"""Every fast path beside its slow twin: one table, which the tests compare and the benchmark times.

`tests/zoo/fast/test_twins.py` compares the forms of every row in value and gradient;
`python -m zoo.bench levers` times them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.fast import trials
from zoo.fast.convolution import (
    conv1d_max_over_time,
    conv1d_responses,
    max_over_time,
    plain_max_over_time,
    responses,
)
from zoo.fast.gru import bidirectional_gru
from zoo.fast.linear import cross_product, linear, product, tanh
from zoo.fast.ranks import (
    HISTOGRAM_ERROR,
    count_nonzero,
    plain_ranks,
    rank_normalise,
    searched_ranks,
    sorted_ranks,
)
from zoo.fast.recurrent import packed_layer, reverse_by_gather, reverse_by_length, two_one_way_layers
from zoo.fast.rows import Rows
from zoo.fast.shapes import demand_fixed_shapes, first_places, first_places_by_pairs
from zoo.fast.trials import Make
from zoo.fast.word_gradient import WordGradient, fresh_gradient

Form = Callable[..., Tensor]
EXACT = 0.0  # bit for bit


@dataclass(frozen=True)
class Twins:
    """One piece of work and the forms that do it.

    Args:
        forms: by their names in print, the slow twin first; of the others one is in use, some serve other
            devices, some were tried and lost.
        kept: the name of the one in use on a CPU.
        inputs: by name, what makes the arguments from a generator and a type of float.
        tolerance: by type of float, the largest permitted difference of a value; ten times as much, relative
            and absolute, of a gradient.
        with_gradient: whether the gradient by every float argument is compared, and timed, as well.
        timed: by the title of the measurement, what makes arguments of the size of a training step.
    """

    forms: Mapping[str, Form]
    kept: str
    inputs: Mapping[str, Make]
    tolerance: Mapping[torch.dtype, float]
    timed: Mapping[str, Make] = field(default_factory=dict)
    with_gradient: bool = False


def leaves(inputs: tuple[Any, ...]) -> list[Tensor]:
    """What a gradient is taken by: the float tensors among the arguments, and the weights of the layers."""
    found: list[Tensor] = []
    for value in inputs:
        if isinstance(value, nn.Module):
            found += value.parameters()
        elif isinstance(value, Tensor) and value.is_floating_point():
            found.append(value.requires_grad_())
    return found


# --- forms that are a line, and forms that were tried and lost -------------------------------------------


def _count(saliency: Tensor) -> Tensor:
    return torch.tensor(count_nonzero(saliency))


def _row_sum(table: Tensor, ids: Tensor) -> Tensor:
    return Rows.of(ids).take(table).sign_().sum(0)


def _edit(table: Tensor, ids: Tensor) -> Tensor:
    rows = Rows.of(ids)
    rows.put(table, rows.take(table).abs_())
    return table


def _at_fixed_shapes(form: Form, *inputs: Tensor) -> Tensor:
    with demand_fixed_shapes():
        return form(*inputs)


def _kept_gradient(table: nn.Embedding, tokens: Tensor, gradient: Tensor, keeper: WordGradient) -> Tensor:
    table.weight.grad = None
    keeper.add(table, tokens, gradient)
    assert table.weight.grad is not None
    return table.weight.grad


def _unfolded(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The windows as rows of one matrix."""
    (texts, length, size), width = x.shape, weight.shape[2]
    windows = x.contiguous().as_strided((texts, length - width + 1, width * size), (length * size, size, 1))
    return linear(windows, weight.transpose(1, 2).flatten(1), bias)


def _one_by_one(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer as a convolution, which torch hands to oneDNN."""
    if x.numel() == 0:
        return F.linear(x, weight, bias)  # a convolution refuses an empty image
    image = x.flatten(0, -2).t()[None, :, None]
    return F.conv2d(image, weight[:, :, None, None], bias)[0, :, 0].t().unflatten(0, x.shape[:-1])


FLOAT, DOUBLE, HALF = torch.float32, torch.float64, torch.float16

TWINS: dict[str, Twins] = {
    "ranks": Twins(
        {"sort of floats": plain_ranks, "histogram of their bits": rank_normalise},
        "histogram of their bits",
        trials.LONG_SALIENCIES,
        {FLOAT: HISTOGRAM_ERROR, DOUBLE: EXACT},
        {"Ranks of 800,000 saliencies": trials.heavy_tails(800_000)},
    ),
    "exact ranks": Twins(
        {
            "sort of floats": plain_ranks,
            "two searches, in fixed shapes": searched_ranks,
            "radix sort of their bits": sorted_ranks,
        },
        "radix sort of their bits",
        trials.SALIENCIES,
        {FLOAT: EXACT, DOUBLE: EXACT, HALF: EXACT},
        {"Exact ranks of 800,000 saliencies": trials.heavy_tails(800_000)},
    ),
    "count of non-zeros": Twins(
        {"comparison with 0": lambda saliency: (saliency > 0).sum(), "sum of the signs": _count},
        "sum of the signs",
        trials.SALIENCIES | trials.LONG_SALIENCIES,
        {FLOAT: EXACT, DOUBLE: EXACT},
        {"Counting the non-zeros of 800,000 saliencies": trials.heavy_tails(800_000)},
    ),
    "rows": Twins(
        {
            "every row": lambda table, ids: table.abs_(),
            "rows of the batch, in fixed shapes": lambda table, ids: _at_fixed_shapes(_edit, table, ids),
            "rows of the batch": _edit,
        },
        "rows of the batch",
        trials.TABLES,
        {FLOAT: EXACT, DOUBLE: EXACT},
        {"An edit of the gradient of 30,000 x 300 words, 16 x 64 of them in the batch": trials.big_table},
    ),
    "sums of rows": Twins(
        {
            "every row": lambda table, _: table.sign().sum(0),
            "rows of the batch, in fixed shapes": lambda table, ids: _at_fixed_shapes(_row_sum, table, ids),
            "rows of the batch": _row_sum,
        },
        "rows of the batch",
        trials.TABLES,
        {FLOAT: EXACT, DOUBLE: EXACT},
        {"Counting in the gradient of 30,000 x 300 words, 16 x 64 of them in the batch": trials.big_table},
    ),
    "rows with a gradient": Twins(
        {
            "any entry that is not zero": lambda table, _: (table != 0).any(1).nonzero().squeeze(1),
            "largest entry": lambda table, _: Rows.with_gradient(table).numbers,
        },
        "largest entry",
        trials.TABLES,
        {FLOAT: EXACT, DOUBLE: EXACT},
        {"Finding the rows of 30,000 x 300 words that have a gradient": trials.big_table},
    ),
    "first places": Twins(
        {"every two places": first_places_by_pairs, "search in the sorted ids": first_places},
        "search in the sorted ids",
        trials.IDS,
        {FLOAT: EXACT},
        {"First place of each of 16 x 64 words": trials.ids(16 * 64, 30_000)},
    ),
    "gradient of the words": Twins(
        {
            "a fresh dense tensor (autograd)": lambda table, tokens, gradient, _: fresh_gradient(
                table, tokens, gradient
            ),
            "a kept buffer, touched rows cleared": _kept_gradient,
        },
        "a kept buffer, touched rows cleared",
        trials.LOOKUPS,
        {FLOAT: 1e-5, DOUBLE: 1e-13},
        {"Gradient of a table of 30,000 x 300, 16 x 64 words": trials.big_lookup},
    ),
    "responses": Twins(
        {
            "conv1d": conv1d_responses,
            "conv2d, channels last": responses,
            "unfolded windows, oneDNN product": _unfolded,
        },
        "conv2d, channels last",
        trials.FILTERS,
        {FLOAT: 1e-5, DOUBLE: 1e-12},
        {"Filters of width 5 over 16 x 256 words": trials.filters(16, 256, 300, 100, 5)},
    ),
    "maximum over time": Twins(
        {
            "conv1d and autograd": conv1d_max_over_time,
            "channels last and autograd": plain_max_over_time,
            "channels last, winning windows": max_over_time,
        },
        "channels last, winning windows",
        trials.POOLED,
        {FLOAT: 1e-5, DOUBLE: 1e-12},
        {
            "The same with ReLU and maximum, forward and backward": trials.pooled(
                16, 256, 300, 100, 5, full=True
            )
        },
        with_gradient=True,
    ),
    "linear layer": Twins(
        {"linear (MKL)": F.linear, "1 x 1 convolution": _one_by_one, "oneDNN product": linear},
        "oneDNN product",
        trials.LINEAR,
        {FLOAT: 1e-5, DOUBLE: 1e-13},
        {
            "Linear layer 300 -> 768 on 4,096 rows, forward and backward": trials.affine(
                (4_096, 300), outputs=768
            )
        },
        with_gradient=True,
    ),
    "product": Twins(
        {"matmul (MKL)": lambda a, b: a @ b.t(), "oneDNN product": product},
        "oneDNN product",
        trials.PRODUCTS,
        {FLOAT: 1e-5, DOUBLE: 1e-13},
        {"Product of 4,096 x 300 and 300 x 768": trials.matrices((4_096, 300), (768, 300))},
    ),
    "cross product": Twins(
        {"matmul (MKL)": lambda a, b: a.t() @ b, "oneDNN product": cross_product},
        "oneDNN product",
        trials.CROSS_PRODUCTS,
        {FLOAT: 1e-5, DOUBLE: 1e-13},
        {"Product of 768 x 4,096 and 4,096 x 300": trials.matrices((4_096, 768), (4_096, 300))},
    ),
    "tanh": Twins(
        {"torch.tanh": torch.tanh, "2 sigmoid(2x) - 1": tanh},
        "2 sigmoid(2x) - 1",
        trials.REALS,
        {FLOAT: 2.4e-7, DOUBLE: 5e-16},
        {"tanh of 1,048,576 entries, forward and backward": trials.normal(1_048_576)},
        with_gradient=True,
    ),
    "reversal": Twins(
        {"gather": reverse_by_gather, "whole rows": reverse_by_length},
        "whole rows",
        trials.SEQUENCES,
        {FLOAT: EXACT, DOUBLE: EXACT},
        {"Reversing 16 x 256 x 300 in time, forward and backward": trials.sequences(16, 256, 300)},
        with_gradient=True,
    ),
    "LSTM": Twins(
        {"torch, packed": packed_layer, "torch, two one-way layers": two_one_way_layers},
        "torch, two one-way layers",
        trials.recurrent_layers(nn.LSTM),
        {FLOAT: 2e-5, DOUBLE: 1e-12},
        {
            "Bidirectional LSTM of 128, 16 texts of 128 to 256 words, forward and backward": trials.bucket(
                nn.LSTM, 128
            )
        },
        with_gradient=True,
    ),
    "GRU": Twins(
        {
            "torch, packed": packed_layer,
            "torch, two one-way layers": two_one_way_layers,
            "own gradient": bidirectional_gru,
        },
        "own gradient",
        trials.recurrent_layers(nn.GRU),
        {FLOAT: 2e-5, DOUBLE: 1e-12},
        {
            "Bidirectional GRU of 128, 16 texts of 128 to 256 words, forward and backward": trials.bucket(
                nn.GRU, 128
            ),
            "Bidirectional GRU of 50, 320 sentences, forward and backward": trials.sentences(nn.GRU, 50),
        },
        with_gradient=True,
    ),
}
