"""What a training step costs: `python -m zoo.bench`.

    python -m zoo.bench [options]          time of a step for each arch, recipe and length
    python -m zoo.bench levers [--out F]   what each fast path gains over its slow twin
    python -m zoo.bench growth [--out F]   how the cost grows with length, vocabulary, classes, K and batch
    python -m zoo.bench waits [--out F]    what a user waits for beside the steps
    python -m zoo.bench grid [--out F]     what a grid costs beside its cells, up to 100,000 of them
    python -m zoo.bench portable [--out F] the same weights on this processor and on emulated ones
    python -m zoo.bench gpu [--out F]      steps on a GPU, ordinary and replayed
    python -m zoo.bench launches [--out F] what a step launches on a GPU, counted without one
    python -m zoo.bench families [--out F] uegr on tiny models of Hugging Face's families
    python -m zoo.bench report             rebuild docs/performance.md from results/performance/

Times are CPU time of the thread, the variants run in turn in one process, medians with quartiles. All that
reads a command line stands here. Heavy imports stand inside the functions: `--help` must not wait for torch.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import files
from bench.cases import TABLE_IV_ARCHS, Case, check, parse_change
from bench.progress import Progress
from zoo.core.command import CommandParser, command
from zoo.core.errors import UserError, write_whole

if TYPE_CHECKING:
    from bench.run import Effort

Work = Callable[[Progress], dict[str, Any]]
LENGTHS, QUICK_LENGTHS = (32, 64, 256, 400), (32, 256)
QUICK_RECIPES = ("standard", "r_at", "uegr")
STUDIES = {
    "levers": "What each fast path gains over its slow twin.",
    "growth": "How the cost of a step grows with length, vocabulary, classes, batch and K.",
    "waits": "What a user waits for beside the steps; and workers against threads.",
    "grid": "What a grid costs beside its cells: planning, claiming, resuming, reading, reporting.",
    "portable": "Whether training is the same bit for bit on this processor and on emulated ones.",
    "gpu": "Steps on a GPU: ordinary and as CUDA graphs, several cells at once, and Table IV from that.",
    "launches": "How many operators a step launches on a GPU, by model and recipe; counted without one.",
}
# Bounds of the numbers: (least, largest).
BOUNDS = {
    "length": (5, 20_000), "vocabulary": (10, 5_000_000), "batch": (1, 4_096), "classes": (2, 100_000),
    "rounds": (1, 10_000), "threads": (1, 1_024), "cells": (1, 1_000_000),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name, rest = arguments[:1], arguments[1:]
    if name == ["report"]:
        return command("zoo.bench", lambda: _report(rest))
    if name and name[0] in STUDIES:
        return command("zoo.bench", lambda: _study(name[0], rest))
    if name == ["away"]:
        from bench.away import main as away

        return command("zoo.bench", lambda: away(rest))
    if name == ["families"]:
        return command("zoo.bench", lambda: _families(rest))
    return command("zoo.bench", lambda: _steps(parse(arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a measurement of steps."""
    parser = CommandParser(
        prog="python -m zoo.bench",
        description="Time of a training step, its parts, and its ratio to a plain step and to a "
        "straightforward implementation.",
        epilog="Other commands: `zoo.bench levers`, `growth`, `waits`, `portable`, `gpu`, `launches`, "
        "`grid`, `families`, `away`, `report`.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="few recipes, lengths and rounds: about two minutes")
    add("--arch", nargs="+", default=["all"], help="models: bilstm, textcnn, texthan, han, or all (default)")
    add("--recipe", nargs="+", help="methods by name, or all (default: Table IV; see zoo.ablate --help)")
    add("--length", nargs="+", type=int, help=f"words of a text (default {' '.join(map(str, LENGTHS))})")
    add("--vocabulary", type=int, default=30_000, help="rows of the word table (default 30000)")
    add("--batch", type=int, default=16, help="examples a batch (default 16)")
    add("--classes", type=int, default=4, help="classes (default 4)")
    add("--sizes", default="targets", help="model sizes: targets (one layer of 128), paper, demo")
    add("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="settings of the recipes")
    add("--rounds", type=int, help="measured steps of each case (default 9; the slow twin a third)")
    add("--no-straightforward", action="store_true", help="leave the straightforward implementation out")
    add("--zscore", action="store_true", help="also its cheaper mask by z-scores in place of ranks")
    add("--threads", type=int, default=1, help="threads (default 1, which is what the grid uses)")
    add("--json", action="store_true", help="print one JSON object instead of a table")
    add("--out", type=Path, help="also write the JSON object to this file")
    return parser.parse_args(arguments)


def _steps(options: argparse.Namespace) -> int:
    cases = plan_cases(options)

    def work(progress: Progress) -> dict[str, Any]:
        from bench.run import measure

        return {"rows": measure(cases, _effort(options), progress)}

    return _measured(options, work)


def plan_cases(options: argparse.Namespace) -> list[Case]:
    """The cases that the options ask for, all checked.

    Raises:
        UserError: unknown name, or a number out of bounds.
    """
    from zoo.models import MODELS
    from zoo.recipes import RECIPES, TABLE_IV

    _check_bounds(options)
    lengths = options.length or (QUICK_LENGTHS if options.quick else LENGTHS)
    archs = tuple(MODELS) if "all" in options.arch else options.arch
    recipes = options.recipe or (QUICK_RECIPES if options.quick else TABLE_IV)
    recipes = tuple(RECIPES) if "all" in recipes else recipes
    changes = tuple(dict(map(parse_change, options.set)).items())
    cases = [
        Case(arch, recipe, length, options.batch, options.vocabulary, options.classes, options.sizes, changes)
        for arch in dict.fromkeys(archs)
        for length in dict.fromkeys(lengths)
        for recipe in dict.fromkeys(recipes)
    ]
    check(cases)
    return cases


def _check_bounds(options: argparse.Namespace) -> None:
    for name, (low, high) in BOUNDS.items():
        given = getattr(options, name, None)
        for value in given if isinstance(given, list) else [given]:
            if value is not None and not low <= value <= high:
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


def _measured(options: argparse.Namespace, work: Work) -> int:
    """Run `work` with progress shown; add the machine and the settings; print, then write where asked."""
    if options.out is not None:
        files.check_place(options.out)
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    import torch

    from bench.run import machine
    from zoo.fast.denormals import flushed

    torch.set_num_threads(options.threads)
    with Progress() as progress, flushed():  # as in a cell
        found = work(progress)
    # A folder of this machine says nothing to a reader of the file.
    settings = {
        k: "DIR" if isinstance(v, Path) else v for k, v in vars(options).items() if k not in ("json", "out")
    }
    text = json.dumps({"machine": machine(), "settings": settings, **found}, indent=1)
    if options.json:
        print(text)
    elif "families" in found:
        from bench.families import as_text as families_as_text

        print(families_as_text(found["families"]))
    else:
        from bench.table import as_text

        print(as_text(found["rows"]))
    if options.out is not None:  # last: a full disk must not take the result with it
        write_whole(options.out, f"{text}\n".encode())
    return 0


def _study(name: str, arguments: Sequence[str]) -> int:
    parser = CommandParser(prog=f"python -m zoo.bench {name}", description=STUDIES[name])
    if name not in ("launches", "grid"):  # counts, and seconds of thousands of cells, are not repeated
        parser.add_argument("--rounds", type=int, default=9, help="measured runs of each variant (default 9)")
    parser.add_argument("--out", type=Path, help="also write the JSON object to this file")
    if name == "launches":
        parser.add_argument("--arch", nargs="+", default=["all"], help="models by name, or all (default)")
        parser.add_argument("--length", type=int, default=64, help="words of a text (default 64)")
        parser.add_argument("--sizes", default="paper", help="model sizes: paper (default), targets, demo")
    if name == "waits":
        parser.add_argument("--data-dir", type=Path, help="folder with the corpora (default: UEGR_DATA)")
        parser.add_argument("--corpus", nargs="+", default=["bbc_news", "zh_reviews"], help="corpora by name")
    if name == "grid":
        sizes = [1_000, 10_000, 100_000]
        parser.add_argument("--cells", nargs="+", type=int, default=sizes, help="how many cells")
    if name == "gpu":
        parser.add_argument("--arch", nargs="+", default=list(TABLE_IV_ARCHS), help="models by name")
        parser.add_argument("--length", nargs="+", type=int, default=[32, 64, 256], help="words of a text")
        parser.add_argument("--sizes", default="paper", help="model sizes: paper (default), targets, demo")
        parser.add_argument("--cells", nargs="+", type=int, default=[1, 2, 4, 8, 16], help="cells at a time")
        parser.add_argument(
            "--minutes",
            type=float,
            default=float("inf"),
            help="begin no part after so many; what is left is named",
        )
    options = parser.parse_args(arguments)
    _check_bounds(options)
    options.threads, options.json = 1, True
    return _measured(options, lambda progress: _measure_study(name, options, progress))


def _measure_study(name: str, options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    if name == "levers":
        from bench.levers import measure_levers

        return {"levers": measure_levers(options.rounds, progress)}
    if name == "grid":
        from bench.grid import measure_grid

        return measure_grid(tuple(options.cells), progress)
    if name == "waits":
        from bench.waits import measure_waits

        return {"waits": measure_waits(options.corpus, options.data_dir, options.rounds, progress)}
    if name == "gpu":
        from bench.gpu import measure_gpu

        return measure_gpu(
            options.arch,
            options.length,
            options.sizes,
            options.cells,
            options.rounds,
            progress,
            options.minutes,
        )
    if name == "launches":
        from bench.launches import measure_launches
        from zoo.models import MODELS

        archs = tuple(MODELS) if "all" in options.arch else options.arch
        return measure_launches(archs, options.length, options.sizes, progress)
    if name == "portable":
        from bench.portable import measure_portable

        return measure_portable(progress)
    from bench.growth import measure_growth

    return measure_growth(options.rounds, progress)


def _families(arguments: Sequence[str]) -> int:
    parser = CommandParser(
        prog="python -m zoo.bench families",
        description="Tiny models of Hugging Face's families with random weights: logits through the word "
        "vectors, dropout sites, what is left out, the cost of a step of UEGR in plain steps.",
    )
    parser.add_argument("--family", nargs="+", help="families by name (default: all)")
    parser.add_argument("--rounds", type=int, default=9, help="measured steps of each (default 9)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--out", type=Path, help="also write the JSON object to this file")
    options = parser.parse_args(arguments)
    _check_bounds(options)
    options.threads = 1

    def work(progress: Progress) -> dict[str, Any]:
        from bench.families import measure_families, names

        return {"families": measure_families(names(options.family), options.rounds, progress)}

    return _measured(options, work)


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
