"""Both directions of a recurrent layer at once on a GPU: the order of forks and joins, told by a stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import tiny
from zoo.fast import streams
from zoo.fast.recurrent import two_one_way_layers
from zoo.fast.streams import at_once

CPU = torch.device("cpu")


class Streams:
    """Takes the place of torch's streams and notes what happens on which of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[str] = []
        self.current = "main"
        monkeypatch.setattr(streams, "has_streams", lambda device: True)
        monkeypatch.setattr(streams, "side_stream", lambda here: Stream("side", self))
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream(self.current, self))
        monkeypatch.setattr(torch.cuda, "stream", self.on)
        monkeypatch.setattr(
            torch.Tensor, "record_stream", lambda _, stream: self.told.append(f"kept for {stream.name}")
        )

    @contextmanager
    def on(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream.name
        yield
        self.current = before


class Stream:
    def __init__(self, name: str, streams: Streams) -> None:
        self.name, self.streams = name, streams

    def wait_stream(self, other: Stream) -> None:
        self.streams.told.append(f"{self.name} waits for {other.name}")


class Calls(TorchFunctionMode):
    """Notes on which stream each recurrent layer, reversal and union runs."""

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self.streams = streams

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if name in ("lstm", "gru", "index_select", "cat"):
            self.streams.told.append(f"{name} on {self.streams.current}")
        return function(*args, **(kwargs or {}))


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Streams:
    return Streams(monkeypatch)


def test_without_streams_the_first_comes_first() -> None:
    told: list[int] = []

    def work(number: int) -> Tensor:
        told.append(number)
        return torch.tensor(number)

    one, two = at_once(lambda: work(1), lambda: work(2), CPU)
    assert (told, int(one), int(two)) == ([1, 2], 1, 2)
    assert not streams.has_streams(CPU)
    assert not streams.has_streams(torch.device("meta"))
    assert streams.has_streams(torch.device("cuda", 1))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_layer_forks_before_its_second_direction_and_joins_before_the_union(
    kind: type[nn.LSTM] | type[nn.GRU], noted: Streams
) -> None:
    """Both reversals run beside too, so that what the second direction keeps is of its own stream."""
    x, mask = torch.randn(2, 4, 3), torch.tensor([[True] * 4, [True, True, False, False]])
    layers = [kind(3, 5, batch_first=True) for _ in range(2)]
    with Calls(noted):
        two_one_way_layers(x, mask, *layers)
    name = kind.__name__.lower()
    assert noted.told == [
        "side waits for main", "index_select on side", f"{name} on side", "index_select on side",
        f"{name} on main", "main waits for side", "kept for main", "cat on main",
    ]  # fmt: skip


@pytest.mark.parametrize("arch", ["bilstm", "texthan", "han"])
def test_a_model_computes_the_same_beside(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def losses() -> list[Tensor]:
        model = tiny.model(arch).eval()
        batch = tiny.by_sentence(tiny.batch()) if arch == "han" else tiny.batch()
        vectors = model.embed(batch.tokens).detach().requires_grad_()
        logits = model.classify(vectors, batch.mask)
        torch.nn.functional.cross_entropy(logits, batch.labels).backward()
        assert vectors.grad is not None
        return [logits, vectors.grad, *(p.grad for p in model.parameters() if p.grad is not None)]

    from zoo.models import layers

    monkeypatch.setattr(layers, "fixed_shapes", lambda x: True)  # torch's own GRU, as on a GPU
    plain = losses()
    with monkeypatch.context() as patch:
        noted = Streams(patch)
        beside = losses()
    assert noted.told.count("side waits for main") == noted.told.count("main waits for side") == 2
    assert len(plain) == len(beside)
    for one, other in zip(plain, beside, strict=True):
        assert torch.equal(one, other)
