"""The options that every command about cells has, and the study that they say. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core import names
from zoo.core.errors import UserError
from zoo.models import ARCHS

if TYPE_CHECKING:
    from zoo.studies.study import Study

_AXES = {"corpus": "corpora", "arch": "archs", "recipe": "recipes", "seeds": "seeds", "folds": "folds"}
# Options that are short for --set.
_SHORT = {
    "epochs": "epochs", "batch": "batch_size", "fraction": "fraction", "vectors": "vectors",
    "tokeniser": "tokeniser", "text_column": "text_column", "label_column": "label_column",
}  # fmt: skip


def add_options(parser: argparse.ArgumentParser, preset: str, archs: str, recipes: str, out: str) -> None:
    """Add the options of a study; the last four only say in the help what holds where one is absent."""
    add = parser.add_argument
    several: dict[str, Any] = {"nargs": "+", "action": "extend"}
    add("--study", type=Path, metavar="FILE.json", help="a study from a file (see --dry-run --json)")
    add("--preset", help=f"sizes and corpora, see --list (default {preset})")
    models = f"models: {', '.join(ARCHS)}, all of these, hf:minilm or hf:FOLDER, mtdnn:minilm or mtdnn:FOLDER"
    add("--arch", **several, help=f"{models} (default {archs})")
    add(
        "--corpus", **several, help="corpora by name, or a folder or file of your own (default: the preset's)"
    )
    add("--recipe", **several, help=f"methods: {', '.join(names.RECIPES)} (default {recipes})")
    add("--recipe-preset", help="settings of methods that belong together, see --list")
    add("--seeds", **several, type=int, help="seeds by number, e.g. 0 1 2 (default: the preset's)")
    add("--folds", type=int, help="k for k-fold cross-validation (default: one fixed split)")
    add("--epochs", type=int, help="epochs of training")
    add("--batch", type=int, help="examples a batch")
    add("--fraction", type=float, help="share of each corpus' rows to use, above 0 and at most 1")
    add(
        "--vectors",
        help="word vectors: random, word2vec (trained on the training part), glove, e5, or a file",
    )
    add("--tokeniser", help="auto (words, or jieba for Chinese), words, jieba, characters")
    add("--text-column", metavar="NAME", help="the column of a file of your own that has the text")
    add("--label-column", metavar="NAME", help="the column of a file of your own that has the label")
    add("--set", **several, metavar="NAME=VALUE", help="any setting of recipe, model, training or text")
    add_places(parser, out)
    add("--json", action="store_true", help="print one JSON object instead of tables")


def add_places(parser: argparse.ArgumentParser, out: str) -> None:
    """Add the options that say where and how cells are run; `out` says the default in the help."""
    add = parser.add_argument
    several: dict[str, Any] = {"nargs": "+", "action": "extend"}
    add("--data-dir", metavar="DIR", help="folder with the corpora (default: the variable UEGR_DATA)")
    add("--cache-dir", metavar="DIR", help="folder for prepared text (default: UEGR_CACHE or ~/.cache/uegr)")
    add("--out", metavar="DIR", help=f"folder for the results (default: {out})")
    add("--engine", help="what runs the cells: local (default), ray or slurm; see docs/machines.md")
    add("--address", metavar="HOST:PORT", help="of the Ray cluster (default: the one that is found)")
    add(
        "--engine-set", **several, metavar="NAME=VALUE",
        help="a setting of the engine, e.g. gpus=0.25 of ray, minutes=60 of slurm",
    )  # fmt: skip
    add("--device", help="auto, cpu or cuda (default: cuda if there is one)")
    add("--jobs", type=int, help="cells at a time, each a process (default: one a core on a CPU)")
    add("--cells-per-gpu", type=int, metavar="N", help="cells at a time on each GPU, in turn (default 1)")
    add("--mps", action="store_true", default=None, help="these in processes, with NVIDIA's MPS started")
    add("--stack-seeds", action="store_true", default=None, help="the seeds of a setting as one model")
    add(
        "--no-graphs", dest="graphs", action="store_false", default=None,
        help="on a GPU: no step replayed as a CUDA graph",
    )  # fmt: skip
    add(
        "--portable", action=argparse.BooleanOptionalAction,
        help="the same numbers on every x86 processor from AVX2 on, slower (default: the preset's)",
    )  # fmt: skip
    add("--keep-weights", action="store_true", default=None, help="write the weights to OUT/weights/")
    add(
        "--save-models", action="store_true", default=None,
        help="write each trained network to OUT/models/, for zoo.predict",
    )  # fmt: skip
    add(
        "--rerun-foreign", action="store_true", default=None,
        help="run cells again that were made on another kind of processor",
    )  # fmt: skip
    add_minutes(parser)


def add_minutes(parser: argparse.ArgumentParser) -> None:
    """Add the time limit."""
    parser.add_argument(
        "--minutes", type=float, metavar="N",
        help="end after N minutes with exit code 3; the same command goes on where it was",
    )  # fmt: skip


def minutes_given(given: Mapping[str, Any]) -> dict[str, float]:
    """What the option of `add_minutes` says of the places of a study.

    Raises:
        UserError: no time at all.
    """
    minutes = given.get("minutes")
    if minutes is None:
        return {}
    if not minutes > 0:
        raise UserError(f"--minutes {minutes}: expected more than 0")
    return {"minutes": minutes}


def study_of(options: argparse.Namespace, preset: str = "demo", **axes: Any) -> Study:
    """The study that the options say; `preset` and `axes` hold where they say nothing.

    Raises:
        UserError: options that contradict each other, or whatever the study refuses.
    """
    from zoo.studies.study import Study, Where, places_of_preset

    given = {key: value for key, value in vars(options).items() if value is not None}
    if "study" in given:
        more = [key for key in ("preset", "recipe_preset", "set", *_AXES, *_SHORT) if key in given]
        if more:
            raise UserError(
                f"--study {given['study']} with --{more[0].replace('_', '-')}: the file says what is run; "
                "expected none but options about places"
            )
        study = Study.read(given["study"])
        return replace(study, places=Where.from_json(study.places.as_json() | places_given(given)))
    chosen = {axis: given[option] for option, axis in _AXES.items() if option in given}
    return Study.of(
        given.get("preset", preset),
        axes | chosen,
        changes=_changes(given),
        recipe_preset=given.get("recipe_preset", "default"),
        places=places_of_preset(given.get("preset", preset), places_given(given)),
    )


def assignments(texts: Sequence[str], option: str = "--set") -> dict[str, str]:
    """`name=value` as a mapping.

    Raises:
        UserError: one has no `=`, or a name is given two values.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"{option} {text}: expected NAME=VALUE, for example {option} alpha=1")
        if found.setdefault(name, value) != value:
            raise UserError(f"{option} {text}: {name} is {found[name]} already; expected one value")
    return found


def _changes(given: Mapping[str, Any]) -> dict[str, Any]:
    from zoo.changes import from_text

    changes = from_text(assignments(given.get("set", ())))
    for option, name in _SHORT.items():
        if option in given and changes.setdefault(name, given[option]) != given[option]:
            both = f"--{option.replace('_', '-')} {given[option]} and --set {name}={changes[name]}"
            raise UserError(f"{both}: expected one of them")
    return changes


def places_given(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the options of `add_places` say of `Where`; those that are absent or None say nothing.

    Raises:
        UserError: a value that cannot be, or options that contradict each other.
    """
    from zoo.studies.study import Where

    given = {key: value for key, value in given.items() if value is not None}
    for option in ("jobs", "cells_per_gpu"):
        if given.get(option, 1) < 1:
            raise UserError(f"--{option.replace('_', '-')} {given[option]}: expected at least 1")
    for option in ("out", "data_dir", "cache_dir"):
        if given.get(option) == "":
            raise UserError(f"--{option.replace('_', '-')}: an empty name; expected a folder")
    if "jobs" in given and "cells_per_gpu" in given:
        raise UserError("--jobs and --cells-per-gpu: expected one of them")
    names = {"data_dir": "data", "cache_dir": "cache"}
    own = {names.get(option, option): value for option, value in given.items()}
    chosen = {field.name: own[field.name] for field in fields(Where) if field.name in own}
    return chosen | _engine(given) | minutes_given(given)


def _engine(given: Mapping[str, Any]) -> dict[str, Any]:
    settings = list(given.get("engine_set") or ())
    settings += [f"address={given['address']}"] if given.get("address") else []
    if settings and not given.get("engine"):
        raise UserError(f"--engine-set {settings[0]}: expected --engine ray or slurm beside it")
    return {"engine": given["engine"], "engine_set": settings} if given.get("engine") else {}
