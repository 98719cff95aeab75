"""docs/performance.md from the measurements in results/performance/; no number is typed by hand.

steps.json       python -m zoo.bench --out ...
paper.json       python -m zoo.bench --sizes paper ...
targets_*.json   python -m zoo.bench --zscore ..., the cases of the goals
levers.json      python -m zoo.bench levers --out ...
growth.json      python -m zoo.bench growth --out ...
waits.json       python -m zoo.bench waits --out ...
gpu.json         python -m zoo.bench gpu --out ..., where there has been a GPU
grid.json        python -m zoo.bench grid --out ...
launches.json    python -m zoo.bench launches --out ...; launches_before.json: by an earlier commit
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from bench.files import read
from bench.growth import by_series, fit
from bench.report_launches import launches, stacked
from bench.report_waits import on_a_gpu, same_weights, waiting
from bench.table import number, shown, table
from zoo.core.errors import UserError
from zoo.report.blocks import MISSING, Block, List, Table, Text, markdown

TEMPLATE = Path(__file__).with_name("performance.md")  # the words around the tables
FIGURE = "performance_growth.svg"
# The goals of the project: arch, length -> straightforward / ours of a UEGR step.
SPEED_GOALS = {
    ("textcnn", 256): 8, ("textcnn", 64): 14, ("textcnn", 24): 22,
    ("bilstm", 256): 3, ("bilstm", 64): 8, ("bilstm", 24): 22,
    ("texthan", 256): 3, ("texthan", 64): 7, ("texthan", 24): 18,
    ("han", 600): 6,
}  # fmt: skip
PART_LENGTHS = (32, 64, 256)  # of the table of parts
SHARED_GOAL, UNSHARED_GOAL = 2.2, 3.1  # UEGR / plain: one trunk pass for the K sub-models, or K

STUDIES = ("levers", "growth", "waits", "grid", "portable", "gpu", "launches")  # what has a file of its own

# Options that a command need not name.
DEFAULTS: tuple[tuple[str, Any], ...] = (
    ("arch", ["all"]), ("vocabulary", 30_000), ("batch", 16), ("classes", 4), ("sizes", "targets"),
    ("threads", 1),
)  # fmt: skip

Row = dict[str, Any]


def write_report(results: Path, docs: Path) -> list[Path]:
    """Write the page and its figure; returns their paths.

    Raises:
        UserError: a file of measurements is missing or not one.
    """
    from bench.figure import draw_growth

    page, figure = docs / "performance.md", docs / FIGURE
    page.write_text(build_page(results), encoding="utf-8")
    draw_growth(read(results / "growth.json")["growth"], figure)
    return [page, figure]


def build_page(results: Path) -> str:
    """The text of the page."""
    files = sorted(results.glob("*.json"))
    steps, targets = ([row for path in files if path.name.startswith(kind) for row in read(path)["rows"]]
                      for kind in ("steps", "targets_"))  # fmt: skip
    if not steps:
        raise UserError(f"{results / 'steps.json'}: not found; docs/performance.md says what makes it")
    paper, levers = read(results / "paper.json"), read(results / "levers.json")
    growth, settings = read(results / "growth.json"), paper["settings"]
    waits, grid = read(results / "waits.json")["waits"], read(results / "grid.json")
    blocks: dict[str, list[Block]] = {
        "targets": [_targets(targets)],
        "summary": _summary(targets),
        "steps": [_steps(steps)],
        "parts": [_parts(steps)],
        "paper": [_steps(paper["rows"], long=False)],
        "levers": [_levers(levers["levers"]), *_load(levers["machine"])],
        "growth": [_growth(growth["growth"])],
        **waiting(waits),
        "grid": [_grid(grid["grid"]), *_load(grid["machine"])],
        "portable": same_weights(read(results / "portable.json")["portable"]),
        "gpu": on_a_gpu(results / "gpu.json"),
        "launches": launches(results),
        "stacked": stacked(results),
    }
    return TEMPLATE.read_text(encoding="utf-8").format(
        **{name: paper["machine"][name] for name in ("processor", "system", "python", "torch", "threads")},
        batch=settings["batch"],
        vocabulary=f"{settings['vocabulary']:,}",
        classes=settings["classes"],
        commands="\n".join(f"    {_command(path)}" for path in files),
        figure=FIGURE,
        cores=waits["cores"],
        **{name: markdown(section).rstrip() for name, section in blocks.items()},
        **{f"base_{name}": f"{value:,}" for name, value in growth["base"].items() if name != "sizes"},
    )


def _command(path: Path) -> str:
    """The command line that made a file, from the settings in it."""
    found = read(path)
    study = next((name for name in STUDIES if name in found), "")
    words = ["python -m zoo.bench", study]
    for name, value in found["settings"].items():
        if value in (None, False, []) or (name, value) in DEFAULTS or (study and name == "threads"):
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words += map(str, value) if isinstance(value, list) else [str(value)]
    return " ".join([*(word for word in words if word), f"--out results/performance/{path.name}"])


def _targets(rows: list[Row]) -> Table:
    lines = []
    for row in rows:
        if row["recipe"] != "uegr":
            continue
        speed = None if row["changes"] else SPEED_GOALS.get((row["arch"], row["length"]))
        goal = SHARED_GOAL if row["shares_trunk"] else UNSHARED_GOAL
        lines.append(
            [
                f"{row['arch']} {row['length']}{_sites(row)}",
                f"{row['vocabulary']:,}",
                f"{row['step_ms']:.1f}",
                number(row["straightforward_ms"], 0),
                _against(row["ratio_straightforward_to_this"], speed, at_least=True),
                _against(row["ratio_straightforward_zscore_to_this"], speed, at_least=True),
                _against(row["ratio_to_plain"], goal, at_least=False),
                f"{100 * row['floor_share']:.0f} %",
            ]
        )
    header = (
        "arch, length", "V", "ours, ms", "straightforward, ms", "straightforward / ours",
        "the same with z-score masks", "UEGR / plain", "share of floor",
    )  # fmt: skip
    return table(header, lines)


def _sites(row: Row) -> str:
    return ", words dropped too" if "embedding" in row["changes"].get("sites", ()) else ""


def _against(value: float | None, goal: float | None, at_least: bool) -> str:
    if value is None or goal is None:
        return number(value, 2)
    met = value >= goal if at_least else value <= goal
    text = f"{value:.1f}" if at_least else f"{value:.2f}"
    return f"{text} (goal {goal:g}{'' if met else ', missed'})"


def _summary(rows: list[Row]) -> list[Block]:
    """Which goals are missed, in words."""
    missed = []
    for row in rows:
        if row["recipe"] != "uegr":
            continue
        name = f"{row['arch']} at length {row['length']}{_sites(row)}"
        speed = None if row["changes"] else SPEED_GOALS.get((row["arch"], row["length"]))
        for form in ("straightforward", "straightforward_zscore"):
            gain = row[f"ratio_{form}_to_this"]
            if speed is not None and gain is not None and gain < speed:
                missed.append(f"{name}: {gain:.1f} times the {form.replace('_', ' ')} speed, not {speed}")
        goal = SHARED_GOAL if row["shares_trunk"] else UNSHARED_GOAL
        if row["ratio_to_plain"] > goal:
            missed.append(f"{name}: {row['ratio_to_plain']:.2f} plain steps, not {goal}")
    if not missed:
        return [Text("Every goal is met.")]
    return [Text("Missed:"), List(tuple(missed))]


def _steps(rows: list[Row], long: bool = True) -> Table:
    header = ["arch, length, recipe", "ms", "quartiles", "x plain", "quartiles", "passes", "share of floor"]
    header += ["examples/s", "MiB"] + (["straightforward / ours"] if long else [])
    lines = []
    for row in rows:
        (low, high), (least, most) = row["step_ms_quartiles"], row["ratio_to_plain_quartiles"]
        line = [
            f"{row['arch']} {row['length']} {row['recipe']}",
            f"{row['step_ms']:.1f}", f"{low:.1f}-{high:.1f}",
            f"{row['ratio_to_plain']:.2f}", f"{least:.2f}-{most:.2f}", str(row["units"]),
            f"{100 * row['floor_share']:.0f} %", f"{row['examples_per_second']:.0f}",
            number(row["peak_memory_mb"], 0),
        ]  # fmt: skip
        lines.append(line + ([number(row["ratio_straightforward_to_this"], 1)] if long else []))
    return table(header, lines)


def _parts(rows: list[Row]) -> Table:
    parts = ("forward", "backward", "mask", "optimizer", "other")
    lines = []
    for row in rows:
        if row["recipe"] in ("standard", "uegr") and row["length"] in PART_LENGTHS:
            name = f"{row['arch']} {row['length']} {row['recipe']}"
            lines.append([name, *(f"{row['parts_ms'][part]:.1f}" for part in (*parts, "data"))])
            slow = row["straightforward_parts_ms"]
            lines.append([f"{name}, straightforward", *(f"{slow[part]:.0f}" for part in parts), ""])
    return table(("arch, length, recipe", *parts, "data"), lines)


def _grid(rows: list[Row]) -> Table:
    """Seconds by the number of cells, and by what exponent of it they grow between the last two."""
    parts = [part for part in rows[0] if part not in ("cells", "memory")]
    lines = [
        [part, *(number(row.get(part), 1) for row in rows), _exponent([row.get(part) for row in rows], rows)]
        for part in parts
    ]
    memory = ["memory, MB", *(f"{row['memory']:.0f}" for row in rows), ""]
    return table(("seconds", *(f"{row['cells']:,} cells" for row in rows), "grows as"), [*lines, memory])


def _exponent(seconds: list[float | None], rows: list[Row]) -> str:
    before, last = seconds[-2:]
    if not before or not last:
        return MISSING
    cells = rows[-1]["cells"] / rows[-2]["cells"]
    return f"n^{math.log(last / before) / math.log(cells):.2f}"


def _load(machine: dict[str, Any]) -> list[Block]:
    """On what, and how busy it was, where that was recorded."""
    if "load" not in machine:
        return []
    where = f"a load of {machine['load']:.1f} on {machine['cores']} cores of {machine['processor']}"
    return [Text(f"Measured at {where}.")]


def _levers(levers: list[dict[str, Any]]) -> Table:
    lines: list[list[str]] = []
    titles = []
    for lever in levers:
        titles.append(len(lines))
        lines.append([lever["title"], "", "", ""])
        for variant in lever["variants"]:
            name = variant["variant"] + (" (in use)" if variant["variant"] == lever["kept"] else "")
            low, high = variant["quartiles"]
            lines.append([name, f"{variant['ms']:.2f}", f"{low:.2f}-{high:.2f}", f"{variant['gain']:.1f}"])
    return table(("variant", "ms", "quartiles", "times as fast as the first"), lines, titles)


def _growth(points: list[dict[str, Any]]) -> Table:
    lines = []
    for (factor, arch, series), values in by_series(points).items():
        a, b, error = fit([x for x, _ in values], [y for _, y in values])
        scale, unit = (
            (1_000, "1,000 rows") if factor == "vocabulary" else (1, {"length": "word"}.get(factor, factor))
        )
        unit = {"classes": "class", "batch": "example", "K": "pass"}.get(unit, unit)
        lines.append(
            [
                f"{factor}: {arch}, {shown(series)}",
                f"{a:.1f}",
                f"{scale * b:.3f} per {unit}",
                f"{100 * error:.0f} %",
            ]
        )
    return table(("grows with", "fixed, ms", "slope, ms", "worst point off the line"), lines)
