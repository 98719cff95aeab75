"""Whether a model fits its recipe and this machine, asked before anything is allocated."""

from __future__ import annotations

import os

from zoo.core.errors import UserError
from zoo.core.names import is_pretrained
from zoo.method.contract import active_sites
from zoo.models import build_model
from zoo.training.settings import CellSettings

# Weights, gradients and the two moments of AdamW, in float32.
BYTES_A_PARAMETER = 16


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


def check_fits(arch: str, settings: CellSettings, vocabulary: int, classes: int) -> None:
    """Refuse a model of V words and C classes that cannot be trained here.

    Raises:
        UserError: its parameters alone are more than the memory, or it lacks a dropout site of the recipe.
    """
    if is_pretrained(arch):
        from zoo.pretrained.cell import check_settings
        from zoo.pretrained.folders import size_of

        check_settings(arch, settings)
        _check_memory(arch, settings, size_of(arch))
        return
    import torch

    with torch.device("meta"):  # shapes without memory
        model = build_model(arch, vocabulary, classes, settings.model, seed=0)
    if settings.recipe.dropout is not None:
        active_sites(model, settings.recipe.dropout.sites)
    _check_memory(arch, settings, sum(p.numel() for p in model.parameters()))


def _check_memory(arch: str, settings: CellSettings, count: int) -> None:
    there = memory()
    if there is not None and count * BYTES_A_PARAMETER > there:
        sizes = ", ".join(f"{key}={value}" for key, value in settings.model.as_json().items())
        raise UserError(
            f"model {arch} with {sizes} has {count:,} parameters: training needs "
            f"{count * BYTES_A_PARAMETER / 2**30:,.0f} GiB, this machine has {there / 2**30:,.0f}; "
            "expected smaller sizes"
        )
