"""The settings that `zoo.tune` tried, as a section of the page. Validation accuracies only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.core.names import display, in_order
from zoo.report.blocks import MISSING, Block, Heading, Table, Text

__all__ = ["tuning"]

_READING = """\
Mean accuracy on the validation part in per cent, over corpora and seeds; the test part was not read. Each
setting was varied alone around the default; then, where several values helped, the best of each were put
together. "default" is the preset's value on the day of the search, which may have changed since. The best of
many looks better than it is: only a comparison on the test part measures it."""


def tuning(results: Path) -> list[Block]:
    """A table from each `tune*.json` in `results`; nothing where there is none.

    Raises:
        UserError: a file is not what `zoo.tune --json` prints.
    """
    blocks: list[Block] = []
    for path in sorted(results.glob("tune*.json")):
        blocks += [Heading(path.name, 3), _table(path, _read(path))]
    return [Text(_READING, markup=True), *blocks] if blocks else []


def _read(path: Path) -> dict[str, Any]:
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: broken JSON ({error.msg})") from None
    if not isinstance(answer, dict):
        raise UserError(f"{path}: expected an object of recipes, as zoo.tune --json prints it")
    return answer


def _table(path: Path, answer: Mapping[str, Any]) -> Table:
    """Settings as rows, recipes as columns."""
    recipes, cells = in_order(answer), {}
    try:
        for recipe in recipes:
            for row in answer[recipe]["settings"]:
                mean = row["validation"]
                text = "failed" if mean is None else f"{100 * mean:.2f}"
                best = row["setting"] == answer[recipe]["best"]
                cells[_name(row["setting"]), recipe] = f"{text} (best)" if best else text
    except (KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path}, {recipe}: expected best and settings (setting, validation, difference), "
            "as zoo.tune --json prints them"
        ) from None
    settings = dict.fromkeys(setting for setting, _ in cells)
    rows = ((setting, *(cells.get((setting, recipe), MISSING) for recipe in recipes)) for setting in settings)
    return Table(("Setting", *map(display, recipes)), tuple(rows))


def _name(setting: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in setting.items()) or "default"
