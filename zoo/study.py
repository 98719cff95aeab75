"""Answer a question by training what it needs: `python -m zoo.study defaults --data-dir DIR`.

    python -m zoo.study --list        the questions, with their cells
    python -m zoo.study NAME          run what is missing of one, then print its answer

A study compares methods by their results, or measures networks while they train and after (`zoo.probes`). The
answer of a comparison is about the validation part, since settings are chosen by it. With `--test` it also
says what the same networks do on the test part, once the choice is made.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from zoo.core.command import (
    EXIT_FAILED_CELLS,
    EXIT_INTERRUPTED,
    CommandParser,
    command,
    say,
    status,
    terminal_width,
)
from zoo.core.errors import UserError
from zoo.core.options import lookup
from zoo.core.processes import cores
from zoo.studies.options import add_places, places_given

if TYPE_CHECKING:
    from zoo.core.result import Result
    from zoo.evidence.measurements import Measurement
    from zoo.evidence.questions import Owners, Question, Rate
    from zoo.grid.jobs import Job, Places
    from zoo.studies.study import Study, Where

# What of `Where` a study that measures networks takes.
_MEASURED_BY = ("out", "data", "cache", "jobs", "minutes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command("zoo.study", lambda: _run(parse(sys.argv[1:] if arguments is None else arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a study."""
    parser = CommandParser(prog="python -m zoo.study", description="Answer a question by measurement.")
    add = parser.add_argument
    several: dict[str, Any] = {"nargs": "+", "action": "extend"}
    add("name", nargs="?", help="the study, see --list")
    add("--list", action="store_true", help="print the studies with their cells, and stop")
    add("--arch", **several, help="models in place of the study's own")
    add("--corpus", **several, help="corpora in place of the study's own")
    add("--seeds", **several, type=int, help="seeds in place of the study's own")
    add("--set", **several, metavar="NAME=VALUE", help="a setting of all variants alike")
    add_places(parser, "runs/study-NAME")
    add("--dry-run", action="store_true", help="say what would be run, and stop")
    add("--test", action="store_true", help="the test part of the same networks too; choose nothing by it")
    add("--measure", **several, metavar="NAME=VALUE", help="a setting of the measurement")
    add("--weights", type=Path, metavar="DIR", help="measure kept weights in place of training")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_version()
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    from zoo.evidence.measurements import MEASUREMENTS
    from zoo.evidence.questions import QUESTIONS

    if options.list or options.name is None:
        _print_list(list(QUESTIONS.values()), list(MEASUREMENTS.values()), options.json)
        return 0
    lookup(QUESTIONS | MEASUREMENTS, options.name, "study")
    if options.name in MEASUREMENTS:
        return _measure(MEASUREMENTS[options.name], options)
    if options.measure or options.weights:
        raise UserError(
            f"--measure, --weights: {options.name} compares results; expected a study that measures"
        )
    asked = QUESTIONS[options.name]
    studies, jobs, owners = _jobs(asked, options)

    from zoo.studies import run

    planned = run.of_jobs(studies[0], jobs)
    say(f"{len(jobs)} cells, {len(planned.pending)} to run, results in {planned.places.out}/")
    if options.dry_run:
        say(_time_of(planned.missing, planned.places, planned.workers))
        return 0
    code = run.stopped(planned)
    results = {result.id: result for result in run.results_of(planned)}

    _print_answer(asked, options, owners, results)
    if code:
        return code
    failed = len(results) < len(jobs) or not all(result.done for result in results.values())
    return EXIT_FAILED_CELLS if failed else 0


def _measure(asked: Measurement, options: argparse.Namespace) -> int:
    from zoo.changes import from_text
    from zoo.report.blocks import terminal
    from zoo.report.measured import blocks
    from zoo.studies import measure
    from zoo.studies.options import assignments
    from zoo.studies.study import Where

    given = places_given(vars(options))
    if other := [name for name in given if name not in _MEASURED_BY]:
        option = "no-graphs" if other[0] == "graphs" else other[0].replace("_", "-")
        raise UserError(f"--{option}: {asked.name} measures networks here, one by one; expected none")
    places = Where.from_json(_out(asked.name) | given | {"device": "cpu"})
    if options.test:
        raise UserError(f"--test: {asked.name} says itself on which texts it measures; expected none")
    probe = measure.probe_of(asked.name, assignments(options.measure or (), "--measure"))
    named = {"corpora": options.corpus, "archs": options.arch, "seeds": options.seeds}
    axes = {key: tuple(value) for key, value in named.items() if value}
    planned = measure.plan(asked, probe, places, axes, from_text(assignments(options.set or ())))
    missing = [one.job for _, one in measure.missing(planned, places)]
    say(f"{len(planned)} networks, {len(missing)} to measure, results in {places.out}/")
    if options.dry_run:
        if not options.weights:
            words = _time_of(missing, measure.grid_places(places), places.jobs or cores())
            say(f"{words}; so does measuring")
        return 0
    try:
        points = measure.measure_all(planned, probe, places, options.weights)
    except KeyboardInterrupt:
        say("interrupted: what is measured is kept, the same command again does the rest")
        return EXIT_INTERRUPTED
    if options.json:
        print(json.dumps({"study": asked.name, "points": [point.as_json() for point in points]}))
    else:
        print(terminal(blocks(asked, points), terminal_width()))
    return 0


def _out(name: str) -> dict[str, str]:
    """The folder of the results where none is given."""
    return {"out": str(Path("runs") / f"study-{name}")}


def _time_of(jobs: Sequence[Job], places: Places, workers: int) -> str:
    """How long the training of these cells takes, in words."""
    from zoo.grid.estimate import estimate_as_run, in_words

    found = estimate_as_run(jobs, places, status)
    status("")
    return in_words(found, jobs, workers, places)


def _print_answer(
    asked: Question,
    options: argparse.Namespace,
    owners: Mapping[tuple[str, Rate], Sequence[str]],
    results: Mapping[str, Result],
) -> None:
    from zoo.report.answers import blocks, parts_of, recipes_blocks
    from zoo.report.blocks import terminal

    parts = parts_of(asked, owners, results, options.test)
    if options.json:
        answer = {"study": asked.name, "reference": asked.reference, "parts": [p.as_json() for p in parts]}
        print(json.dumps(answer))
        return
    if asked.compares_recipes:
        found = recipes_blocks(results.values(), asked.asks)
    else:
        found = blocks(parts, asked)
    print(terminal(found, terminal_width()))


def question_places(asked: Question, options: argparse.Namespace) -> Where:
    """Where and how the cells of a question are run."""
    from zoo.studies.study import places_of_preset

    return places_of_preset(asked.preset, _out(asked.name) | places_given(vars(options)))


def _jobs(asked: Question, options: argparse.Namespace) -> tuple[list[Study], list[Job], Owners]:
    """The studies, their cells once each, seed by seed, and which belong to which row and learning rate."""
    from zoo.changes import from_text
    from zoo.studies import run
    from zoo.studies.options import assignments
    from zoo.studies.questions import cells

    named = {"corpora": options.corpus, "archs": options.arch, "seeds": options.seeds}
    places = question_places(asked, options)
    studies: list[Study] = []
    jobs: dict[str, Job] = {}
    owners: Owners = {}
    axes = {key: tuple(value) for key, value in named.items() if value}
    changes = from_text(assignments(options.set or ()))
    for variant, rate, study in cells(asked, places, axes, changes):
        own = [job for job in run.jobs_of(study) if not job.is_reference]
        owners[variant.name, rate] = [job.id for job in own]
        studies.append(study)
        name = variant.name if rate is None else f"{variant.name}, {rate:g}"
        for job in own:
            jobs.setdefault(job.id, replace(job, variant=name))
    # Seed by seed, so that an answer from one seed is there early.
    return studies, sorted(jobs.values(), key=lambda job: job.cell.seed), owners


def _print_list(questions: Sequence[Question], measurements: Sequence[Measurement], as_json: bool) -> None:
    from zoo.settings import PRESETS

    rows: list[dict[str, Any]] = []
    for asked in questions:
        corpora = asked.corpora or PRESETS[asked.preset]["corpora"]
        networks = len(asked.variants) * len(asked.rates) * len(asked.archs) * len(asked.seeds) * len(corpora)
        rows.append({"name": asked.name, "asks": asked.asks, "preset": asked.preset, "networks": networks})
    rows += [
        {"name": m.name, "asks": m.asks, "preset": m.preset, "networks": m.networks} for m in measurements
    ]
    for row in rows:
        row["seconds"] = _seconds_of_one(Path("results") / row["name"])
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        each = row["seconds"]
        cost = f", some {each * row['networks'] / 60:.0f} min of one core" if each is not None else ""
        print(f"{row['name']:<13} {row['networks']} networks, preset {row['preset']}{cost}")
        print(textwrap.fill(str(row["asks"]), 80, initial_indent="    ", subsequent_indent="    "))


def _seconds_of_one(folder: Path) -> float | None:
    """Median seconds of a network among the committed results of a study, where it stands among them."""
    found = []
    for path in sorted(folder.glob("[!.]*.json")):
        seconds = json.loads(path.read_text(encoding="utf-8")).get("seconds")
        found.append(seconds.get("total") if isinstance(seconds, dict) else seconds)
    known = [value for value in found if value]
    return median(known) if known else None


if __name__ == "__main__":
    sys.exit(main())
