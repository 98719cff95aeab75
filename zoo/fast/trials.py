"""What the fast paths are tried on: arguments of many shapes, edge cases among them, from a generator.

Index letters: B texts, T tokens, D vector size, H hidden units, F filters, W filter width, V words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from zoo.fast.word_gradient import WordGradient

Make = Callable[[Generator, torch.dtype], tuple[Any, ...]]
Kind = type[nn.LSTM] | type[nn.GRU]


def normals(*shapes: tuple[int, ...]) -> Make:
    """Tensors of normal numbers."""
    return lambda g, dtype: tuple(_normal(g, dtype, *shape) for shape in shapes)


def _normal(g: Generator, dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=g).to(dtype)


def _whole(g: Generator, low: int, high: int, *shape: int) -> Tensor:
    """Whole numbers from low up to and without high."""
    return torch.randint(low, high, shape, generator=g)


def _some(g: Generator, low: int, high: int) -> int:
    return int(_whole(g, low, high))


# --- saliencies, not negative -----------------------------------------------------------------------------


def saliency(entries: int, change: Callable[[Tensor], Tensor] = lambda x: x**3) -> Make:
    """(entries,) absolute values of `change` of normal numbers; cubes have the heavy tails of gradients."""
    return lambda g, dtype: (change(torch.randn(entries, generator=g)).abs().to(dtype),)


def _third_zero(x: Tensor) -> Tensor:
    return x * (torch.arange(len(x)) % 3 > 0)


def _infinite(x: Tensor) -> Tensor:
    return x.index_fill(0, torch.tensor([len(x) // 2]), torch.inf)


def _denormal(g: Generator, dtype: torch.dtype) -> tuple[Tensor]:
    return (
        (8 * torch.randn(99, generator=g)).round().abs().to(dtype) * torch.finfo(dtype).smallest_normal / 8,
    )


SALIENCIES: dict[str, Make] = {
    "none": saliency(0),
    "one": saliency(1, lambda x: x + 9),
    "one zero": saliency(1, lambda x: 0 * x),
    "two alike": saliency(2, lambda x: 0 * x + 1),
    "all zero": saliency(9, lambda x: 0 * x),
    "one of them not zero": saliency(9, lambda x: x * (torch.arange(9) == 4)),
    "ties": saliency(200, lambda x: (2 * x).round()),
    "ties at both ends": saliency(200, lambda x: x.abs().clamp(0.5, 1)),
    "denormal": _denormal,
    "infinity": saliency(50, _infinite),
    "all different": saliency(1_000),
    "a third zero": saliency(1_001, _third_zero),
}
LONG_SALIENCIES: dict[str, Make] = {
    "normal": saliency(60_000, lambda x: x),
    "heavy tails": saliency(60_000),
    "log-normal, wide": saliency(60_000, lambda x: (8 * x).exp()),
    "many zeros": saliency(60_000, _third_zero),
    "one value very often": saliency(60_000, lambda x: x.where(x < 0.5, 3.0)),
    "few values": saliency(60_000, lambda x: (2 * x).round()),
    "all in one bin": saliency(60_000, lambda x: 1 + 1e-5 * x.abs()),
    "denormal": saliency(60_000, lambda x: 1e-38 * x),
    "all zero": saliency(60_000, lambda x: 0 * x),
    "infinity": saliency(60_000, _infinite),
}

WELL_SPREAD = (
    "normal",
    "heavy tails",
    "log-normal, wide",
    "many zeros",
    "denormal",
)  # no bin of them is full


# --- tables of words, and the ids of a batch --------------------------------------------------------------


def ids(count: int, words: int) -> Make:
    """(count,) ids."""
    return lambda g, _: (_whole(g, 0, words, count),)


IDS: dict[str, Make] = {
    "none": ids(0, 5), "one": ids(1, 5), "all alike": ids(7, 1), "repeated": ids(40, 9), "rare": ids(9, 999),
}  # fmt: skip


def table(words: int, size: int, shape: tuple[int, ...], most: int | None = None, scale: float = 1.0) -> Make:
    """A gradient (V, D) whose rows are zero but for those of the ids below `most`, and these ids."""

    def make(g: Generator, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        used = _whole(g, 0, words if most is None else most, *shape)
        rows = scale * _normal(g, dtype, len(used.unique()), size)
        return torch.zeros(words, size, dtype=dtype).index_copy_(0, used.unique(), rows), used

    return make


TABLES: dict[str, Make] = {
    "no text": table(9, 3, (0, 4)),
    "one word": table(9, 3, (1, 1)),
    "all padding": table(9, 3, (2, 4), 1),
    "repeated": table(9, 3, (3, 7), 6),
    "tiny": table(9, 3, (2, 4), scale=1e-30),
}


def lookup(words: int, size: int, texts: int, length: int, padding: int | None) -> Make:
    """A table of words, tokens (B, T), the gradient (B, T, D) of the looked-up vectors, and a keeper."""

    def make(g: Generator, dtype: torch.dtype) -> tuple[nn.Embedding, Tensor, Tensor, WordGradient]:
        words_table = nn.Embedding(words, size, padding_idx=padding, dtype=dtype)
        tokens = _whole(g, 0, words, texts, length)
        return words_table, tokens, _normal(g, dtype, texts, length, size), WordGradient()

    return make


LOOKUPS: dict[str, Make] = {
    "no text": lookup(9, 3, 0, 4, 0),
    "one word": lookup(9, 3, 1, 1, None),
    "all padding": lookup(1, 3, 2, 4, 0),
    "repeated": lookup(5, 3, 4, 9, None),
    "repeated, with padding": lookup(5, 3, 4, 9, 0),
    "padding is the last word": lookup(5, 3, 4, 9, 4),
}


# --- filters over texts: vectors (B, T, D), weight (F, D, W), bias (F,) -----------------------------------


def filters(
    texts: int, length: int, size: int, count: int, width: int, bias: float | None = None, full: bool = False
) -> Make:
    """These three, and (B,) the windows that count (all, if `full`); `bias`: in place of normal numbers."""

    def make(g: Generator, dtype: torch.dtype) -> tuple[Tensor, ...]:
        x, weight, shift = normals((texts, length, size), (count, size, width), (count,))(g, dtype)
        shift = shift if bias is None else torch.full_like(shift, bias)
        most = length - width + 1
        windows = _whole(g, most if full else 1, most + 1, texts)
        return x, weight / (size * width) ** 0.5, shift, windows

    return make


def _any_filters(g: Generator, dtype: torch.dtype) -> tuple[Tensor, ...]:
    width = _some(g, 1, 6)
    return filters(_some(g, 1, 5), width + _some(g, 0, 9), _some(g, 1, 7), _some(g, 1, 6), width)(g, dtype)


FILTERS: dict[str, Make] = {
    "any": _any_filters,
    "one window": filters(2, 3, 4, 5, 3),
    "no filter answers": filters(2, 5, 6, 4, 2, bias=-1e3),
    "a text's size": filters(4, 64, 50, 30, 3),
}


# --- matrices ---------------------------------------------------------------------------------------------


def affine(*shape: int, outputs: int = 4) -> Make:
    """x (..., D), weight (C, D), bias (C,)."""
    return normals(shape, (outputs, shape[-1]), (outputs,))


def _strided(g: Generator, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return _normal(g, dtype, 6, 9).t()[:, 1:5], _normal(g, dtype, 7, 8)[:, ::2]


LINEAR: dict[str, Make] = {
    "many rows": affine(200, 7), "texts": affine(5, 40, 7), "few rows": affine(63, 7), "none": affine(0, 7),
    "just enough rows": affine(64, 7), "one column": affine(64, 1),
}  # fmt: skip
PRODUCTS: dict[str, Make] = {
    "any": normals((9, 5), (7, 5)), "one row": normals((1, 5), (7, 5)), "none": normals((0, 5), (7, 5)),
    "strided": _strided,
}  # fmt: skip
CROSS_PRODUCTS: dict[str, Make] = {
    "first smaller": normals((9, 5), (9, 6)), "second smaller": normals((9, 6), (9, 5)),
    "one row": normals((1, 5), (1, 6)), "none": normals((0, 5), (0, 6)),
}  # fmt: skip
REALS: dict[str, Make] = {
    "none": normals((0,)),
    "a line": lambda g, dtype: (torch.linspace(-20, 20, 4_001, dtype=dtype),),
    "extremes": lambda g, dtype: (torch.tensor([0.0, -0.0, 1e-30, 200.0, -200.0, 1e-40], dtype=dtype),),
}


# --- sequences (B, T, D) of texts of these lengths --------------------------------------------------------

Lengths = Callable[[Generator], Tensor]


def sequences(padded: int, size: int, lengths: Lengths) -> Make:
    """Vectors (B, T, D) and the lengths (B,)."""

    def make(g: Generator, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        texts = lengths(g)
        return _normal(g, dtype, len(texts), padded, size), texts

    return make


def layers(kind: Kind, padded: int, size: int, hidden: int, lengths: Lengths) -> Make:
    """Vectors (B, T, D), mask (B, T), and a one-way layer for each direction."""

    def make(g: Generator, dtype: torch.dtype) -> tuple[Tensor, Tensor, nn.Module, nn.Module]:
        x, texts = sequences(padded, size, lengths)(g, dtype)
        ahead, back = (kind(size, hidden, batch_first=True, dtype=dtype) for _ in range(2))
        for weight in (*ahead.parameters(), *back.parameters()):
            weight.data = _normal(g, dtype, *weight.shape) / hidden**0.5
        return x, torch.arange(padded) < texts[:, None], ahead, back

    return make


LENGTHS: dict[str, Lengths] = {
    "any": lambda g: _whole(g, 0, 7, _some(g, 1, 6)),
    "one token": lambda g: torch.tensor([1]),
    "all full": lambda g: torch.full((3,), 6),
    "all padding": lambda g: torch.zeros(3, dtype=torch.int64),
}
SEQUENCES = {name: sequences(6, 3, lengths) for name, lengths in LENGTHS.items()}


def recurrent_layers(kind: Kind) -> dict[str, Make]:
    """Also more states than the GRU's small product takes, and fewer in later steps."""
    return {
        **{name: layers(kind, 6, 4, 3, lengths) for name, lengths in LENGTHS.items()},
        "a text's size": layers(kind, 30, 20, 16, lambda g: torch.tensor([30, 30, 11, 5, 29, 1])),
        "many texts": layers(kind, 5, 5, 64, lambda g: _whole(g, 0, 6, 150)),
    }


def bucket(kind: Kind, hidden: int) -> Make:
    """16 texts of 128 to 256 words; texts of a bucket differ less."""
    return layers(kind, 256, 300, hidden, lambda g: torch.linspace(128, 256, 16).long())


def sentences(kind: Kind, hidden: int) -> Make:
    """The words of `han`: 320 sentences of 1 to 19 words, padded to 30."""
    return layers(kind, 30, 300, hidden, lambda g: _whole(g, 1, 20, 320))
