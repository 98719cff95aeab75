"""The part of docs/performance.md about what a step launches on a GPU, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.files import read
from bench.table import table
from zoo.report.blocks import Block, Text

FEW = 10  # launches; files with fewer in every column are left out
# What the files of `zoo` that launch most do there; any other is named as it is.
SAID = {
    "method/rates": "drop rates and gradient norms",
    "method/trainee": "backward passes",
    "method/dropout": "masks and statistics at the sites",
    "method/forward/attack": "attack",
    "method/forward/bi_stage": "losses of the passes",
    "method/forward/divergence": "cross-entropy and divergence",
    "method/backward/places": "masked update",
    "method/backward/selective": "keep probabilities and mask",
    "fast/ranks": "ranks",
    "fast/rows": "rows of the batch",
    "fast/recurrent": "recurrent layers, forward",
    "fast/convolution": "filters, forward",
    "models/textcnn": "TextCNN beside its filters",
    "models/layers": "attention and last states",
    "models/han": "folding into sentences",
    "training/graphs": "batch, schedule and records",
}
Row = dict[str, Any]
Kind = tuple[str, str]  # arch, recipe


def stacked(results: Path) -> list[Block]:
    """The table of several seeds as one model, beside as many steps of one."""
    found = read(results / "launches.json")
    one, several = _by_case(found), {(row["arch"], row["recipe"]): row for row in found["stacked"]}
    archs, recipes = (list(dict.fromkeys(names)) for names in zip(*several, strict=True))
    lines = [[recipe, *(_times(one, several, (arch, recipe)) for arch in archs)] for recipe in recipes]
    return [table(("recipe", *archs), lines)]


def _times(one: Mapping[Kind, Row], several: Mapping[Kind, Row], kind: Kind) -> str:
    row = several.get(kind)
    return "-" if row is None else f"{row['seeds']} × {one[kind]['launches']} → {row['launches']}"


def launches(results: Path) -> list[Block]:
    """Tables of all recipes, and of UEGR by what launches."""
    before, now = (read(results / name) for name in ("launches_before.json", "launches.json"))
    was, rows = _by_case(before), _by_case(now)
    archs = list(dict.fromkeys(arch for arch, _ in rows))
    recipes = list(dict.fromkeys(recipe for _, recipe in rows))
    lines = [
        [recipe, *(_change(was.get((a, recipe)), rows[a, recipe]["launches"]) for a in archs)]
        for recipe in recipes
    ]
    ratios = [
        " → ".join(
            f"{found[arch, 'uegr']['launches'] / found[arch, 'standard']['launches']:.1f}"
            for found in (was, rows)
        )
        for arch in archs
    ]
    files = dict.fromkeys(file for a in archs for found in (was, rows) for file in found[a, "uegr"]["where"])
    parts = [
        [SAID.get(file, file), *(_part(was[a, "uegr"], rows[a, "uegr"], file) for a in archs)]
        for file in files
        if any(found[a, "uegr"]["where"].get(file, 0) >= FEW for a in archs for found in (was, rows))
    ]
    return [
        Text(f"Launches a step at commit {before['made_by']['commit']} → now, by recipe:"),
        table(("recipe", *archs), [*lines, ["uegr / standard", *ratios]], strong=[len(lines)]),
        Text(f"The same of uegr by what asks for them, of {FEW} and more:"),
        table(("part", *archs), parts),
    ]


def _by_case(found: Row) -> dict[Kind, Row]:
    return {(row["arch"], row["recipe"]): row for row in found["launches"]}


def _change(before: Row | None, now: int) -> str:
    return f"{'-' if before is None else before['launches']} → {now}"


def _part(before: Row, now: Row, file: str) -> str:
    return f"{before['where'].get(file, 0)} → {now['where'].get(file, 0)}"
