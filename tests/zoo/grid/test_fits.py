"""A model is refused where its weights, gradients and two moments in float32 are more than the memory."""

from __future__ import annotations

import pytest

from zoo.core.errors import UserError
from zoo.grid import fits
from zoo.models import MODELS, build_model
from zoo.recipes import RECIPES
from zoo.text import TextSettings
from zoo.training.settings import CellSettings, TrainSettings


def test_what_training_needs_is_16_bytes_a_parameter(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CellSettings(RECIPES["dropout"], MODELS[arch].Sizes(), TrainSettings(), TextSettings())
    model = build_model(arch, 50, 3, settings.model, seed=0)
    needed = 16 * sum(parameter.numel() for parameter in model.parameters())
    for memory in (needed, None):
        monkeypatch.setattr(fits, "memory", lambda found=memory: found)
        fits.check_fits(arch, settings, 50, 3)
    monkeypatch.setattr(fits, "memory", lambda: needed - 1)
    with pytest.raises(UserError, match=f"model {arch} with .* training needs .* GiB, this machine has"):
        fits.check_fits(arch, settings, 50, 3)


def test_a_site_that_the_model_lacks_is_refused(arch: str) -> None:
    recipe = RECIPES["dropout"].changed(sites=("layer9",))
    settings = CellSettings(recipe, MODELS[arch].Sizes(), TrainSettings(), TextSettings())
    with pytest.raises(UserError, match="has no such site; expected one of"):
        fits.check_fits(arch, settings, 50, 3)
