"""Results of schema 1, whose names hashed every field of every record, as results of today.

Schema 1 kept one flat record of 41 settings for every recipe and one of the sizes of all models. Here the
parts that the recipe and the model have are picked out of them, and the cell gets the name that it would have
today. Nothing is measured anew and nothing is thrown away: what the old form did not record (kind of
processor, commit, the single predictions under attack) stays empty.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.core.identity import cell_id
from zoo.core.names import NO_ARCH
from zoo.core.records import Settings
from zoo.core.result import Cell, CorpusInfo, Machine, Result
from zoo.grid.store import Store, as_text
from zoo.method.backward.selective import Selective
from zoo.method.forward.bi_stage import BiStage
from zoo.method.forward.freelb import FreeLB
from zoo.method.recipe import Recipe
from zoo.method.sites import Dropout
from zoo.models import MODELS
from zoo.text import TextSettings
from zoo.training.baseline import BaselineSettings
from zoo.training.settings import CellSettings, TrainSettings

_RENAMED = {"hidden": "han_hidden"}  # HAN had a name of its own for its hidden size


def convert(folder: Path, report: Callable[[str], None]) -> int:
    """Rewrite every result of schema 1 in `folder` under its name of today; returns how many there were.

    A result is written before its old file is removed, so an interruption loses nothing and the same call
    goes on.

    Raises:
        UserError: a file is not what schema 1 wrote, or two that differ are one cell today.
    """
    store, converted = Store(folder), 0
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
            raise UserError(f"{path}: not the result of a cell ({error})") from None
        if not is_schema1(old):
            continue
        result = from_schema1(old, str(path))
        if not store.path(result.id).exists():
            store.write(result)
        elif as_text(store.read(result.id)) != as_text(result):
            raise UserError(f"{path}: is {result.id} today, which {folder} has already; expected one of them")
        path.unlink()  # the same: an earlier call was interrupted just here
        report(f"{path.stem} -> {result.id}")
        converted += 1
    return converted


def is_schema1(values: Any) -> bool:
    """Whether this is a result as schema 1 wrote it."""
    return isinstance(values, Mapping) and {"id", "cell", "status"} <= set(values) and "schema" not in values


def from_schema1(old: Mapping[str, Any], where: str) -> Result:
    """The result in today's form, under today's name.

    Raises:
        UserError: not a result of schema 1.
    """
    try:
        cell = Cell(**old["cell"])
        info = dict(old["corpus"])
        corpus = CorpusInfo(**info | {"notes": tuple(info.get("notes", ()))})
        known = old["settings"]
        settings = _baseline(known) if cell.arch == NO_ARCH else _network(cell.arch, known)
        versions = dict(old.get("versions", {}))
        made_by = {"version": versions.pop("uegr", None), "commit": None}
        names = {"accuracy": "test_accuracy", "macro_f1": "test_macro_f1"}
        measures = {new: old[name] for new, name in names.items() if old.get(name) is not None}
        attacked = dict(old["attacked"]) if old.get("attacked") else None
        if attacked is not None:
            measures["attacked_accuracy"] = attacked.pop("accuracy")
    except (KeyError, TypeError) as error:
        raise UserError(f"{where}: not a result of schema 1 ({error!r})") from None
    converted = {"id", "cell", "corpus", "settings", "attacked", "versions"}
    same = {f.name for f in dataclasses.fields(Result)} & set(old) - converted
    values: dict[str, Any] = {
        name: tuple(old[name]) if isinstance(old[name], list) else old[name] for name in same
    }
    values |= {
        "id": cell_id(dataclasses.asdict(cell), settings.named(), corpus.fingerprint),
        "cell": cell,
        "settings": settings.as_json(),
        "corpus": corpus,
        "measures": measures,
        "attacked": attacked,
        "machine": Machine(old.get("device", ""), threads=old.get("threads")),
        "made_by": made_by,
        "versions": versions,
    }
    return Result(**values)


def _network(arch: str, settings: Mapping[str, Any]) -> CellSettings:
    flat = settings["recipe"]
    forward = FreeLB if flat["step"] == "freelb" else BiStage
    recipe = Recipe(
        _part(forward, flat),
        None if flat["dropout"] == "none" else _part(Dropout, flat | {"kind": flat["dropout"]}),
        _part(Selective, flat) if flat["update"] == "selective" else None,
    )
    sizes = dict(settings["model"])
    if arch == "han":
        sizes |= {new: sizes[old] for new, old in _RENAMED.items()}
    return CellSettings(
        recipe,
        _part(MODELS[arch].Sizes, sizes),
        _part(TrainSettings, settings["train"]),
        _part(TextSettings, settings["text"]),
    )


def _baseline(settings: Mapping[str, Any]) -> BaselineSettings:
    return BaselineSettings(_part(TextSettings, settings["text"]), dict(settings["baseline"]))


def _part(kind: type[Settings], values: Mapping[str, Any]) -> Any:
    """The record of this kind from the values that it has a field for."""
    names = {f.name for f in dataclasses.fields(kind)}
    return kind.from_json({name: value for name, value in values.items() if name in names})
