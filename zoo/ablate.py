"""The command line of the ablation: `python -m zoo.ablate --arch texthan`.

    python -m zoo.ablate [options]             run what is missing of a grid, then print its table
    python -m zoo.ablate report [--out DIR]    rebuild tables and figures from a folder of results
    python -m zoo.ablate show CELL             one cell in full

Heavy imports stand inside the functions: `--help` must not wait for torch.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core.command import EXIT_FAILED_CELLS, EXIT_INTERRUPTED, CommandParser, command, say
from zoo.core.errors import UserError
from zoo.core.options import lookup, parse_setting
from zoo.core.processes import cores
from zoo.recipes import RECIPE_PRESETS, RECIPES, TABLE_IV, Recipe, resolve_recipe
from zoo.settings import ARCHS, PRESETS, ModelSettings, TrainSettings

if TYPE_CHECKING:
    from zoo.grid.worker import Job, Places


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"report": _report, "show": _show}
    if arguments[:1] and arguments[0] in commands:
        return command("zoo.ablate", lambda: commands[arguments[0]](arguments[1:]))
    return command("zoo.ablate", lambda: _run(parse(arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a run."""
    parser = CommandParser(
        prog="python -m zoo.ablate",
        description="Compare the training methods of Table IV on real text. Finished cells are kept: the "
        "same command again runs only what is missing.",
        epilog="Other commands: `python -m zoo.ablate report --out DIR`, `python -m zoo.ablate show CELL`.",
    )
    add = parser.add_argument
    add("--preset", default="demo", help=f"sizes and corpora: {', '.join(PRESETS)} (default demo)")
    add(
        "--arch", nargs="+", default=["texthan"], help=f"models: {', '.join(ARCHS)}, or all (default texthan)"
    )
    add(
        "--corpus", nargs="+", help="corpora by name, or a folder or file of your own (default: the preset's)"
    )
    add(
        "--recipe",
        nargs="+",
        default=list(TABLE_IV),
        help=f"methods: {', '.join(RECIPES)} (default: Table IV)",
    )
    add("--recipe-preset", default="paper", help=f"readings of the paper: {', '.join(RECIPE_PRESETS)}")
    add("--seeds", nargs="+", type=int, help="seeds by number, e.g. 0 1 2 (default: the preset's)")
    add("--folds", type=int, default=0, help="k for k-fold cross-validation (default: one fixed split)")
    add("--epochs", type=int, help="epochs of training")
    add("--batch", type=int, help="examples a batch")
    add("--fraction", type=float, help="share of each corpus' rows to use, 0 to 1")
    add("--vectors", help="word vectors: random, word2vec (trained on the training part), or a file")
    add("--tokeniser", help="auto (words, or jieba for Chinese), words, jieba, characters")
    add("--set", nargs="+", default=[], metavar="NAME=VALUE", help="any setting of recipe, model or training")
    add("--data-dir", type=Path, help="folder with the corpora (default: the variable UEGR_DATA)")
    add("--cache-dir", type=Path, help="folder for prepared text (default: UEGR_CACHE or ~/.cache/uegr)")
    add("--out", type=Path, help="folder for the results (default: runs/PRESET)")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="default: cuda if there is one")
    add("--jobs", type=int, help="cells at a time, each a process (default: one a core on a CPU)")
    add("--cells-per-gpu", type=int, metavar="N", help="cells at a time on each GPU (default 1)")
    add("--no-graphs", action="store_true", help="on a GPU: ordinary steps, none replayed as a CUDA graph")
    add("--dry-run", action="store_true", help="print the cells, how long they will take, and stop")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    places, jobs = plan(options)
    if options.dry_run:
        return _dry_run(options, places, jobs)

    from zoo.grid.progress import duration
    from zoo.grid.store import Store

    store = Store(places.out)
    missing = {job.id for job in jobs if not store.done(job.id)}
    say(f"{len(jobs)} cells, {len(missing)} to run, results in {places.out}/")
    interrupted = False
    try:
        run_jobs(jobs, places, options.jobs)
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted: finished cells are kept, the same command again runs the rest")
    results = [store.read(job.id) for job in jobs if store.path(job.id).exists()]
    seconds = time.perf_counter() - began
    _print_results(options, places, results, seconds)
    if not options.json:
        print(_closing_line(options, len(jobs) - len(missing), duration(seconds)))
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED_CELLS if any(result["status"] == "failed" for result in results) else 0


def plan(options: argparse.Namespace) -> tuple[Places, list[Job]]:
    """Settings from preset and options, then the list of cells."""
    preset = lookup(PRESETS, options.preset, "preset")
    archs = list(ARCHS) if options.arch == ["all"] else options.arch
    for arch in archs:
        lookup(dict.fromkeys(ARCHS), arch, "arch")
    changes = _assignments(options.set)
    recipe_changes = {key: value for key, value in changes.items() if key in _fields(Recipe)}
    recipes = {name: resolve_recipe(name, options.recipe_preset, recipe_changes) for name in options.recipe}
    model = _settings(ModelSettings, preset["model"], changes)
    given = {"epochs": options.epochs, "batch_size": options.batch, "vectors": options.vectors}
    train = _settings(TrainSettings, preset["train"], changes, given)
    for name in ("epochs", "batch_size"):
        if getattr(train, name) < 1:
            raise UserError(f"{name} is {getattr(train, name)}: expected at least 1")
    if options.jobs is not None and options.jobs < 1:
        raise UserError(f"--jobs {options.jobs}: expected at least 1")

    from zoo.text import TextSettings  # after the cheap checks: it imports torch

    given = {"fraction": options.fraction, "folds": options.folds, "tokeniser": options.tokeniser}
    text = _settings(TextSettings, preset["text"], changes, given)
    for name in changes:
        known = [f for kind in (Recipe, ModelSettings, TrainSettings, TextSettings) for f in _fields(kind)]
        lookup(dict.fromkeys(sorted(known)), name, "setting")

    from zoo.grid.worker import Places, plan_jobs

    places = Places(
        options.out or Path("runs") / options.preset,
        options.data_dir,
        options.cache_dir,
        _device(options.device),
        not options.no_graphs,
    )
    if options.cells_per_gpu is not None:
        options.jobs = _cells_on_gpus(options.cells_per_gpu, places.device)
    jobs = plan_jobs(
        options.corpus or preset["corpora"],
        archs,
        recipes,
        options.seeds if options.seeds is not None else preset["seeds"],
        model,
        train,
        text,
        preset["fractions"] if options.fraction is None else {},
        places,
        say,
    )
    return places, jobs


def _settings(
    kind: type, preset: dict[str, Any], changes: dict[str, str], given: dict[str, Any] | None = None
) -> Any:
    """A settings dataclass: its defaults, then the preset, then options, then --set."""
    values = dict(preset)
    values |= {key: value for key, value in (given or {}).items() if value is not None}
    values |= {key: parse_setting(kind, key, text) for key, text in changes.items() if key in _fields(kind)}
    return kind(**values)


def _fields(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def _assignments(texts: Sequence[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise UserError(f"--set {text}: expected NAME=VALUE, for example --set alpha=1")
    return dict(text.split("=", 1) for text in texts)


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here; expected cpu or auto")
    return name


def _cells_on_gpus(each: int, device: str) -> int:
    import torch

    if each < 1:
        raise UserError(f"--cells-per-gpu {each}: expected at least 1")
    if device != "cuda":
        raise UserError(
            f"--cells-per-gpu {each}: the device is {device}, expected a GPU; on a CPU use --jobs"
        )
    return each * max(1, torch.cuda.device_count())


def run_jobs(jobs: list[Job], places: Places, workers: int | None) -> None:
    """Run what is missing of a grid, with progress; `workers` None = one a core, or one on a GPU."""
    from zoo.grid.local import run_grid
    from zoo.grid.progress import GridProgress
    from zoo.grid.store import Store

    store = Store(places.out)
    missing = {job.id for job in jobs if not store.done(job.id)}
    with GridProgress(jobs, missing) as progress:
        run_grid(jobs, places, _workers(workers, places), progress.send)


def _workers(asked: int | None, places: Places) -> int:
    if asked is not None:
        return asked
    return 1 if places.device == "cuda" else cores()


def _dry_run(options: argparse.Namespace, places: Places, jobs: list[Job]) -> int:
    from zoo.grid.estimate import estimate_seconds
    from zoo.grid.progress import duration
    from zoo.grid.store import Store

    store = Store(places.out)
    missing = [job for job in jobs if not store.done(job.id)]
    say("timing a few steps of each kind of cell")
    seconds = estimate_seconds(missing, places, _workers(options.jobs, places))
    if options.json:
        cells = [{"id": job.id, "done": job not in missing} for job in jobs]
        print(json.dumps({"cells": cells, "estimated_seconds": seconds}))
        return 0
    for job in jobs:
        print(f"{'missing' if job in missing else 'done   '}  {job.id}")
    most = " or less, as replayed steps are faster" if places.device == "cuda" and places.graphs else ""
    print(f"{len(jobs)} cells, {len(missing)} to run, about {duration(seconds)} at the present pace{most}")
    return 0


def _print_results(
    options: argparse.Namespace, places: Places, results: list[dict[str, Any]], seconds: float
) -> None:
    from zoo.report.files import table_json, terminal_report, write_report

    paper = options.preset == "paper"
    written = [str(path) for path in write_report(places.out, results, paper=paper)] if results else []
    if options.json:
        light = [{k: v for k, v in result.items() if k not in ("predictions", "truth")} for result in results]
        answer = {
            "cells": [result for result in light if result["cell"]["arch"] != "-"],
            "reference": [result for result in light if result["cell"]["arch"] == "-"],
            "table": table_json(results, paper=paper),
            "seconds": seconds,
            "written": written,
        }
        print(json.dumps(answer))
        return
    print(terminal_report(results, paper=paper, width=_terminal_width()))


def _closing_line(options: argparse.Namespace, kept: int, took: str) -> str:
    arch = " ".join(options.arch)
    done = f"Took {took}" + (f", {kept} cells were there already" if kept else "") + "."
    if options.preset == "demo" and not options.corpus:
        return (
            f"{done} This was the demo: two small corpora and small models. The paper's corpora: "
            f"python -m zoo.ablate --arch {arch} --preset quick --data-dir DIR"
        )
    return done


def _report(arguments: Sequence[str]) -> int:
    from zoo.grid.store import Store
    from zoo.report.files import table_json, terminal_report, write_report

    parser = CommandParser(
        prog="python -m zoo.ablate report", description="Rebuild tables and figures from results."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), help="folder with the results (default: runs/demo)"
    )
    parser.add_argument("--paper", action="store_true", help="the paper's numbers beside the measured ones")
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")
    options = parser.parse_args(arguments)
    results = list(Store(options.out).cells())
    if not results:
        raise UserError(f"{options.out}: holds no results; expected a folder that a run has written to")
    paths = write_report(options.out, results, paper=options.paper)
    if options.json:
        print(
            json.dumps(
                {"table": table_json(results, paper=options.paper), "written": [str(p) for p in paths]}
            )
        )
    else:
        print(terminal_report(results, paper=options.paper, width=_terminal_width()))
        print("Written: " + ", ".join(str(path) for path in paths))
    return 0


def _show(arguments: Sequence[str]) -> int:
    from zoo.grid.store import Store
    from zoo.report.files import show_cell

    parser = CommandParser(prog="python -m zoo.ablate show", description="One cell in full.")
    parser.add_argument("cell", help="its name, or the beginning of it")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), help="folder with the results (default: runs/demo)"
    )
    options = parser.parse_args(arguments)
    matches = [result for result in Store(options.out).cells() if result["id"].startswith(options.cell)]
    if len(matches) != 1:
        found = ", ".join(result["id"] for result in matches) or "none"
        raise UserError(f"{options.out}: expected one cell that begins with {options.cell!r}, found {found}")
    print(show_cell(matches[0]))
    return 0


def _terminal_width() -> int | None:
    """Columns of the terminal, or None (no limit) where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


if __name__ == "__main__":
    sys.exit(main())
