"""Look for better settings on the validation part: `python -m zoo.tune --arch textcnn --recipe uegr dropout`.

Each setting is varied alone around the preset's default; then the best value of each is put together and run
too. The choice is made by mean validation accuracy over corpora and seeds. The test part is not read here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core.command import EXIT_FAILED_CELLS, CommandParser, command, say
from zoo.core.errors import UserError
from zoo.core.options import lookup, one_of
from zoo.studies.options import add_options, study_of

if TYPE_CHECKING:
    from zoo.method.recipe import Recipe
    from zoo.studies.study import Study

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
Scores = Mapping[Setting, float | None]  # mean validation accuracy; None where a cell failed


@dataclass(frozen=True)
class Search:
    """What is looked for: one method's settings, varied over a study of it."""

    study: Study
    recipe: str
    grid: Mapping[str, tuple[str, ...]]


def grid_of(
    recipe: str, vary: Sequence[str] = (), changed: Recipe | None = None
) -> dict[str, tuple[str, ...]]:
    """The settings of GRID that matter to a recipe, or those that `vary` (NAME=VALUE,VALUE...) names.

    changed: the recipe as the study has it, which may read other settings. Values that have commas themselves
    are separated by semicolons; one alone ends with it.
    """
    from zoo.recipes import RECIPES, recipe_fields

    read = (changed or lookup(RECIPES, recipe, "recipe")).read()
    return {
        name: values
        for name, values in (_grid(vary) or GRID).items()
        if name in read or name not in recipe_fields()
    }


def _grid(vary: Sequence[str]) -> dict[str, tuple[str, ...]]:
    grid = {}
    for text in vary:
        name, equals, values = text.partition("=")
        found = values.removesuffix(";").split(";" if ";" in values else ",")
        if not equals or not name or not all(found):
            raise UserError(f"--vary {text}: expected NAME=VALUE,VALUE, e.g. learning_rate=3e-3,1e-2")
        if name in grid:
            raise UserError(f"--vary {text}: {name} is varied already; expected it once")
        grid[name] = tuple(dict.fromkeys(found))
    return grid


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command("zoo.tune", lambda: _run(parse(sys.argv[1:] if arguments is None else arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a search."""
    parser = CommandParser(
        prog="python -m zoo.tune",
        description="Vary settings one at a time on validation.",
        conflict_handler="resolve",  # `--seeds` once more, as its default is another
    )
    add_options(parser, "quick", "textcnn", "dropout uegr", "runs/tune")
    add = parser.add_argument
    add("--seeds", nargs="+", action="extend", type=int, help="seeds of the search (default 100)")
    add(
        "--vary", nargs="+", action="extend", metavar="NAME=VALUES",
        help="what to vary, e.g. epsilon=0.1,0.3, or 'sites=pooled;embedding,pooled' where values have "
        "commas (default: the settings that matter to the method)",
    )  # fmt: skip
    add("--best-out", type=Path, metavar="DIR", help="then train each method at its best setting into DIR")
    add("--best-seeds", nargs="+", action="extend", type=int, help="seeds of that (default 0 1 2)")
    parser.add_version()
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    study = study_of(options, "quick", archs=("textcnn",), recipes=("dropout", "uegr"), seeds=(100,))
    if len(study.archs) > 1:
        raise UserError(f"--arch {' '.join(study.archs)}: expected one model; each has settings of its own")
    if not study.places.out:
        study = _at(study, Path("runs/tune"))
    best_seeds = tuple(options.best_seeds or (0, 1, 2))
    both = sorted(set(study.seeds) & set(best_seeds))
    if options.best_out is not None and both:
        raise UserError(f"--best-seeds {both[0]}: also a seed of the search; expected others")
    if options.best_out is None and options.best_seeds:
        raise UserError("--best-seeds without --best-out: expected a folder for what they train")
    searches = _searches(study, options.vary or ())
    _check(searches, options.best_out, best_seeds)
    answer = {search.recipe: _tune(search) for search in searches}
    failed = _report(answer, options.json)
    if options.best_out is not None:
        for search in searches:
            best = answer[search.recipe]["best"]
            if best is not None:
                failed |= _train_best(search, tuple(best.items()), options.best_out, best_seeds)
    return EXIT_FAILED_CELLS if failed else 0


def _searches(study: Study, vary: Sequence[str]) -> list[Search]:
    """One a method.

    Raises:
        UserError: none of them reads a setting that is to be varied, so that nothing would be.
    """

    text = study.text(study.corpora[0], 0)
    recipes = {name: study.settings(study.archs[0], name, text).recipe for name in study.recipes}
    searches = [
        Search(study.changed({"recipes": (name,)}), name, grid_of(name, vary, recipe))
        for name, recipe in recipes.items()
    ]
    for name in _grid(vary):
        if not any(name in search.grid for search in searches):
            read = sorted(set().union(*(own.read() for own in recipes.values())))
            raise UserError(
                f"--vary {name}: none of the methods of this run ({', '.join(recipes)}) reads it; expected "
                f"{one_of(name, read)}"
            )
    return searches


def _check(searches: Sequence[Search], best_out: Path | None, best_seeds: Sequence[int]) -> None:
    """Every value, seed and place is checked before the first cell runs."""
    from zoo.studies import run

    run.check_folder(run.places_of(searches[0].study))
    for search in searches:
        for name, values in search.grid.items():
            for value in values:
                run.check_here(_study(search.study, ((name, value),)), run.places_of(search.study))
        if best_out is not None:
            study = _at(search.study.changed({"seeds": tuple(best_seeds)}), best_out)
            run.check_folder(run.places_of(study))
            run.check_here(study, run.places_of(study))


def _at(study: Study, out: Path) -> Study:
    return replace(study, places=replace(study.places, out=str(out)))


def _report(answer: Mapping[str, Any], as_json: bool) -> bool:
    """Print what was found; returns whether a setting has none because cells failed."""
    if as_json:
        print(json.dumps(answer))
    for recipe, found in answer.items() if not as_json else ():
        print(f"\n{recipe}: mean validation accuracy, % (difference to the default)")
        for row in found["settings"]:
            name = ", ".join(f"{k}={v}" for k, v in row["setting"].items()) or "default"
            if row["validation"] is None:
                print(f"  {name:<44} failed")
                continue
            difference = f"{100 * row['difference']:+6.2f}" if row["difference"] is not None else "     –"
            mark = "  <- best" if row["setting"] == found["best"] else ""
            print(f"  {name:<44} {100 * row['validation']:6.2f}  {difference}{mark}")
        if found["best"] is None:
            print("  every setting failed: nothing to choose from")
    return any(row["validation"] is None for found in answer.values() for row in found["settings"])


def _tune(search: Search) -> dict[str, Any]:
    single: list[Setting] = [()]
    single += [((name, value),) for name, values in search.grid.items() for value in values]
    scores = dict(_validation(search, single))
    best_of_each: Setting = ()
    for name in search.grid:
        top = _best({s: score for s, score in scores.items() if s and s[0][0] == name})
        if top is not None and _above(scores[top], scores[()]):
            best_of_each += top
    if len(best_of_each) > 1:
        scores |= _validation(search, [best_of_each])
    best = _best(scores)
    default = scores[()]
    rows = [
        {
            "setting": dict(setting),
            "validation": score,
            "difference": None if score is None or default is None else score - default,
        }
        for setting, score in scores.items()
    ]
    return {"best": None if best is None else dict(best), "settings": rows}


def _above(score: float | None, other: float | None) -> bool:
    return score is not None and (other is None or score > other)


def _best(scores: Scores) -> Setting | None:
    """The setting of the highest score, the first of equal ones; None where all failed."""
    found = {setting: score for setting, score in scores.items() if score is not None}
    return max(found, key=lambda setting: found[setting], default=None)


def _study(study: Study, setting: Setting) -> Study:
    from zoo.changes import from_text

    return study.changed(None, **from_text(dict(setting)))


def _validation(search: Search, settings: Sequence[Setting]) -> Scores:
    """Mean validation accuracy of each setting over corpora and seeds; finished cells are reused."""
    from zoo.studies import run

    jobs: dict[str, Any] = {}
    owner: dict[Setting, list[str]] = {}
    for setting in settings:
        networks = [job for job in run.jobs_of(_study(search.study, setting)) if not job.is_reference]
        owner[setting] = [job.id for job in networks]
        label = " ".join(f"{name}={value}" for name, value in setting) or "default"
        for job in networks:
            jobs.setdefault(job.id, replace(job, variant=label))
    say(f"{search.recipe}: {len(settings)} settings, {len(jobs)} cells")
    planned = run.of_jobs(search.study, list(jobs.values()))
    if planned.pending:
        search.study.write(planned.places.out)
    run.run_plan(planned)
    results = {result.id: result for result in run.results_of(planned)}
    scores: dict[Setting, float | None] = {}
    for setting, ids in owner.items():
        found = [results[i].validation_accuracy for i in ids if i in results and results[i].done]
        values = [value for value in found if value is not None]
        scores[setting] = sum(values) / len(values) if len(values) == len(ids) else None
    return scores


def _train_best(search: Search, best: Setting, out: Path, seeds: Sequence[int]) -> bool:
    """Train cells for the test part, with seeds that the search has not seen; returns whether one failed."""
    from zoo.studies import run

    study = _at(_study(search.study, best).changed({"seeds": tuple(seeds)}), out)
    planned = run.plan(study)
    say(f"{search.recipe}: its best setting, {len(planned.jobs)} cells in {out}/")
    if planned.pending:
        study.write(out)
    run.run_plan(planned)
    results = run.results_of(planned)
    return len(results) < len(planned.jobs) or not all(result.done for result in results)


if __name__ == "__main__":
    sys.exit(main())
