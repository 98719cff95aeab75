"""What each fast path gains: the variants of one piece of work, run in turn.

The first variant is the slow twin, `kept` names the one in use; others were tried and lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from bench.cases import Case, Feed, make_trainee
from bench.timing import interleaved, ratio, timed
from bench.twin import Twin
from zoo.fast.convolution import max_over_time, plain_max_over_time
from zoo.fast.gru import bidirectional_gru
from zoo.fast.linear import linear, tanh_
from zoo.fast.memory import keep_freed_memory
from zoo.fast.ranks import histogram_ranks, sorted_ranks
from zoo.fast.rows import Rows
from zoo.fast.shapes import demand_fixed_shapes
from zoo.fast.word_gradient import WordGradient
from zoo.method.forward.attack import perturbation
from zoo.method.step import train_step
from zoo.models.layers import BiRecurrent, reverse_by_length

Variants = dict[str, Callable[[], object]]
B, T, D, V, H = 16, 256, 300, 30_000, 128


def measure_levers(rounds: int, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One entry a lever: title, kept, and of each variant milliseconds and its ratio to the first."""
    keep_freed_memory()
    torch.manual_seed(0)
    found = []
    for title, kept, variants in LEVERS:
        report(title)
        steps = {name: timed(step) for name, step in variants().items()}
        found.append(_entry(title, kept, interleaved(steps, rounds)))
    report("allocator")
    found.append(_allocator(rounds))
    return found


def _entry(title: str, kept: str, times: dict[str, Any]) -> dict[str, Any]:
    first = next(iter(times.values()))
    rows = []
    for name, measured in times.items():
        low, middle, high = measured.spread()
        gain = ratio(first, measured)[1]
        rows.append({"variant": name, "ms": middle, "quartiles": [low, high], "gain": gain})
    return {"title": title, "kept": kept, "variants": rows}


def _ranks() -> Variants:
    saliency = torch.randn(800_000).pow(3).abs()

    def by_floats() -> Tensor:
        order = saliency.argsort()
        ranks = torch.empty_like(saliency)
        ranks[order] = torch.arange(len(saliency), dtype=saliency.dtype)
        return ranks / (len(saliency) - 1)

    return {
        "sort of floats": by_floats,
        "radix sort of their bits": lambda: sorted_ranks(saliency),
        "histogram of their bits": lambda: histogram_ranks(saliency),
    }


def _mask() -> Variants:
    """The selective update of a step of textcnn at length 64, over all entries or over touched rows."""
    case = Case("textcnn", "uegr", 64)
    trainee, _ = make_trainee(case)
    batch = Feed(case)()
    weight = trainee.model.embedding.weight
    rows = Rows.of(batch.tokens)
    update = trainee.selective
    assert update is not None
    gradients = [torch.randn_like(p) for p in trainee.model.parameters()]

    def apply(touched: dict[Tensor, Rows] | None) -> None:
        for parameter, gradient in zip(trainee.model.parameters(), gradients, strict=True):
            if parameter is weight:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                rows.put(parameter.grad, rows.take(gradient))
            else:
                parameter.grad = gradient.clone()
        update.apply(touched)

    return {"every entry": lambda: apply(None), "rows of the batch": lambda: apply({weight: rows})}


def _word_gradient() -> Variants:
    table, keeper = nn.Embedding(V, D, padding_idx=0), WordGradient()
    tokens = Feed(Case("textcnn", "standard", 64))().tokens
    gradient = torch.randn(*tokens.shape, D)

    def autograd() -> None:
        table.weight.grad = None
        table(tokens).backward(gradient)

    def kept() -> None:
        table.weight.grad = None
        keeper.add(table, tokens, gradient)

    return {"a fresh dense tensor (autograd)": autograd, "a kept buffer, touched rows cleared": kept}


def _optimizer() -> Variants:
    table = nn.Parameter(torch.randn(V, D))
    table.grad = torch.zeros_like(table)
    forms: dict[str, dict[str, Any]] = {"default": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}
    return {name: torch.optim.AdamW([table], lr=1e-4, **options).step for name, options in forms.items()}


def _convolution() -> Variants:
    x, weight = torch.randn(B, T, D, requires_grad=True), torch.randn(100, D, 5, requires_grad=True)
    bias, windows, gradient = torch.zeros(100), torch.full((B,), T - 4), torch.randn(B, 100)

    def plain() -> Tensor:
        return F.relu(F.conv1d(x.transpose(1, 2), weight, bias)).amax(2)

    return {
        "conv1d and autograd": lambda: plain().backward(gradient),
        "channels last and autograd": lambda: plain_max_over_time(x, weight, bias, windows).backward(
            gradient
        ),
        "channels last, winning windows": lambda: max_over_time(x, weight, bias, windows).backward(gradient),
    }


def _response() -> Variants:
    x, weight, bias = torch.randn(B, T, D), torch.randn(100, D, 5), torch.zeros(100)
    last = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    rows = weight.transpose(1, 2).reshape(100, -1)

    def unfolded() -> Tensor:
        windows = x.as_strided((B, T - 4, 5 * D), (T * D, D, 1))
        return linear(windows, rows, bias)

    return {
        "conv1d": lambda: F.conv1d(x.transpose(1, 2), weight, bias),
        "conv2d, channels last": lambda: F.conv2d(x.transpose(1, 2).unsqueeze(2), last, bias),
        "unfolded windows, oneDNN product": unfolded,
    }


def _recurrent(kind: type[nn.LSTM] | type[nn.GRU]) -> tuple[BiRecurrent, Tensor, Tensor, Variants]:
    layer, packed = BiRecurrent(kind, D, H), kind(D, H, batch_first=True, bidirectional=True)
    lengths = torch.linspace(T / 2, T, B).long()  # texts of a bucket differ less
    x, mask = torch.randn(B, T, D, requires_grad=True), torch.arange(T) < lengths[:, None]
    gradient = torch.randn(B, T, 2 * H)

    def one_packed() -> None:
        states, _ = packed(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        states.data.backward(torch.ones_like(states.data))

    variants: Variants = {
        "torch, packed": one_packed,
        "torch, two one-way layers": lambda: layer.plain(x, mask).backward(gradient),
    }
    return layer, x, mask, variants


def _lstm() -> Variants:
    return _recurrent(nn.LSTM)[3]


def _gru() -> Variants:
    layer, x, mask, variants = _recurrent(nn.GRU)
    gradient = torch.randn(B, T, 2 * H)
    return variants | {"own gradient": lambda: layer(x, mask).backward(gradient)}


def _sentences() -> Variants:
    """The words of `han`: 320 sentences of 1 to 19 words, padded to 30."""
    layer = BiRecurrent(nn.GRU, D, 50)
    mask = torch.arange(30) < torch.randint(1, 20, (320, 1))
    x, gradient = torch.randn(320, 30, D, requires_grad=True), torch.randn(320, 30, 100)
    ahead, back = layer.ahead, layer.back
    assert isinstance(ahead, nn.GRU)
    assert isinstance(back, nn.GRU)
    return {
        "torch, two one-way layers": lambda: layer.plain(x, mask).backward(gradient),
        "own gradient, packed": lambda: bidirectional_gru(x, mask, ahead, back).backward(gradient),
    }


def _product() -> Variants:
    x, weight = torch.randn(B * T, D, requires_grad=True), torch.randn(6 * H, D, requires_grad=True)
    bias, gradient = torch.zeros(6 * H), torch.randn(B * T, 6 * H)

    def convolution() -> Tensor:
        return F.conv2d(x.t()[None, :, None], weight[:, :, None, None], bias)[0, :, 0].t()

    return {
        "linear (MKL)": lambda: F.linear(x, weight, bias).backward(gradient),
        "1 x 1 convolution": lambda: convolution().backward(gradient),
        "oneDNN product": lambda: linear(x, weight, bias).backward(gradient),
    }


def _tanh() -> Variants:
    x = torch.randn(B * T * 2 * H)
    return {"torch.tanh": lambda: torch.tanh(x), "2 sigmoid(2x) - 1": lambda: tanh_(x.clone())}


def _fgsm() -> Variants:
    gradient, mask = torch.randn(B, T, D), torch.ones(B, T, dtype=torch.bool)

    def general() -> Tensor:
        with demand_fixed_shapes():
            return perturbation(gradient, mask, 0.1)

    return {
        "entry by entry, whatever is finite": general,
        "all finite, known by one sum": lambda: perturbation(gradient, mask, 0.1),
    }


def _reverse() -> Variants:
    x, lengths = torch.randn(B, T, D, requires_grad=True), torch.full((B,), T)
    gradient, index = torch.randn(B, T, D), torch.arange(T).flip(0)[None, :, None].expand(B, T, D)
    return {
        "gather": lambda: x.gather(1, index).backward(gradient),
        "whole rows": lambda: reverse_by_length(x, lengths).backward(gradient),
    }


def _shared(case: Case) -> Variants:
    """Whole passes for each sub-model, against what they share."""
    (trainee, optimizer), feed = make_trainee(case), Feed(case)
    usual = trainee.shares_trunk, trainee.repeats_late

    def step(flags: tuple[bool, bool]) -> None:
        trainee.shares_trunk, trainee.repeats_late = flags
        train_step(trainee, feed(), optimizer)

    return {
        "K whole passes": lambda: step((False, False)),
        "what is alike computed once": lambda: step(usual),
    }


def _trunk() -> Variants:
    return _shared(Case("textcnn", "uegr", 256))


def _first_layer() -> Variants:
    return _shared(Case("texthan", "uegr", 64, sizes="paper"))


def _words() -> Variants:
    return _shared(Case("han", "uegr", 256))


def _allocator(rounds: int) -> dict[str, Any]:
    """Whole steps in processes of their own."""
    case = Case("textcnn", "uegr", 256)
    huge = {"THP_MEM_ALLOC_ENABLE": "1"}
    with Twin(1) as usual, Twin(1) as kept, Twin(1, huge) as pages, Twin(1, huge) as both:
        variants = {
            "as it comes": (usual, "zoo"),
            "freed memory kept": (kept, "zoo, memory kept"),
            "huge pages": (pages, "zoo"),
            "freed memory kept, huge pages": (both, "zoo, memory kept"),
        }
        for twin, what in variants.values():
            twin.take(case, what)
        times = interleaved({name: twin.step for name, (twin, _) in variants.items()}, rounds, warm_up=5)
    return _entry("UEGR step of textcnn, length 256: memory", "freed memory kept", times)


LEVERS: list[tuple[str, str, Callable[[], Variants]]] = [
    ("Ranks of 800,000 saliencies", "histogram of their bits", _ranks),
    ("Selective update, textcnn, length 64", "rows of the batch", _mask),
    (
        f"Gradient of a table of {V:,} x {D}, 16 x 64 words",
        "a kept buffer, touched rows cleared",
        _word_gradient,
    ),
    (f"AdamW on a table of {V:,} x {D}", "fused", _optimizer),
    ("Filters of width 5 over 16 x 256 words, forward", "conv2d, channels last", _response),
    ("The same with ReLU and maximum, forward and backward", "channels last, winning windows", _convolution),
    ("Linear layer 300 -> 768 on 4,096 rows, forward and backward", "oneDNN product", _product),
    (
        "Bidirectional LSTM of 128, 16 texts of 128 to 256 words, forward and backward",
        "torch, two one-way layers",
        _lstm,
    ),
    ("Bidirectional GRU of 128, 16 texts of 128 to 256 words, forward and backward", "own gradient", _gru),
    ("Bidirectional GRU of 50, 320 sentences, forward and backward", "own gradient, packed", _sentences),
    ("FGSM perturbation of 16 x 256 words", "all finite, known by one sum", _fgsm),
    ("Reversing 16 x 256 x 300 in time, forward and backward", "whole rows", _reverse),
    ("tanh of 1,048,576 entries", "2 sigmoid(2x) - 1", _tanh),
    ("UEGR step of textcnn, length 256: dropout behind the trunk", "what is alike computed once", _trunk),
    ("UEGR step of texthan, two layers of 300, length 64", "what is alike computed once", _first_layer),
    ("UEGR step of han, length 256: dropout of sentences", "what is alike computed once", _words),
]
