"""Settings that a study changes, by their own names: typed, put onto the preset, and read by some cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

import numpy as np

from zoo.core.errors import UserError
from zoo.core.names import PRETRAINED, is_multitask, is_pretrained
from zoo.core.options import brief, lookup, one_of, parse_setting
from zoo.core.records import Settings, as_float
from zoo.method.backward.selective import Selective
from zoo.method.sites import Dropout
from zoo.models import ARCHS, MODELS
from zoo.pretrained.settings import MultiTask, Pretrained
from zoo.recipes import recipe_fields, resolve_recipe
from zoo.settings import PRESETS, PRETRAINED_TRAIN
from zoo.text import TextSettings
from zoo.text.settings import OwnTokens
from zoo.training.settings import CellSettings, TrainSettings

# The parts of a recipe that a change may bring in or take out.
SWITCHES = {
    "dropout": ("none", *next(f for f in fields(Dropout) if f.name == "kind").metadata["choices"]),
    "update": ("all", Selective.kind),
}
NOT_CHANGES = ("folds", "fold", "tasks")  # axes


@cache
def settings_table() -> dict[str, type[Settings] | None]:
    """Every setting by its name -> the record that has it (None: a switch of `SWITCHES`)."""
    table = dict(recipe_fields())
    for arch in (*ARCHS, PRETRAINED):
        table |= {f.name: sizes_of(arch) for f in fields(sizes_of(arch))}
    for record in (TrainSettings, TextSettings):
        table |= {f.name: record for f in fields(record) if f.name not in NOT_CHANGES}
    return table


def from_text(assignments: Mapping[str, str]) -> dict[str, Any]:
    """Values of changes as a user types them.

    Raises:
        UserError: an unknown name, or no value of its type.
    """
    found: dict[str, Any] = {}
    for name, text in assignments.items():
        record = lookup(settings_table(), name, "setting")
        found[name] = text if record is None else parse_setting(record, name, text)
    return as_typed(found)


def as_typed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes with known names, lists as tuples, and whole numbers as floats where the setting is one.

    Raises:
        UserError: an unknown name, or a switch that does not exist.
    """
    typed: dict[str, Any] = {}
    for name, value in changes.items():
        record = lookup(settings_table(), name, "setting")
        if record is None:
            if value not in SWITCHES[name]:
                raise UserError(f"setting {name}={value!r}: expected {one_of(value, SWITCHES[name])}")
            typed[name] = value
            continue
        default = next(f.default for f in fields(record) if f.name == name)
        typed[name] = _typed(value, default)
    return typed


def _typed(value: Any, default: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(value, tuple) and isinstance(default, tuple) and default:
        return tuple(_typed(item, default[0]) for item in value)
    if default is not MISSING and isinstance(default, float) and type(value) is int:
        return as_float(value)
    return value


def resolve(
    preset: str,
    recipe_preset: str,
    arch: str,
    recipe: str,
    text: TextSettings,
    changes: Mapping[str, Any],
    corpus: str = "",
) -> CellSettings:
    """Everything that decides a cell's result: records' defaults, then the preset, then the changes."""
    row = PRESETS[preset]
    training = row["train"]
    if is_pretrained(arch):
        training = PRETRAINED_TRAIN | row.get("train_pretrained", {})
        text = OwnTokens(**{f.name: getattr(text, f.name) for f in fields(text)})
    else:
        training = training | row.get("train_by_corpus", {}).get(corpus, {})
    sizes = sizes_of(arch)
    names = recipe_fields()
    own = resolve_recipe(recipe, reading_for(arch, recipe_preset))
    return CellSettings(
        own.changed(**{name: value for name, value in changes.items() if name in names}),
        _record(sizes, row["model"].get(arch, {}), changes),
        _record(TrainSettings, training, changes),
        text,
    )


def reading_for(arch: str, recipe_preset: str) -> str:
    """The preset of recipes that a model is trained by: `default` is `pretrained` for one of Hugging Face."""
    return "pretrained" if recipe_preset == "default" and is_pretrained(arch) else recipe_preset


def sizes_of(arch: str) -> type[Settings]:
    """The record of a model's own settings."""
    if is_multitask(arch):
        return MultiTask
    return Pretrained if is_pretrained(arch) else MODELS[arch].Sizes


def _record(kind: type[Settings], preset: Mapping[str, Any], changes: Mapping[str, Any]) -> Any:
    own = {field.name for field in fields(kind)}
    return kind(**{**preset, **{name: value for name, value in changes.items() if name in own}})


def check_read(cells: Mapping[tuple[str, str], CellSettings], changes: Mapping[str, Any]) -> None:
    """Refuse a change that no cell reads: it would be taken in silence, and name nothing.

    Raises:
        UserError: there is one.
    """
    recipe_names = recipe_fields()
    others = {f.name for f in fields(TrainSettings)} | {f.name for f in fields(TextSettings)} | set(SWITCHES)
    of_recipes = {name for cell in cells.values() for name in cell.recipe.read()}
    of_models = {f.name for cell in cells.values() for f in fields(cell.model)}
    silent = [_without_effect(cell) for cell in cells.values()]
    for name in changes:
        if silent and all(name in own for own in silent):
            raise UserError(f"setting {name}: {silent[0][name]}")
        if name in others | of_recipes | of_models:
            continue
        index, what, read = (1, "methods", of_recipes) if name in recipe_names else (0, "models", of_models)
        run = ", ".join(dict.fromkeys(pair[index] for pair in cells))
        some = f"expected {one_of(name, sorted(read))}" if read else "none of their settings can be changed"
        raise UserError(f"setting {name}: none of the {what} of this run ({run}) reads it; {some}")


def _without_effect(cell: CellSettings) -> dict[str, str]:
    """Settings of training and of text that this cell would take in silence, and what to say of them."""
    # A model that brings a tokeniser has more such settings than others have.
    own = set(cell.text.unread()) - set(TextSettings().unread())
    found = dict.fromkeys(own, "a model with a tokeniser of its own does not read it; expected it left out")
    if cell.train.selection == "last":
        found["patience"] = (
            "with selection=last every epoch is trained; expected selection=best or no patience"
        )
    return found


def shown(value: Any) -> str:
    """A value as a user would type it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple | list):
        return ",".join(map(shown, value))
    return brief(value) if isinstance(value, float) else str(value)
