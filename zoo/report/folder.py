"""A folder of results read for a report: one store, or a folder of such stores."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoo.core.errors import UserError
from zoo.core.result import Result
from zoo.evidence.cells import Cells
from zoo.evidence.judged import Held, training_texts
from zoo.evidence.measurements import MEASUREMENTS, Point, read_points
from zoo.evidence.questions import QUESTIONS
from zoo.grid.store import Store

__all__ = ["Read", "read"]

_BESIDE = ("studies",)  # what a run keeps beside its results: the studies that were asked for
_STUDY = "study-"  # what the default folders of `zoo.study` begin with


@dataclass(frozen=True)
class Read:
    """What was read.

    Args:
        held: by name, the grid with the most training texts first.
        folders: where each name of `held` lies.
        left_out: folders with JSON files of other kinds.
    """

    held: Held
    folders: dict[str, Path]
    left_out: tuple[str, ...]


def read(folder: Path, report: Callable[[str], None] = lambda _: None) -> Read:
    """Everything that a folder and the folders in it hold.

    A folder that is named like a study, or `study-` and its name, is taken as that study's.

    Raises:
        UserError: there is no such folder or no result in it, or a file is not what its neighbours are.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise UserError(f"{folder}: {what}; expected a folder of results, as zoo.ablate --out makes one")
    grids: dict[str, Cells] = {}
    answers: dict[str, list[Result]] = {}
    points: dict[str, list[Point]] = {}
    places: dict[str, Path] = {}
    left_out = []
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        first = next(iter(sorted(place.glob("[!.]*.json"))), None)
        if first is None:
            continue
        name = place.resolve().name.removeprefix(_STUDY)
        kind = _kind(first, name)
        report(f"reading {place} ...")
        if kind == "measurement":
            points[name] = read_points(place)
        elif kind == "result" and name in QUESTIONS and not QUESTIONS[name].compares_recipes:
            answers[name] = list(Store(place).cells())
        elif kind == "result":
            grids[name] = Cells.of(Store(place).cells())
        else:
            left_out += [str(place)] if place != folder and place.name not in _BESIDE else []
            continue
        places[name] = place
    report("")
    if not places:
        raise UserError(
            f"{folder}: holds no results; expected those of zoo.ablate or zoo.study, or a folder of such"
        )
    order = sorted(grids, key=lambda name: (-training_texts(grids[name]), name))
    return Read(Held({name: grids[name] for name in order}, answers, points), places, tuple(left_out))


def _kind(path: Path, name: str) -> str:
    """What the files of a folder are, by the first of them: result, measurement, or nothing that is ours.

    Anything that may be a broken result is called one, so that reading it says what is wrong.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return "result"
    if not isinstance(found, dict) or not {"cell", "schema"} & set(found):
        return ""
    if "values" in found and name in MEASUREMENTS:
        return "measurement"
    return "result" if "status" in found or "values" not in found else ""
