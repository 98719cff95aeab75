"""The arguments of an estimator as the settings of a cell, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from numbers import Real
from typing import Any

import numpy as np
import torch

from zoo.changes import NOT_CHANGES, as_typed, check_read, resolve, settings_table
from zoo.classifier.inputs import InputError
from zoo.classifier.network import About, family_of
from zoo.core.cards import LANGUAGES
from zoo.core.names import is_pretrained
from zoo.core.options import lookup, one_of
from zoo.core.processes import cores
from zoo.models import MODELS
from zoo.recipes import RECIPE_PRESETS, RECIPES, recipe_from_json
from zoo.settings import OWN_PRESET, OWN_PRETRAINED, PRESETS, own_training
from zoo.text import TextSettings
from zoo.training.settings import CellSettings

LARGEST_SEED = 2**31 - 1
# Arguments that stand for the setting of the same name; None leaves it to the preset.
SHORT = ("epochs", "batch_size", "learning_rate", "patience", "vectors", "tokeniser", "max_length")
# Settings of the text that an argument of its own decides, or that speak of a file or a comparison.
NOT_OURS = ("fraction", "split_seed", "text_column", "label_column", *NOT_CHANGES)
_TEXT = {field.name for field in fields(TextSettings)}


def cell_settings(given: Mapping[str, Any], rows: int, seed: int) -> CellSettings:
    """Everything that decides a training on so many rows: the preset, then the arguments.

    Args:
        given: the arguments of a `TextClassifier` by name.

    Raises:
        UserError: one that is unknown, out of its bounds, or that nothing would read.
    """
    arch, recipe, reading, preset = (given[name] for name in ("arch", "recipe", "recipe_preset", "preset"))
    if not is_pretrained(arch):
        lookup(MODELS, arch, "arch")
    lookup(RECIPES, recipe, "recipe")
    lookup(RECIPE_PRESETS, reading, "recipe preset")
    own: dict[str, Any] = {}
    if preset == "auto":
        own, preset = OWN_PRETRAINED if is_pretrained(arch) else own_training(rows), OWN_PRESET
    lookup(PRESETS, preset, "preset")
    changes = own | _changes(given)
    plain = resolve(preset, reading, arch, recipe, TextSettings(), {})
    check_read({(arch, recipe): plain}, changes)
    of_text = {name: value for name, value in changes.items() if name in _TEXT}
    text = TextSettings(**{**PRESETS[preset]["text"], **of_text, "split_seed": seed})
    if not share(given["validation_fraction"]):
        changes |= {"selection": "last", "patience": 0}
    settings = resolve(preset, reading, arch, recipe, text, changes)
    family_of(arch).check(arch, settings)
    return settings


def _changes(given: Mapping[str, Any]) -> dict[str, Any]:
    chosen = dict(given["settings"] or {})
    for name in NOT_OURS:
        if name in chosen:
            raise InputError(f"setting {name}: not one of a classifier's; it keeps all rows that it is given")
    for name in SHORT:
        value = given[name]
        if value is not None and chosen.setdefault(name, value) != value:
            raise InputError(f"{name}={value!r} and settings {name}={chosen[name]!r}: expected one of them")
    return as_typed(chosen)


def arguments_of(about: About) -> dict[str, Any]:
    """The arguments that would train a cell of a comparison again: every setting by its name."""
    recipe = recipe_from_json(about.settings["recipe"])
    flat = recipe.flat()
    chosen: dict[str, Any] = {name: flat[name] for name in ("dropout", "update", *recipe.read())}
    for part in ("model", "train", "text"):
        chosen |= about.settings[part]
    chosen = {name: chosen[name] for name in settings_table() if name in chosen and name not in NOT_OURS}
    return {
        "arch": about.arch, "recipe": about.recipe, "preset": "paper", "random_state": about.seed,
        "tokeniser": chosen.pop("tokeniser"), "language": about.data["language"], "settings": chosen,
    }  # fmt: skip


def share(value: object) -> float:
    """The share of the rows that validates. Raises `InputError` outside of 0 <= share < 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise InputError(f"validation_fraction={value!r}: expected a number from 0 to below 1")
    return float(value)


def language_of(value: str) -> str:
    """The language as given. Raises `InputError` for one that no tokeniser is for."""
    choices = ("auto", *LANGUAGES)
    if value not in choices:
        raise InputError(f"language={value!r}: expected {one_of(value, choices)}")
    return value


def seed_of(random_state: Any) -> int:
    """The seed: a number as it is, else a draw from the generator. Raises `InputError` for another one."""
    from sklearn.utils import check_random_state

    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool):
        if not 0 <= random_state <= LARGEST_SEED:
            raise InputError(f"random_state={random_state}: expected a number from 0 to {LARGEST_SEED}")
        return int(random_state)
    return int(check_random_state(random_state).randint(LARGEST_SEED))


def device_of(device: str) -> torch.device:
    """The device of "auto", "cpu" or "cuda". Raises `InputError` for another, or where there is none."""
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device={device!r}: expected one of auto, cpu, cuda")
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise InputError("device='cuda': torch sees no GPU here; expected cpu or auto")
    return torch.device("cuda" if device != "cpu" and there else "cpu")


def threads_of(n_jobs: object) -> int:
    """Threads of torch: 1 for None, a core each for -1. Raises `InputError` for what is no number of them."""
    count = 1 if n_jobs is None else n_jobs
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or (count < 1 and count != -1):
        raise InputError(f"n_jobs={n_jobs!r}: expected None, -1 or a number from 1")
    return cores() if count == -1 else int(count)
