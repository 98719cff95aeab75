"""Gradients that are asked for beside a backward pass: of the further steps of PGD, of passes one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import uegr
import zoo.method.forward.attack
from toys import Toy, adamw, batch, refused, toy

PGD = uegr.recipe("uegr", attack_steps=3)
SCALES: dict[str, dict[str, Any]] = {
    "by scale=": {"scale": lambda loss: 1024 * loss},
    "by backward=": {"backward": lambda loss: (1024 * loss).backward()},
}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The gradients that the steps of an attack got."""
    found: list[Tensor] = []
    own = zoo.method.forward.attack.perturbation

    def watched(gradient: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        found.append(gradient.clone())
        return own(gradient, *args, **kwargs)

    monkeypatch.setattr(zoo.method.forward.attack, "perturbation", watched)
    return found


@pytest.mark.parametrize("how", SCALES)
@pytest.mark.parametrize("at_once", [True, False])
def test_every_step_has_the_scale_of_the_loss(how: str, at_once: bool, seen: list[Tensor]) -> None:
    """And the same direction: the factor is a power of two, so bit for bit."""
    for options in ({}, SCALES[how]):
        model = toy()
        method = uegr.attach(model, adamw(model), PGD, passes_at_once=at_once)
        torch.manual_seed(5)
        method.backward(batch(), **options)
    assert len(seen) == 6
    for plain, scaled in zip(seen[:3], seen[3:], strict=True):
        assert torch.equal(1024 * plain, scaled)
        assert bool(plain.any())


def test_no_step_underflows_in_16_bits(seen: list[Tensor]) -> None:
    """Where gradients of the loss itself lie below what float16 has, and those of the scaled one do not."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Embedding(20, 16), nn.Linear(16, 16), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(4096, 2)
    )
    with torch.no_grad():
        model[-1].weight.mul_(1e-4)  # type: ignore[operator]
    amp: Any = torch.amp
    scaler = amp.GradScaler("cpu", init_scale=2.0**16)
    method = uegr.attach(model, adamw(model), PGD)
    ids = torch.randint(1, 20, (64, 256))
    with torch.autocast("cpu", torch.float16):
        method.backward((ids, ids[:, 0] % 2), scaler.scale)
    shares = [float((gradient == 0).float().mean()) for gradient in seen]
    assert len(shares) == 3
    assert max(shares) < 0.01, shares


class Reentrant(Toy):
    def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = checkpoint(super().vectors_to_logits, x, mask, use_reentrant=True)
        return found


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_checkpointing_that_cannot_be_asked_is_refused_by_one_line() -> None:
    cases: list[tuple[Any, bool]] = [("uegr", True), (PGD, True), ("uegr", False)]
    for recipe, at_once in cases:
        model = Reentrant().double()
        method = uegr.attach(model, adamw(model), recipe, passes_at_once=at_once)
        run: Callable[[], Any] = lambda: method.backward(batch())  # noqa: B023, E731
        if recipe == "uegr" and at_once:
            run()
        else:
            refused(run, "gradient checkpointing with use_reentrant=True: it cannot be asked for the grad")
