"""Denormal numbers: taken for zero while a network trains, in its own thread, and as before afterwards."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from zoo.fast.denormals import are_flushed, flushed
from zoo.training.device import work_of
from zoo.training.settings import TrainSettings

there_is_a_choice = pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor has no such choice"
)


@there_is_a_choice
def test_the_choice_ends_with_the_block_however_it_ends() -> None:
    found = [are_flushed()]

    def work() -> None:
        with flushed():
            found.append(are_flushed())
            with flushed(False):
                found.append(are_flushed())
            found.append(are_flushed())
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert [*found, are_flushed()] == [False, True, False, True, False]


@there_is_a_choice
def test_the_work_of_a_cell_has_none_in_its_thread() -> None:
    other: list[bool] = []
    with work_of(TrainSettings()):
        own = are_flushed()
        thread = threading.Thread(target=lambda: other.append(are_flushed()))
        with flushed(False):  # what a thread finds that is started outside of a cell
            thread.start()
        thread.join()
    assert own
    assert other == [False]


@there_is_a_choice
def test_a_gradient_that_fades_is_zero_and_not_denormal() -> None:
    """An LSTM of which the last state alone is heard, over a text that is long enough."""
    torch.manual_seed(0)
    layer, x = nn.LSTM(4, 4, batch_first=True), torch.randn(2, 400, 4, requires_grad=True)
    least = torch.finfo(torch.float32).smallest_normal
    with flushed(False):
        layer(x)[0][:, -1].sum().backward()
        assert x.grad is not None
        faded = (x.grad != 0) & (x.grad.abs() < least)
        kept, x.grad = x.grad, None
    with flushed():
        layer(x)[0][:, -1].sum().backward()
    assert x.grad is not None
    assert bool(faded.any())
    assert not bool(((x.grad != 0) & (x.grad.abs() < least)).any())
    torch.testing.assert_close(x.grad, kept, rtol=0, atol=1e-30)
