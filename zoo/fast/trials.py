"""What the fast paths are tried on: arguments of many shapes, edge cases among them, from a generator.

Index letters: B texts, T tokens, D vector size, H hidden units, F filters, W filter width, V words,
d entries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from zoo.fast.word_gradient import WordGradient

Make = Callable[[Generator, torch.dtype], tuple[Any, ...]]


def normal(*shape: int) -> Make:
    """One tensor of normal numbers."""
    return lambda g, dtype: (_normal(g, dtype, *shape),)


def _normal(g: Generator, dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=g).to(dtype)


def _whole(g: Generator, low: int, high: int, *shape: int) -> Tensor:
    """Whole numbers from low up to and without high."""
    return torch.randint(low, high, shape, generator=g)


def _some(g: Generator, low: int, high: int) -> int:
    return int(_whole(g, low, high))


# --- saliencies (d,), not negative ------------------------------------------------------------------------


def _saliency(change: Callable[[Tensor], Tensor], entries: int) -> Make:
    """The absolute values of `change` of normal numbers."""
    return lambda g, dtype: (change(torch.randn(entries, generator=g)).abs().to(dtype),)


def _zeros(x: Tensor) -> Tensor:
    return torch.zeros_like(x)


def heavy_tails(entries: int) -> Make:
    """As gradients are: cubes of normal numbers."""
    return _saliency(lambda x: x**3, entries)


def _every_third_zero(x: Tensor) -> Tensor:
    return x * (torch.arange(len(x)) % 3 > 0)


def _with_infinity(x: Tensor) -> Tensor:
    return x.index_fill(0, torch.tensor([len(x) // 2]), torch.inf)


SALIENCIES: dict[str, Make] = {
    "none": normal(0),
    "one": _saliency(torch.ones_like, 1),
    "one zero": _saliency(_zeros, 1),
    "two alike": _saliency(torch.ones_like, 2),
    "all zero": _saliency(_zeros, 9),
    "one of them not zero": _saliency(lambda x: x * (torch.arange(9) == 4), 9),
    "ties": _saliency(lambda x: (2 * x).round(), 200),
    "ties at both ends": _saliency(lambda x: x.clamp(-1, 1).where(x.abs() > 0.5, 0.5), 200),
    "negative zeros": _saliency(lambda x: -torch.zeros_like(x), 5),
    "denormal": lambda g, dtype: (
        torch.randn(99, generator=g).abs().mul(8).round().to(dtype) * torch.finfo(dtype).smallest_normal / 8,
    ),
    "infinity": _saliency(_with_infinity, 50),
    "all different": _saliency(lambda x: x, 1_000),
    "heavy tails, zeros": _saliency(lambda x: _every_third_zero(x**3), 1_001),
}
LONG_SALIENCIES: dict[str, Make] = {
    name: _saliency(change, 60_000)
    for name, change in {
        "normal": lambda x: x,
        "heavy tails": lambda x: x**3,
        "log-normal, wide": lambda x: (8 * x).exp(),
        "many zeros": _every_third_zero,
        "one value very often": lambda x: x.where(x < 0.5, 3.0),
        "few values": lambda x: (2 * x).round(),
        "all in one bin": lambda x: 1 + 1e-5 * x.abs(),
        "denormal": lambda x: x * 1e-38,
        "all zero": _zeros,
        "infinity": _with_infinity,
    }.items()
}  # fmt: skip


# --- tables of words, and the ids of a batch --------------------------------------------------------------


def ids(count: int, words: int) -> Make:
    """(count,) ids."""
    return lambda g, _: (_whole(g, 0, words, count),)


IDS: dict[str, Make] = {
    "none": ids(0, 5), "one": ids(1, 5), "all alike": ids(7, 1), "repeated": ids(40, 9), "rare": ids(9, 999),
}  # fmt: skip


def _table(g: Generator, dtype: torch.dtype, words: int, size: int, used: Tensor) -> tuple[Tensor, Tensor]:
    """A gradient (V, D) whose rows are zero but for those of the ids `used`."""
    table = torch.zeros(words, size, dtype=dtype)
    return table.index_copy_(0, used.unique(), _normal(g, dtype, len(used.unique()), size)), used


TABLES: dict[str, Make] = {
    "no text": lambda g, dtype: _table(g, dtype, 9, 3, _whole(g, 0, 9, 0, 4)),
    "one word": lambda g, dtype: _table(g, dtype, 9, 3, _whole(g, 0, 9, 1, 1)),
    "all padding": lambda g, dtype: _table(g, dtype, 9, 3, torch.zeros(2, 4, dtype=torch.int64)),
    "repeated": lambda g, dtype: _table(g, dtype, 9, 3, _whole(g, 0, 6, 3, 7)),
    "every word": lambda g, dtype: _table(g, dtype, 9, 3, torch.arange(9)),
    "tiny": lambda g, dtype: (_table(g, dtype, 9, 3, torch.arange(4))[0] * 1e-30, torch.arange(4)),
}


def big_table(g: Generator, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """30,000 x 300, of which 16 x 64 places are read."""
    return _table(g, dtype, 30_000, 300, _whole(g, 0, 30_000, 16, 64))


def lookup(words: int, size: int, texts: int, length: int, padding: int | None, low: int = 0) -> Make:
    """A table of words, tokens (B, T), the gradient (B, T, D) of the looked-up vectors, and a keeper."""

    def make(g: Generator, dtype: torch.dtype) -> tuple[nn.Embedding, Tensor, Tensor, WordGradient]:
        table = nn.Embedding(words, size, padding_idx=padding, dtype=dtype)
        tokens = _whole(g, low, words, texts, length)
        return table, tokens, _normal(g, dtype, texts, length, size), WordGradient()

    return make


LOOKUPS: dict[str, Make] = {
    "no text": lookup(9, 3, 0, 4, 0),
    "one word": lookup(9, 3, 1, 1, None),
    "all padding": lookup(1, 3, 2, 4, 0),
    "repeated": lookup(5, 3, 4, 9, None),
    "repeated, with padding": lookup(5, 3, 4, 9, 0),
    "padding is the last word": lookup(5, 3, 4, 9, 4),
}
big_lookup = lookup(30_000, 300, 16, 64, 0, low=1)


# --- filters over texts -----------------------------------------------------------------------------------


def filters(texts: int, length: int, size: int, count: int, width: int) -> Make:
    """Vectors (B, T, D), weight (F, D, W), bias (F,)."""
    return lambda g, dtype: (
        _normal(g, dtype, texts, length, size),
        _normal(g, dtype, count, size, width) / (size * width) ** 0.5,
        _normal(g, dtype, count),
    )


def pooled(texts: int, length: int, size: int, count: int, width: int, full: bool = False) -> Make:
    """The same and (B,) the windows that count, drawn, or all of them."""

    def make(g: Generator, dtype: torch.dtype) -> tuple[Tensor, ...]:
        most = length - width + 1
        windows = torch.full((texts,), most) if full else _whole(g, 1, most + 1, texts)
        return *filters(texts, length, size, count, width)(g, dtype), windows

    return make


def _any_filters(g: Generator, dtype: torch.dtype) -> tuple[Tensor, ...]:
    width = _some(g, 1, 6)
    return pooled(_some(g, 1, 5), width + _some(g, 0, 9), _some(g, 1, 7), _some(g, 1, 6), width)(g, dtype)


def _silent(g: Generator, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """No filter answers anywhere."""
    x, weight, bias, windows = pooled(2, 5, 6, 4, 2)(g, dtype)
    return x, weight, bias - 1e3, windows


FILTERS: dict[str, Make] = {
    "any": lambda g, dtype: _any_filters(g, dtype)[:3],
    "one window": filters(2, 3, 4, 5, 3),
    "a text's size": filters(4, 64, 50, 30, 3),
}
POOLED: dict[str, Make] = {
    "any": _any_filters,
    "one window": pooled(2, 3, 4, 5, 3),
    "one text, all windows": pooled(1, 9, 4, 5, 2, full=True),
    "silent": _silent,
    "a text's size": pooled(4, 64, 50, 30, 3),
}


# --- matrices ---------------------------------------------------------------------------------------------


def affine(shape: tuple[int, ...], outputs: int) -> Make:
    """x (..., D), weight (C, D), bias (C,)."""
    return lambda g, dtype: (
        _normal(g, dtype, *shape),
        _normal(g, dtype, outputs, shape[-1]),
        _normal(g, dtype, outputs),
    )


def matrices(*shapes: tuple[int, int]) -> Make:
    """Matrices of these shapes."""
    return lambda g, dtype: tuple(_normal(g, dtype, *shape) for shape in shapes)


def _strided(g: Generator, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return _normal(g, dtype, 6, 9).t()[:, 1:5], _normal(g, dtype, 7, 8)[:, ::2]


LINEAR: dict[str, Make] = {
    f"{shape}": affine(shape, 4)
    for shape in ((200, 7), (5, 40, 7), (3, 7), (0, 7), (63, 7), (64, 7), (64, 1))
}
PRODUCTS: dict[str, Make] = {
    "9 x 5": matrices((9, 5), (7, 5)), "one row": matrices((1, 5), (7, 5)), "none": matrices((0, 5), (7, 5)),
    "strided": _strided,
}  # fmt: skip
CROSS_PRODUCTS: dict[str, Make] = {
    "first smaller": matrices((9, 5), (9, 6)),
    "second smaller": matrices((9, 6), (9, 5)),
    "one row": matrices((1, 5), (1, 6)),
    "none": matrices((0, 5), (0, 6)),
}
REALS: dict[str, Make] = {
    "none": normal(0),
    "a line": lambda g, dtype: (torch.linspace(-20, 20, 4_001, dtype=dtype),),
    "extremes": lambda g, dtype: (torch.tensor([0.0, -0.0, 1e-30, 200.0, -200.0, 1e-40], dtype=dtype),),
}


# --- sequences (B, T, D) ----------------------------------------------------------------------------------


def sequences(texts: int, length: int, size: int) -> Make:
    """Vectors and (B,) lengths, all of them full."""
    return lambda g, dtype: (_normal(g, dtype, texts, length, size), torch.full((texts,), length))


def _any_sequences(g: Generator, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    texts, length = _some(g, 1, 6), _some(g, 1, 9)
    return _normal(g, dtype, texts, length, 3), _whole(g, 0, length + 1, texts)


SEQUENCES: dict[str, Make] = {
    "any": _any_sequences,
    "no text": sequences(0, 4, 3),
    "full": sequences(3, 5, 2),
    "all padding": lambda g, dtype: (_normal(g, dtype, 3, 5, 2), torch.zeros(3, dtype=torch.int64)),
}

Kind = type[nn.LSTM] | type[nn.GRU]


def layer(kind: Kind, size: int, hidden: int, padded: int, lengths: Callable[[Generator], Tensor]) -> Make:
    """Vectors (B, T, D) of texts of these lengths, mask (B, T), and a one-way layer for each direction."""

    def make(g: Generator, dtype: torch.dtype) -> tuple[Tensor, Tensor, nn.Module, nn.Module]:
        ahead, back = (kind(size, hidden, batch_first=True, dtype=dtype) for _ in range(2))
        for weight in (*ahead.parameters(), *back.parameters()):
            weight.data = _normal(g, dtype, *weight.shape) / hidden**0.5
        tokens = lengths(g)
        mask = torch.arange(padded) < tokens[:, None]
        return _normal(g, dtype, len(tokens), padded, size), mask, ahead, back

    return make


def recurrent_layers(kind: Kind) -> dict[str, Make]:
    """Texts of any lengths; empty ones; more states than the GRU's small product takes, and fewer later."""
    return {
        "any": layer(kind, 4, 3, 6, lambda g: _whole(g, 0, 7, _some(g, 1, 6))),
        "one token": layer(kind, 4, 3, 6, lambda g: torch.tensor([1])),
        "one empty text": layer(kind, 4, 3, 6, lambda g: torch.tensor([0])),
        "all alike": layer(kind, 4, 3, 6, lambda g: torch.full((3,), 6)),
        "all padding": layer(kind, 4, 3, 6, lambda g: torch.zeros(3, dtype=torch.int64)),
        "a text's size": layer(kind, 20, 16, 30, lambda g: torch.tensor([30, 30, 11, 5, 29, 1])),
        "many texts": layer(kind, 5, 64, 5, lambda g: _whole(g, 0, 6, 90)),
    }


def bucket(kind: Kind, hidden: int) -> Make:
    """16 texts of 128 to 256 words; texts of a bucket differ less."""
    return layer(kind, 300, hidden, 256, lambda g: torch.linspace(128, 256, 16).long())


def sentences(kind: Kind, hidden: int) -> Make:
    """The words of `han`: 320 sentences of 1 to 19 words, padded to 30."""
    return layer(kind, 300, hidden, 30, lambda g: _whole(g, 1, 20, 320))
