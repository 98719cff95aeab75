"""Whether a model fits this machine, asked before anything is built."""

from __future__ import annotations

import os

from zoo.core.errors import UserError
from zoo.training.settings import CellSettings

# Weights, gradients and the two moments of AdamW, in float32.
BYTES_A_PARAMETER = 16


def parameters(arch: str, settings: CellSettings, vocabulary: int, classes: int) -> int:
    """Parameters of a model with V words and C classes; nothing is allocated."""
    import torch

    from zoo.models import build_model

    with torch.device("meta"):
        model = build_model(arch, vocabulary, classes, settings.model, seed=0)
    return sum(p.numel() for p in model.parameters())


def memory() -> int | None:
    """Bytes of this machine's memory, or of its container's; None where the system does not tell."""
    found = []
    try:
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            found.append(int(file.read()))
    except (OSError, ValueError):  # no such file, or "max"
        pass
    return min(found, default=None)


def check_room(arch: str, settings: CellSettings, vocabulary: int, classes: int) -> None:
    """Refuse a model that cannot be trained here: its parameters alone are more than the memory.

    Raises:
        UserError: it is too large.
    """
    there = memory()
    count = parameters(arch, settings, vocabulary, classes)
    if there is not None and count * BYTES_A_PARAMETER > there:
        sizes = ", ".join(f"{key}={value}" for key, value in settings.model.as_json().items())
        raise UserError(
            f"model {arch} with {sizes} has {count:,} parameters: training needs "
            f"{count * BYTES_A_PARAMETER / 2**30:,.0f} GiB, this machine has {there / 2**30:,.0f}; "
            "expected smaller sizes"
        )
