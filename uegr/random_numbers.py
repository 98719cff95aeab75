"""Random numbers: the seed of the masks, and those of torch's own, to be drawn again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def mask_seed(seed: int) -> int:
    """A seed of 63 bits; a function of `seed`, and not it.

    A generator of the user's own seed draws once more the numbers that made the weights, wherever these come
    from `torch.manual_seed(seed)`. Theorem 1 wants a mask that does not depend on them.
    """
    digest = hashlib.sha256(f"mask of the update, {int(seed)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def random_states(model: nn.Module) -> list[Tensor]:
    """States of torch's own random numbers: of the CPU, then of each accelerator of the model."""
    states = [torch.get_rng_state()]
    for device in accelerators_of(model):
        module = torch.get_device_module(device)
        states.append(module.get_rng_state(*_of(device)))
    return states


def put_random_states(model: nn.Module, states: Sequence[Tensor]) -> None:
    """Those numbers again."""
    torch.set_rng_state(states[0])
    for device, state in zip(accelerators_of(model), states[1:], strict=True):
        torch.get_device_module(device).set_rng_state(state, *_of(device))


def accelerators_of(model: nn.Module) -> list[torch.device]:
    """Where its parameters lie, of devices whose random numbers torch can keep and put back."""
    found = {p.device for p in model.parameters()}
    return sorted((d for d in found if hasattr(getattr(torch, d.type, None), "get_rng_state")), key=str)


def _of(device: torch.device) -> tuple[torch.device, ...]:
    """What names a device to its module; Apple's has a single one and takes no name."""
    return () if device.type == "mps" else (device,)
