"""The command that runs cells again, worked out from their results alone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from zoo.changes import as_typed, settings_table, shown
from zoo.core.errors import UserError
from zoo.core.identity import plain
from zoo.core.names import NO_ARCH
from zoo.core.result import Result
from zoo.evidence.settings import ABSENT, by_name
from zoo.evidence.settings import shown as as_text
from zoo.recipes import recipe_fields
from zoo.settings import PRESETS
from zoo.studies.study import Study

__all__ = ["command_of"]

Settings = tuple[tuple[str, Any], ...]  # by name, hashable
_WITHOUT_FOLDER = PRESETS["demo"]["corpora"]  # come in packages


def command_of(results: Sequence[Result]) -> str:
    """`python -m zoo.ablate ...` for cells of one model, corpus, recipe and settings; their seeds may differ.

    Of all presets that under which the fewest settings have to be named. Empty where none can name them (a
    recipe or a setting of another version), and for the reference row, which every run brings along.
    """
    first, cell = results[0], results[0].cell
    if cell.arch == NO_ARCH:
        return ""
    settings = tuple(
        (name, tuple(v) if isinstance(v, list) else v) for name, v in by_name(first.settings).items()
    )
    found = _fewest(cell.arch, cell.recipe, cell.corpus, settings)
    if found is None:
        return ""
    preset, changes = found
    seeds = sorted({result.cell.seed for result in results})
    words = ["python", "-m", "zoo.ablate", "--preset", preset, "--arch", cell.arch, "--corpus", cell.corpus]
    words += ["--recipe", cell.recipe, "--seeds", *map(str, seeds)]
    folds = (first.settings.get("text") or {}).get("folds")
    words += ["--folds", str(folds)] if folds else []
    words += ["--set", *(f"{name}={shown(value)}" for name, value in changes.items())] if changes else []
    words += _portable(first, preset)
    words += [] if cell.corpus in _WITHOUT_FOLDER else ["--data-dir", "DIR"]
    return shlex.join(words)


def _portable(result: Result, preset: str) -> list[str]:
    """Whether the vector width was bounded, where the result says it and the preset has it otherwise."""
    machine = result.machine
    if machine.processor is None or not machine.device.startswith("cpu"):
        return []
    was = machine.processor.endswith("(portable)")
    if was == PRESETS[preset].get("portable", False):
        return []
    return ["--portable" if was else "--no-portable"]


@lru_cache(maxsize=4096)
def _fewest(arch: str, recipe: str, corpus: str, own: Settings) -> tuple[str, Mapping[str, Any]] | None:
    found = []
    for preset in PRESETS:
        try:
            found.append((preset, _changes(preset, arch, recipe, corpus, own)))
        except UserError:  # no such recipe, setting or value today
            continue
    for preset, changes in sorted(found, key=lambda each: len(each[1])):
        try:
            Study.of(preset, _axes(arch, recipe, corpus), changes=changes)
        except UserError:  # nothing that could be typed
            continue
        return preset, changes
    return None


def _changes(preset: str, arch: str, recipe: str, corpus: str, own: Settings) -> Mapping[str, Any]:
    """What the cell has otherwise than the preset and its code reads.

    Older results do not say a setting that had one value only; it is left out.
    """
    study, base = _default(preset, arch, recipe, corpus)
    table, names = settings_table(), recipe_fields()
    differing = as_typed(
        {
            name: value
            for name, value in own
            if name in table and as_text(value) not in (as_text(base.get(name)), ABSENT)
        }
    )
    of_recipe = {name: value for name, value in differing.items() if name in names}
    changed = study.settings(arch, recipe, study.text(corpus, 0), corpus).recipe.changed(**of_recipe)
    read = changed.read() | {name for name, record in table.items() if record is None}
    return {n: v for n, v in differing.items() if n not in names or n in read}


@lru_cache(maxsize=4096)
def _default(preset: str, arch: str, recipe: str, corpus: str) -> tuple[Study, Mapping[str, Any]]:
    study = Study.of(preset, _axes(arch, recipe, corpus))
    found: Mapping[str, Any] = plain(study.settings(arch, recipe, study.text(corpus, 0), corpus).as_json())
    return study, by_name(found)


def _axes(arch: str, recipe: str, corpus: str) -> dict[str, Any]:
    return {"corpora": (corpus,), "archs": (arch,), "recipes": (recipe,)}
