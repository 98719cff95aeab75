"""Recipes by name, with settings changed."""

from __future__ import annotations

from typing import Any

from torch import nn

from zoo.core.errors import UserError
from zoo.core.options import one_of
from zoo.method.recipe import Recipe
from zoo.recipes import resolve_recipe

_TRANSFORMERS = {"transformers", "transformers_modules"}  # the latter is of code that came with a model


def recipe(name: str, preset: str = "default", **settings: Any) -> Recipe:
    """A recipe of `RECIPES` with other values of some settings.

        uegr.recipe("uegr", epsilon=0.3, mask_on="gradient")

    Args:
        preset: settings that belong together: default; pretrained, which a name alone means where the model
            is of transformers; paper, rat_code or roast_code.
        settings: by the names that `Recipe.flat()` lists, with this `dropout` and `update` if given.

    Raises:
        UserError: an unknown recipe or preset; a setting that this recipe does not have or does not read;
            a value out of its bounds.
    """
    found = resolve_recipe(name, preset)
    parts = {key: settings.pop(key) for key in ("dropout", "update") if key in settings}
    found = found.changed(**parts)  # first, as they decide which settings there are
    known = found.flat()
    for key in settings:
        if key not in known:
            raise UserError(f"setting {key}: recipe {name!r} has none; expected {one_of(key, known)}")
    made = found.changed(**settings)
    read = made.read()
    for key in settings:
        if key not in read:
            raise UserError(
                f"setting {key}: recipe {name!r} does not read it, so it would change nothing; "
                f"expected {one_of(key, sorted(read))}"
            )
    return made


def as_recipe(given: str | Recipe, preset: str = "default") -> Recipe:
    """What a caller means by a name, which is one of this preset, or a record."""
    if isinstance(given, Recipe):
        return given
    if isinstance(given, str):
        return resolve_recipe(given, preset)
    raise UserError(f"recipe of type {type(given).__name__}: expected a name of uegr.RECIPES or a Recipe")


def preset_for(model: nn.Module) -> str:
    """What a name alone stands for: `pretrained` where a part of the model is of transformers."""
    packages = {type(part).__module__.partition(".")[0] for part in model.modules()}
    return "pretrained" if packages & _TRANSFORMERS else "default"
