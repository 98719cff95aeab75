"""The gradient penalty text by text, and what theory says of its remainder."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import tiny
from zoo.probes.penalty import STRENGTHS, gradient_penalty


@pytest.mark.parametrize("form", ["fgsm", "fgm"])
def test_gain_and_remainder_are_those_of_each_text_alone(form: str) -> None:
    model, batch = tiny.model("bilstm").eval(), tiny.batch()
    lengths = batch.mask.sum(1).tolist()
    x = model.embed(batch.tokens).detach()
    entries = torch.cat([x[b, :n].flatten() for b, n in enumerate(lengths)])
    epsilon = STRENGTHS[1] * entries.square().mean().sqrt()
    gains, penalties = [], []
    for b, n in enumerate(lengths):
        text, mask, label = x[b : b + 1, :n], batch.mask[b : b + 1, :n], batch.labels[b : b + 1]
        at = text.clone().requires_grad_()
        here = F.cross_entropy(model.classify(at, mask), label)
        (g,) = torch.autograd.grad(here, at)
        if form == "fgsm":
            delta, penalty = epsilon * g.sign(), epsilon * g.abs().sum()
        else:
            radius = epsilon * (g.numel() ** 0.5)
            delta, penalty = radius * g / g.norm(), radius * g.norm()
        gains.append(F.cross_entropy(model.classify(text + delta, mask), label) - here)
        penalties.append(penalty)
    gain, penalty = torch.stack(gains).detach(), torch.stack(penalties)
    found = gradient_penalty(model, batch)[form]
    assert found["gain"][1] == pytest.approx(float(gain.sum() / penalty.sum()), rel=1e-6)
    assert found["remainder"][1] == pytest.approx(
        float((gain - penalty).abs().sum() / penalty.sum()), rel=1e-6
    )


@pytest.mark.parametrize("form", ["fgsm", "fgm"])
def test_the_remainder_over_the_penalty_halves_with_epsilon(form: str) -> None:
    found = gradient_penalty(tiny.model("bilstm"), tiny.batch())[form]
    assert found["gain"][-1] == pytest.approx(1, abs=0.02)
    assert found["remainder"][-2] / found["remainder"][-1] == pytest.approx(2, rel=0.1)
    assert 0 < found["across"] < 1


def test_the_model_is_left_as_it_was() -> None:
    model = tiny.model("textcnn", double=False)
    gradient_penalty(model, tiny.batch())
    assert next(model.parameters()).dtype == torch.float32
