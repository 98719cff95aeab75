"""The settings that `zoo.tune` tried, as a section of the page. Validation accuracies only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.results.names import display, in_order
from zoo.results.render import markdown_table

__all__ = ["tuning_text"]

_READING = """\
Mean accuracy on the validation part, over corpora and seeds; the test part was not read. Each setting
was varied alone around the default; then, where several values helped, the best of each were put
together. The best of many settings looks better than it is: only a comparison on the test part measures
it."""


def tuning_text(results: Path) -> str:
    """A table a recipe from each `tune*.json` in `results`, in Markdown; empty where there is none.

    Raises:
        UserError: a file is not what `zoo.tune --json` prints.
    """
    parts = []
    for path in sorted(results.glob("tune*.json")):
        answer = _read(path)
        for recipe in in_order(answer):
            parts += [f"### {display(recipe)} ({path.name})", _table(path, recipe, answer[recipe])]
    return "\n\n".join([_READING, *parts]) if parts else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: broken JSON ({error.msg})") from None
    if not isinstance(answer, dict):
        raise UserError(f"{path}: expected an object of recipes, as zoo.tune --json prints it")
    return answer


def _table(path: Path, recipe: str, found: Mapping[str, Any]) -> str:
    try:
        rows = [
            (
                ", ".join(f"{name} {value}" for name, value in row["setting"].items()) or "default",
                f"{100 * row['validation']:.2f}",
                f"{100 * row['difference']:+.2f}",
                "best" if row["setting"] == found["best"] else "",
            )
            for row in found["settings"]
        ]
    except (KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path}, {recipe}: expected best and settings (setting, validation, difference), "
            "as zoo.tune --json prints them"
        ) from None
    return markdown_table(("Setting", "Validation, %", "Difference to the default, points", ""), rows)
