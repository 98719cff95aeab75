"""What there is to choose from: recipes, models, corpora, presets, and every setting with its bounds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from zoo.changes import NOT_CHANGES, SWITCHES, shown
from zoo.core.identity import plain
from zoo.core.names import display
from zoo.models import ARCHS, MODELS
from zoo.pretrained.settings import MultiTask, Pretrained
from zoo.recipes import RECIPE_PRESETS, RECIPES, parts_of_recipes
from zoo.settings import PRESETS
from zoo.text import TextSettings, known_corpora, load_card
from zoo.training.settings import TrainSettings


def listed() -> dict[str, Any]:
    """As JSON types."""
    return {
        "archs": {name: display(name) for name in ARCHS},
        "recipes": {name: {"title": display(name), **row.as_json()} for name, row in RECIPES.items()},
        "recipe_presets": plain(RECIPE_PRESETS),
        "presets": plain(PRESETS),
        "corpora": {name: _corpus(name) for name in known_corpora()},
        "settings": {where: _settings(record) for where, record in _records().items()},
        "parts": {name: list(choices) for name, choices in SWITCHES.items()},
    }


def _corpus(name: str) -> dict[str, Any]:
    card = load_card(name)
    return {
        "title": card.title, "language": card.language, "classes": len(card.labels), "kind": card.kind,
        "rows": dict(card.rows), "length": card.length or None,
    }  # fmt: skip


def _records() -> dict[str, type]:
    models: dict[str, type] = {f"model {name}": MODELS[name].Sizes for name in ARCHS}
    models["model hf:NAME or hf:FOLDER"] = Pretrained
    models["model mtdnn:NAME or mtdnn:FOLDER"] = MultiTask
    return {**parts_of_recipes(), **models, "training": TrainSettings, "text": TextSettings}


def _settings(record: type) -> dict[str, Any]:
    found = {}
    for field in fields(record):
        if field.name in ("kind", *NOT_CHANGES):
            continue
        bounds = {k: v for k, v in field.metadata.get("bounds", {}).items() if v is not None}
        choices = list(field.metadata.get("choices", ()))
        found[field.name] = {"default": plain(field.default), **bounds} | (
            {"choices": choices} if choices else {}
        )
    return found


def as_text() -> str:
    """As lines of at most 80 characters where names allow it."""
    there = listed()
    lines = ["models (--arch)", *(f"  {name:<18}{title}" for name, title in there["archs"].items())]
    lines.append("  hf:minilm         MiniLM; hf:FOLDER or hf:OWNER/NAME: any of Hugging Face")
    lines.append("  mtdnn:minilm      MT-DNN: such a model on all corpora at once, a head each")
    lines += ["", "methods (--recipe)"]
    lines += [f"  {name:<18}{row['title']}" for name, row in there["recipes"].items()]
    lines += ["", "corpora (--corpus; or a file or folder of your own)"]
    for name, row in there["corpora"].items():
        rows = "".join(f", {count:,} {part}" for part, count in row["rows"].items() if count)
        answers = f"{row['classes']} classes" if row["classes"] else "scores"
        lines.append(f"  {name:<18}{row['title']}: {row['language']}, {answers}{rows}")
    lines += ["", "presets (--preset)"]
    for name, row in there["presets"].items():
        seeds = " ".join(map(str, row["seeds"]))
        lines += _wrapped(name, f"{', '.join(row['corpora'])}; seeds {seeds}")
    lines += ["", "settings of methods that belong together (--recipe-preset)"]
    for name, row in there["recipe_presets"].items():
        said = " ".join(f"{key}={shown(value)}" for key, value in row.items())
        lines += _wrapped(name, said or "the defaults; of a model of Hugging Face, pretrained")
    lines += ["", "settings (--set NAME=VALUE), with default and bounds"]
    lines += [f"  part of a recipe: {name}={'|'.join(choices)}" for name, choices in there["parts"].items()]
    for where, settings in there["settings"].items():
        lines += ["", f"  {where}"]
        lines += [f"    {name:<22}{_line(row)}" for name, row in settings.items()]
    return "\n".join(lines)


def _wrapped(name: str, said: str) -> list[str]:
    return textwrap.wrap(f"  {name:<18}{said}", 80, subsequent_indent=" " * 20, break_on_hyphens=False)


def _line(row: Mapping[str, Any]) -> str:
    words = {"low": "from", "above": "above", "high": "to", "below": "below"}
    bounds = [f"{word} {row[key]:g}" for key, word in words.items() if key in row]
    default = shown(row["default"]) if row["default"] not in ("", []) else "(empty)"
    return f"{default:<12}{' '.join(bounds) or '|'.join(row.get('choices', ()))}".rstrip()
