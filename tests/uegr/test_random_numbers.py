"""torch's own random numbers on every kind of device: none of them is here, so its module is played."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from uegr.random_numbers import accelerators_of, put_random_states, random_states


class Placed(nn.Module):
    """A model whose parameters say that they lie on these devices."""

    def __init__(self, *devices: str) -> None:
        super().__init__()
        self.devices = devices

    def parameters(self, recurse: bool = True):
        return iter(SimpleNamespace(device=torch.device(name)) for name in self.devices)


class Module:
    """`torch.cuda`, `torch.xpu`: a state for each device, by its name."""

    def __init__(self) -> None:
        self.held: dict[str, torch.Tensor] = {}

    def get_rng_state(self, device: torch.device) -> torch.Tensor:
        return self.held[str(device)].clone()

    def set_rng_state(self, state: torch.Tensor, device: torch.device) -> None:
        self.held[str(device)] = state


class Apple(Module):
    """`torch.mps`: one device, which is not named."""

    def get_rng_state(self) -> torch.Tensor:
        return super().get_rng_state(torch.device("mps:0"))

    def set_rng_state(self, state: torch.Tensor) -> None:
        super().set_rng_state(state, torch.device("mps:0"))


@pytest.mark.parametrize(
    ("devices", "module"),
    [(["cuda:1", "cuda:0", "cpu"], Module), (["xpu:0"], Module), (["mps:0", "cpu"], Apple)],
)
def test_numbers_are_drawn_again_on_every_device(devices, module, monkeypatch) -> None:
    """Passes one after the other are computed twice: with other masks the gradient would be of no loss."""
    played = module()
    monkeypatch.setattr(torch, "get_device_module", lambda device: played)
    model = Placed(*devices)
    places = sorted(name for name in devices if name != "cpu")
    played.held = {name: torch.tensor([i]) for i, name in enumerate(places)}
    cpu = torch.get_rng_state()
    states = random_states(model)
    assert len(states) == 1 + len(places)
    torch.rand(3)
    played.held = {name: torch.tensor([9]) for name in places}
    put_random_states(model, states)
    assert torch.equal(torch.get_rng_state(), cpu)
    assert played.held == {name: torch.tensor([i]) for i, name in enumerate(places)}


def test_what_holds_no_numbers_is_left_alone() -> None:
    assert accelerators_of(Placed("meta", "cpu")) == []
    assert len(random_states(Placed("meta"))) == 1
    # A device that torch knows by a package of its own: looking for the words' table must not stop there.
    assert len(random_states(Placed("xla:0"))) == 1
