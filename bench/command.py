"""What a training step costs: `python -m zoo.bench`.

    python -m zoo.bench [options]          time of a step for each arch, recipe and length
    python -m zoo.bench levers [--out F]   what each fast path gains over its slow twin
    python -m zoo.bench growth [--out F]   how the cost grows with length, vocabulary, classes, K and batch
    python -m zoo.bench waits [--out F]    what a user waits for beside the steps
    python -m zoo.bench gpu [--out F]      steps on a GPU, ordinary and replayed
    python -m zoo.bench report             rebuild docs/performance.md from results/performance/

Times are CPU time of the thread, the variants run in turn in one process, medians with quartiles. Heavy
imports stand inside the functions: `--help` must not wait for torch.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cases import TABLE_IV_ARCHS
from bench.progress import Progress
from zoo.core.command import CommandParser, command
from zoo.core.errors import UserError
from zoo.core.options import lookup, parse_setting
from zoo.recipes import RECIPES, TABLE_IV, Recipe
from zoo.settings import ARCHS

if TYPE_CHECKING:
    from bench.cases import Case
    from bench.run import Effort

LENGTHS, QUICK_LENGTHS = (32, 64, 256, 400), (32, 256)
QUICK_RECIPES = ("standard", "r_at", "uegr")
STUDIES = {
    "levers": "What each fast path gains over its slow twin.",
    "growth": "How the cost of a step grows with length, vocabulary, classes, batch and K.",
    "waits": "What a user waits for beside the steps; and workers against threads.",
    "gpu": "Steps on a GPU: ordinary and as CUDA graphs, several cells at once, and Table IV from that.",
}
# Bounds of the numbers: (least, largest).
BOUNDS = {
    "length": (5, 20_000), "vocabulary": (10, 5_000_000), "batch": (1, 4_096), "classes": (2, 100_000),
    "rounds": (1, 10_000), "threads": (1, 1_024),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name, rest = arguments[:1], arguments[1:]
    if name == ["report"]:
        return command("zoo.bench", lambda: _report(rest))
    if name and name[0] in STUDIES:
        return command("zoo.bench", lambda: _study(name[0], rest))
    return command("zoo.bench", lambda: _run(parse(arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a measurement."""
    parser = CommandParser(
        prog="python -m zoo.bench",
        description="Time of a training step, its parts, and its ratio to a plain step and to a "
        "straightforward implementation.",
        epilog="Other commands: `python -m zoo.bench levers`, `growth`, `waits`, `gpu`, `report`.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="few recipes, lengths and rounds: about two minutes")
    add("--arch", nargs="+", default=["all"], help=f"models: {', '.join(ARCHS)}, or all (default all)")
    add("--recipe", nargs="+", help="methods by name, or all (default: Table IV; see zoo.ablate --help)")
    add("--length", nargs="+", type=int, help=f"words of a text (default {' '.join(map(str, LENGTHS))})")
    add("--vocabulary", type=int, default=30_000, help="rows of the word table (default 30000)")
    add("--batch", type=int, default=16, help="examples a batch (default 16)")
    add("--classes", type=int, default=4, help="classes (default 4)")
    add("--sizes", default="targets", help="model sizes: targets (one layer of 128), paper, demo")
    add("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the recipes")
    add("--rounds", type=int, help="measured steps of each case (default 9; the slow twin a third)")
    add("--no-straightforward", action="store_true", help="leave the straightforward implementation out")
    add("--zscore", action="store_true", help="also its cheaper mask by z-scores in place of ranks")
    add("--threads", type=int, default=1, help="threads (default 1, which is what the grid uses)")
    add("--json", action="store_true", help="print one JSON object instead of a table")
    add("--out", type=Path, help="also write the JSON object to this file")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    cases = plan_cases(options)
    result = _measured(options, lambda progress: _rows(cases, _effort(options), progress))
    if not options.json:
        from bench.table import as_text

        print(as_text(result["rows"]))
    return 0


def plan_cases(options: argparse.Namespace) -> list[Case]:
    """The cases that the options ask for, all checked.

    Raises:
        UserError: unknown name, or a number out of bounds.
    """
    from bench.cases import SIZES, Case

    lookup(SIZES, options.sizes, "sizes")
    lengths = options.length or (QUICK_LENGTHS if options.quick else LENGTHS)
    for name in ("vocabulary", "batch", "classes", "rounds", "threads"):
        if (value := getattr(options, name)) is not None:
            _within(name, value)
    for length in lengths:
        _within("length", length)
    archs = ARCHS if "all" in options.arch else options.arch
    recipes = options.recipe or (QUICK_RECIPES if options.quick else TABLE_IV)
    recipes = tuple(RECIPES) if "all" in recipes else recipes
    changes = []
    for text in options.set:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text}: expected NAME=VALUE")
        changes.append((key, parse_setting(Recipe, key, value)))
    for arch in archs:
        lookup({name: name for name in ARCHS}, arch, "arch")
    cases = [
        Case(
            arch, recipe, length, options.batch, options.vocabulary, options.classes, options.sizes,
            tuple(changes),
        )
        for arch in dict.fromkeys(archs)
        for length in dict.fromkeys(lengths)
        for recipe in dict.fromkeys(recipes)
    ]  # fmt: skip
    for case in cases:
        _ = case.settings  # refuses unknown recipes and impossible settings before anything runs
    return cases


def _within(name: str, value: int) -> None:
    low, high = BOUNDS[name]
    if not low <= value <= high:
        raise UserError(f"--{name} {value}: expected a number from {low} to {high}")


def _effort(options: argparse.Namespace) -> Effort:
    from dataclasses import replace

    from bench.run import QUICK, Effort

    effort = QUICK if options.quick else Effort()
    if options.rounds:
        third = max(1, options.rounds // 3)
        effort = replace(effort, rounds=options.rounds, straightforward_rounds=third, part_rounds=third)
    if options.no_straightforward:
        effort = replace(effort, straightforward_rounds=0)
    return replace(effort, masks=("sort", "zscore")) if options.zscore else effort


def _rows(cases: list[Case], effort: Effort, progress: Progress) -> dict[str, Any]:
    from bench.run import measure

    return {"rows": measure(cases, effort, progress)}


def _measured(options: argparse.Namespace, work: Any) -> dict[str, Any]:
    """Run `work` with progress shown; add the machine and the settings; write and print as asked."""
    if options.out is not None and not options.out.parent.is_dir():
        raise UserError(f"--out {options.out}: there is no folder {options.out.parent}")
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    import torch

    from bench.run import machine

    torch.set_num_threads(options.threads)
    with Progress() as progress:
        found = work(progress)
    settings = {
        k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items() if k not in ("json", "out")
    }
    result = {"machine": machine(), "settings": settings, **found}
    text = json.dumps(result, indent=1)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    if options.json:
        print(text)
    return result


def _study(name: str, arguments: Sequence[str]) -> int:
    parser = CommandParser(prog=f"python -m zoo.bench {name}", description=STUDIES[name])
    parser.add_argument("--rounds", type=int, default=9, help="measured runs of each variant (default 9)")
    parser.add_argument("--out", type=Path, help="also write the JSON object to this file")
    if name == "waits":
        parser.add_argument("--data-dir", type=Path, help="folder with the corpora (default: UEGR_DATA)")
        parser.add_argument("--corpus", nargs="+", default=["bbc_news", "zh_reviews"], help="corpora by name")
    if name == "gpu":
        parser.add_argument("--arch", nargs="+", default=list(TABLE_IV_ARCHS), help="models by name")
        parser.add_argument("--length", nargs="+", type=int, default=[32, 64, 256], help="words of a text")
        parser.add_argument("--sizes", default="paper", help="model sizes: paper (default), targets, demo")
        parser.add_argument("--cells", nargs="+", type=int, default=[1, 2, 4, 8, 16], help="cells at a time")
    options = parser.parse_args(arguments)
    options.threads, options.json = 1, True
    _within("rounds", options.rounds)
    _measured(options, lambda progress: _measure_study(name, options, progress))
    return 0


def _measure_study(name: str, options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    if name == "levers":
        from bench.levers import measure_levers

        return {"levers": measure_levers(options.rounds, progress)}
    if name == "waits":
        from bench.waits import measure_waits

        return {"waits": measure_waits(options.corpus, options.data_dir, options.rounds, progress)}
    if name == "gpu":
        from bench.gpu import measure_gpu

        return measure_gpu(
            options.arch, options.length, options.sizes, options.cells, options.rounds, progress
        )
    from bench.growth import measure_growth

    return measure_growth(options.rounds, progress)


def _report(arguments: Sequence[str]) -> int:
    parser = CommandParser(prog="python -m zoo.bench report")
    here = Path(__file__).parents[1]
    parser.add_argument("--results", type=Path, default=here / "results" / "performance")
    parser.add_argument("--docs", type=Path, default=here / "docs")
    options = parser.parse_args(arguments)
    from bench.report import write_report

    for path in write_report(options.results, options.docs):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
