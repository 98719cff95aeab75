"""Recurrent layers of several models at once, against torch's own, model by model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zoo.fast.across import across
from zoo.fast.recurrence import recurrent_layers
from zoo.fast.recurrent import two_one_way_layers

S, N, T, D, H = 3, 4, 6, 5, 7


@pytest.fixture(params=[nn.LSTM, nn.GRU], ids=["lstm", "gru"])
def layers(request: pytest.FixtureRequest) -> list[list[nn.LSTM]]:
    return [[request.param(D, H, batch_first=True, dtype=torch.float64) for _ in range(2)] for _ in range(S)]


@pytest.fixture
def x() -> Tensor:
    return torch.randn(S, N, T, D, dtype=torch.float64, requires_grad=True)


MASK = torch.arange(T) < torch.tensor([[6, 2, 0, 1], [3, 6, 5, 4], [1, 1, 1, 1]])[:, :, None]


def stacked(layers: list[list[nn.LSTM]]) -> list[Tensor]:
    return [
        torch.stack([list(own[way].parameters())[n] for own in layers]) for way in (0, 1) for n in range(4)
    ]


def test_states_and_gradients_are_torchs(layers: list[list[nn.LSTM]], x: Tensor) -> None:
    """Texts of all lengths, an empty one among them; padding neither reads nor writes."""
    wanted = [x, *(weight for own in layers for layer in own for weight in layer.parameters())]
    plain = torch.stack([two_one_way_layers(x[s], MASK[s], *layers[s]) for s in range(S)])
    upstream = torch.randn_like(plain)
    expected = torch.autograd.grad((plain * upstream).sum(), wanted)
    states = recurrent_layers(x, MASK, *stacked(layers))
    torch.testing.assert_close(states, plain, rtol=0, atol=1e-14)
    for found, right in zip(torch.autograd.grad((states * upstream).sum(), wanted), expected, strict=True):
        torch.testing.assert_close(found, right, rtol=0, atol=1e-13)


def test_the_gradient_is_that_of_differences() -> None:
    x = torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(1, 2, 3, dtype=torch.bool)
    for gates in (4, 3):
        shapes = [(1, gates * 2, 2), (1, gates * 2, 2), (1, gates * 2), (1, gates * 2)] * 2
        weights = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
        assert torch.autograd.gradcheck(lambda x, *w: recurrent_layers(x, mask, *w), (x, *weights))


def test_two_backward_passes_add_up(layers: list[list[nn.LSTM]], x: Tensor) -> None:
    """Of each bias by itself: gradients that shared their memory would be added to twice."""
    weights = [weight.detach().requires_grad_() for weight in stacked(layers)]
    recurrent_layers(x.detach(), MASK, *weights).sum().backward()
    once = [weight.grad.clone() for weight in weights if weight.grad is not None]
    recurrent_layers(x.detach(), MASK, *weights).sum().backward()
    assert len(once) == 8
    for weight, first in zip(weights, once, strict=True):
        torch.testing.assert_close(weight.grad, 2 * first, rtol=1e-12, atol=1e-12)


def test_across_sees_all_models_at_once_and_repeats_what_they_share() -> None:
    seen = []

    def function(x: Tensor, shared: Tensor, number: int) -> Tensor:
        seen.append((x.shape, shared.shape, number, x.requires_grad))
        return x * shared.sum((1, 2))[:, None]

    x, shared = torch.randn(4, S, requires_grad=True), torch.ones(2, 2)
    found = torch.vmap(lambda x: across(function, x, shared, 7) + 1, in_dims=1)(x)
    assert seen == [((S, 4), (S, 2, 2), 7, True)]
    torch.testing.assert_close(found, 4 * x.t() + 1)
    found.sum().backward()
    torch.testing.assert_close(x.grad, torch.full((4, S), 4.0))
    with pytest.raises(RuntimeError, match=r"expected torch\.vmap"):
        across(function, x, shared, 7)
