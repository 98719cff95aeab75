"""AdamW's groups and the schedule."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tiny
from zoo.training.optim import learning_rate_factor, make_optimizer, make_schedule
from zoo.training.settings import TrainSettings


@given(st.integers(1, 2_000), st.floats(0, 0.5))
def test_the_rate_rises_once_then_falls_and_never_leaves_0_to_1(steps: int, warmup: float) -> None:
    factors = [learning_rate_factor(s, steps, warmup) for s in range(steps)]
    assert all(0 < f <= 1 for f in factors)
    assert max(factors) == 1
    top = factors.index(1)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert learning_rate_factor(steps, steps, warmup) == 0 or steps == 1


def test_warmup_is_the_share_of_the_steps_that_the_paper_says() -> None:
    assert learning_rate_factor(5, 100, 0.06) == 1
    assert learning_rate_factor(2, 100, 0.06) == pytest.approx(0.5)
    assert learning_rate_factor(99, 100, 0.06) == pytest.approx(1 / 95)


def test_matrices_decay_and_vectors_do_not() -> None:
    model = tiny.model("texthan", double=False)
    optimizer = make_optimizer(model, TrainSettings(learning_rate=0.1))
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step()
    for name, p in model.named_parameters():
        factor = 1 - 0.1 * 0.01 if p.dim() > 1 else 1.0
        torch.testing.assert_close(p.detach(), before[name] * factor)
    schedule = make_schedule(optimizer, 10, 0.2)
    assert schedule.get_last_lr()[0] == pytest.approx(0.05)


def test_every_setting_of_the_optimizer_is_its_own() -> None:
    chosen = TrainSettings(learning_rate=0.2, weight_decay=0.3, beta1=0.4, beta2=0.5, adam_epsilon=0.6)
    matrices, vectors = make_optimizer(tiny.model("textcnn"), chosen).param_groups
    for group in (matrices, vectors):
        assert (group["lr"], group["betas"], group["eps"]) == (0.2, (0.4, 0.5), 0.6)
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.3, 0.0)
