"""Look for better settings on the validation part: `python -m zoo.tune --arch textcnn --recipe uegr dropout`.

Each setting is varied alone around the preset's default; then the best value of each is put together and run
too. The choice is made by mean validation accuracy over corpora and seeds. The test part is not read here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.ablate import parse as parse_run
from zoo.ablate import plan, run_jobs
from zoo.core.command import CommandParser, command, say
from zoo.core.errors import UserError
from zoo.core.options import lookup
from zoo.recipes import RECIPES, TABLE_IV

if TYPE_CHECKING:
    from zoo.grid.worker import Job

# What is varied: the learning rate for all recipes, the rest where the row has the part.
GRID: dict[str, tuple[str, ...]] = {
    "learning_rate": ("1e-3", "3e-3", "1e-2", "3e-2"),
    "base_rates": ("0.1", "0.2", "0.4"),
    "epsilon": ("0.01", "0.03", "0.1", "0.3"),
    "alpha": ("0.1", "0.5", "4", "16"),
    "threshold": ("0.3", "0.6", "0.9"),
    "sharpness": ("1", "5"),
    "gamma": ("0.5", "1", "2"),
}

Setting = tuple[tuple[str, str], ...]  # (name, value) pairs that differ from the default; () is the default


def grid_of(recipe: str, vary: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """The settings of GRID that matter to a recipe, or those that `vary` (NAME=VALUE,VALUE...) names."""
    row = lookup(RECIPES, recipe, "recipe")
    needs = {
        "base_rates": row.dropout != "none",
        "epsilon": row.adversarial > 0,
        "alpha": row.divergence != "none",
        "threshold": row.update == "selective",
        "sharpness": row.update == "selective",
        "gamma": row.dropout not in ("none", "uniform"),
    }
    return {name: values for name, values in (_grid(vary) or GRID).items() if needs.get(name, True)}


def _grid(vary: Sequence[str]) -> dict[str, tuple[str, ...]]:
    grid = {}
    for text in vary:
        name, equals, values = text.partition("=")
        if not equals or not all(values.split(",")):
            raise UserError(f"--vary {text}: expected NAME=VALUE,VALUE, e.g. learning_rate=3e-3,1e-2")
        grid[name] = tuple(values.split(","))
    return grid


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command("zoo.tune", lambda: _run(parse(sys.argv[1:] if arguments is None else arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a search."""
    parser = CommandParser(
        prog="python -m zoo.tune", description="Vary settings one at a time on validation."
    )
    add = parser.add_argument
    add("--preset", default="quick", help="sizes and corpora (default quick)")
    add("--arch", default="textcnn", help="model (default textcnn)")
    add("--recipe", nargs="+", default=["dropout", "uegr"], help=f"methods, of {', '.join(TABLE_IV)}")
    add("--vary", nargs="+", default=[], metavar="NAME=VALUES", help="what to vary, e.g. epsilon=0.1,0.3")
    add("--corpus", nargs="+", help="corpora (default: the preset's)")
    add("--seeds", nargs="+", type=int, default=[100], help="seeds, other than those of the comparison")
    add("--fraction", type=float, help="share of each corpus' rows to use, 0 to 1")
    add("--epochs", type=int, help="epochs of training")
    add("--data-dir", type=Path, help="folder with the corpora (default: the variable UEGR_DATA)")
    add("--out", type=Path, default=Path("runs/tune"), help="folder for the results (default: runs/tune)")
    add("--best-out", type=Path, metavar="DIR", help="then train each method at its best setting into DIR")
    add("--best-seeds", nargs="+", type=int, default=[0, 1, 2], help="seeds of that (default 0 1 2)")
    add("--jobs", type=int, help="cells at a time (default: one a core)")
    add("--json", action="store_true", help="print one JSON object instead of a table")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    both = sorted(set(options.seeds) & set(options.best_seeds))
    if options.best_out is not None and both:
        raise UserError(f"--best-seeds {both[0]}: also a seed of the search; expected others")
    answer = {recipe: _tune(options, recipe) for recipe in options.recipe}
    if options.best_out is not None:
        for recipe, found in answer.items():
            _train_best(options, recipe, tuple(found["best"].items()))
    if options.json:
        print(json.dumps(answer))
        return 0
    for recipe, found in answer.items():
        print(f"\n{recipe}: mean validation accuracy, % (difference to the default)")
        for row in found["settings"]:
            mark = "  <- best" if row["setting"] == found["best"] else ""
            name = ", ".join(f"{k}={v}" for k, v in row["setting"].items()) or "default"
            print(f"  {name:<44} {100 * row['validation']:6.2f}  {100 * row['difference']:+6.2f}{mark}")
    return 0


def _tune(options: argparse.Namespace, recipe: str) -> dict[str, Any]:
    single: list[Setting] = [()]
    grid = grid_of(recipe, options.vary)
    single += [((name, value),) for name, values in grid.items() for value in values]
    scores = _validation(options, recipe, single)
    best_of_each: Setting = ()
    for name in grid:
        values = [setting for setting in scores if setting and setting[0][0] == name]
        top = max(values, key=lambda setting: scores[setting])
        if scores[top] > scores[()]:
            best_of_each += top
    if len(best_of_each) > 1:
        scores |= _validation(options, recipe, [best_of_each])
    best = max(scores, key=lambda setting: scores[setting])
    rows = [
        {"setting": dict(setting), "validation": score, "difference": score - scores[()]}
        for setting, score in scores.items()
    ]
    return {"best": dict(best), "settings": rows}


def _validation(options: argparse.Namespace, recipe: str, settings: list[Setting]) -> dict[Setting, float]:
    """Mean validation accuracy of each setting over corpora and seeds; finished cells are reused."""
    from zoo.grid.store import Store

    jobs: list[Job] = []
    owner: dict[Setting, list[str]] = {}
    for setting in settings:
        places, planned = plan(parse_run([*_shared(options), "--recipe", recipe, *_assignments(setting)]))
        planned = [job for job in planned if job.cell.arch != "-"]
        owner[setting] = [job.id for job in planned]
        jobs += [job for job in planned if job.id not in {known.id for known in jobs}]
    say(f"{recipe}: {len(settings)} settings, {len(jobs)} cells")
    run_jobs(jobs, places, options.jobs)
    store = Store(places.out)
    accuracy = {job.id: float(store.read(job.id).get("validation_accuracy") or 0.0) for job in jobs}
    return {setting: sum(accuracy[i] for i in ids) / len(ids) for setting, ids in owner.items()}


def _train_best(options: argparse.Namespace, recipe: str, best: Setting) -> None:
    """Cells for the comparison on the test part, with seeds that the search has not seen."""
    arguments = [*_shared(options), "--out", str(options.best_out), "--seeds", *map(str, options.best_seeds)]
    places, jobs = plan(parse_run([*arguments, "--recipe", recipe, *_assignments(best)]))
    say(f"{recipe}: its best setting, {len(jobs)} cells in {options.best_out}/")
    run_jobs(jobs, places, options.jobs)


def _shared(options: argparse.Namespace) -> list[str]:
    """The options of `zoo.ablate` that all settings have in common; a later option overrides one here."""
    arguments = ["--preset", options.preset, "--arch", options.arch, "--out", str(options.out)]
    for name in ("corpus", "seeds"):
        if values := getattr(options, name):
            arguments += [f"--{name}", *map(str, values)]
    for name in ("fraction", "epochs", "data_dir", "jobs"):
        if (value := getattr(options, name)) is not None:
            arguments += ["--" + name.replace("_", "-"), str(value)]
    return arguments


def _assignments(setting: Setting) -> list[str]:
    return ["--set", *(f"{name}={value}" for name, value in setting)] if setting else []


if __name__ == "__main__":
    sys.exit(main())
