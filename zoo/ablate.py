"""The command line of the ablation: `python -m zoo.ablate --arch texthan`.

    python -m zoo.ablate [options]             run what is missing of a grid, then print its table
    python -m zoo.ablate report [--out DIR]    rebuild tables and figures from a folder of results
    python -m zoo.ablate show CELL             one cell in full
    python -m zoo.ablate convert DIR           bring the results of an earlier version into today's form
    python -m zoo.ablate merge A B --out C     put the results of several folders into one
    python -m zoo.ablate pack DIR [options]    what a machine without the texts needs to run the same grid

Heavy imports stand inside the functions: `--help` must not wait for torch.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core.command import (
    EXIT_FAILED_CELLS,
    CommandParser,
    command,
    duration,
    filled,
    say,
    status,
    terminal_width,
)
from zoo.core.errors import UserError
from zoo.studies.options import add_options, study_of

if TYPE_CHECKING:
    from zoo.core.result import Result
    from zoo.studies.run import Plan
    from zoo.studies.study import Study


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"report": _report, "show": _show, "convert": _convert, "merge": _merge, "pack": _pack}
    if arguments[:1] and arguments[0] in commands:
        return command("zoo.ablate", lambda: commands[arguments[0]](arguments[1:]))
    return command("zoo.ablate", lambda: _run(parse(arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a run."""
    parser = CommandParser(
        prog="python -m zoo.ablate",
        description="Compare the training methods of Table IV on real text. Finished cells are kept: the "
        "same command again runs only what is missing.",
        epilog="Other commands: `python -m zoo.ablate report --out DIR`, `python -m zoo.ablate show CELL`, "
        "`python -m zoo.ablate convert DIR`, `python -m zoo.ablate merge DIR DIR --out DIR`, "
        "`python -m zoo.ablate pack DIR [options]`.",
    )
    add_options(parser, "demo", "texthan", "those of Table IV", "runs/PRESET and what was changed")
    add = parser.add_argument
    add("--dry-run", action="store_true", help="print the cells, how long they will take, and stop")
    add("--verbose", action="store_true", help="with --dry-run: every cell by name")
    add("--list", action="store_true", help="print recipes, corpora, presets and settings, and stop")
    parser.add_version()
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    from zoo.studies import listing

    if options.list:
        print(json.dumps(listing.listed()) if options.json else listing.as_text())
        return 0
    study = study_of(options)
    changed = ", ".join(f"{name}={value}" for name, value in study.differences().items())
    if changed:
        say(f"not as the preset {study.preset} has it: {changed}")

    from zoo.studies import run

    began = time.perf_counter()
    planned = run.plan(study)
    if options.dry_run:
        return _dry_run(options, study, planned)
    say(f"{len(planned.jobs)} cells, {len(planned.pending)} to run, results in {planned.places.out}/")
    if planned.pending:
        study.write(planned.places.out)
    code = run.stopped(planned)
    results = run.results_of(planned)
    seconds = time.perf_counter() - began
    _print_results(options, study, planned, results, seconds)
    if not options.json:
        kept = len(planned.jobs) - len(planned.pending)
        print(filled(_closing_line(study, kept, duration(seconds)), terminal_width()))
    if code:
        return code
    return EXIT_FAILED_CELLS if any(not result.done for result in results) else 0


def _dry_run(options: argparse.Namespace, study: Study, planned: Plan) -> int:
    from zoo.grid.estimate import estimate_as_run, in_words

    found = estimate_as_run(planned.missing, planned.places, status)
    status("")
    seconds = found.total(planned.missing, planned.workers)
    if options.json:
        cells = [{"id": job.id, "done": job.id not in planned.pending} for job in planned.jobs]
        print(json.dumps({"study": study.as_json(), "cells": cells, "estimated_seconds": seconds}))
        return 0
    head = f"{len(planned.jobs)} cells, {len(planned.pending)} to run, "
    head += in_words(found, planned.missing, planned.workers, planned.places)
    print(filled(head, terminal_width()))
    print(filled(f"results go to {planned.places.out}/", terminal_width()))
    groups: dict[tuple[str, str], list[Any]] = {}
    for job in planned.jobs:
        groups.setdefault((job.cell.corpus, job.cell.arch), []).append(job)
    rows = []
    for (corpus, arch), jobs in groups.items():
        missing = [job for job in jobs if job.id in planned.pending]
        took = found.total(missing, planned.workers)
        name = "reference row" if jobs[0].is_reference else arch
        rows.append((corpus, name, f"{len(missing)} of {len(jobs)} to run", duration(took) if took else ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    if options.verbose:
        for job in planned.jobs:
            print(f"{'missing' if job.id in planned.pending else 'done   '}  {job.id}")
    return 0


def _print_results(
    options: argparse.Namespace, study: Study, planned: Plan, results: Sequence[Result], seconds: float
) -> None:
    """The table of this run's cells; the files are about all results of the folder, as those of `report`."""
    from zoo.grid.store import Store
    from zoo.report.files import table_json, terminal_report, write_report

    paper = study.preset == "paper"
    out = planned.places.out
    if not options.json:
        # First, as other results of the folder may be such that no report can be made of all.
        print(terminal_report(results, paper=paper, width=terminal_width()))
    written: list[Path] = []
    try:
        written = write_report(out, list(Store(out).cells()), paper=paper) if results else []
    finally:
        if options.json:
            print(json.dumps(_answer(study, results, table_json(results, paper=paper), seconds, written)))
    if written and not options.json:
        print(filled(_written(written), terminal_width()))


def _answer(
    study: Study, results: Sequence[Result], table: object, seconds: float, written: Sequence[Path]
) -> Mapping[str, Any]:
    return {
        "study": study.as_json(),
        "cells": [_light(result) for result in results if result.cell.arch != "-"],
        "reference": [_light(result) for result in results if result.cell.arch == "-"],
        "table": table,
        "seconds": seconds,
        "written": [str(path) for path in written],
    }


def _light(result: Result) -> Mapping[str, Any]:
    """A result without its rows of classes."""
    values = result.as_json()
    attacked = values.get("attacked") or {}
    short = {key: value for key, value in attacked.items() if key not in ("predictions", "truth")}
    return {k: v for k, v in values.items() if k not in ("predictions", "truth")} | (
        {"attacked": short} if short else {}
    )


def _written(paths: Sequence[Path]) -> str:
    """Written: runs/demo/table.md, table.tex, difference.png."""
    if len({path.parent for path in paths}) > 1:
        return "Written: " + ", ".join(map(str, paths))
    first, *others = paths
    return "Written: " + ", ".join([str(first), *(path.name for path in others)])


def _closing_line(study: Study, kept: int, took: str) -> str:
    done = f"Took {took}" + (f", {kept} cells were there already" if kept else "") + "."
    if study.preset == "demo" and not study.differences():
        return (
            f"{done} This was the demo: two small corpora and small models. The paper's corpora: "
            f"python -m zoo.ablate --arch {' '.join(study.archs)} --preset quick --data-dir DIR"
        )
    return done


def _report(arguments: Sequence[str]) -> int:
    from zoo.grid.store import Store

    parser = CommandParser(
        prog="python -m zoo.ablate report", description="Rebuild tables and figures from results."
    )
    _add_out(parser)
    parser.add_argument("--paper", action="store_true", help="the paper's numbers beside the measured ones")
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")
    options = parser.parse_args(arguments)
    results = list(Store(options.out).cells())
    if not results:
        raise UserError(f"{options.out}: holds no results; expected a folder that a run has written to")

    from zoo.report.files import table_json, terminal_report, write_report

    paths = write_report(options.out, results, paper=options.paper)
    if options.json:
        written = [str(path) for path in paths]
        print(json.dumps({"table": table_json(results, paper=options.paper), "written": written}))
    else:
        print(terminal_report(results, paper=options.paper, width=terminal_width()))
        print(filled(_written(paths), terminal_width()))
    return 0


def _show(arguments: Sequence[str]) -> int:
    from zoo.grid.store import Store

    parser = CommandParser(prog="python -m zoo.ablate show", description="One cell in full.")
    parser.add_argument("cell", help="its name, or the beginning of it")
    _add_out(parser)
    options = parser.parse_args(arguments)
    store = Store(options.out)
    found = sorted(path.stem for path in store.folder.glob("[!.]*.json"))
    matches = [name for name in found if name.startswith(options.cell)]
    if len(matches) != 1:
        near = (matches or found)[:5]
        more = len(matches or found) - len(near)
        names = ", ".join(near) + (f" and {more} more" if more else "")
        raise UserError(
            f"{options.out}: expected one cell that begins with {options.cell!r}, found {len(matches)}"
            + (f"; {'they are' if matches else 'there are'} {names}" if names else "")
        )

    from zoo.report.files import show_cell

    print(show_cell(store.read(matches[0])))
    return 0


def _convert(arguments: Sequence[str]) -> int:
    parser = CommandParser(
        prog="python -m zoo.ablate convert",
        description="Bring the results of an earlier version into today's form, under today's names.",
    )
    parser.add_argument("folder", type=Path, help="folder with the results")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        raise UserError(f"{options.folder}: no such folder; expected one with results")

    from zoo.grid.schema1 import convert

    count = convert(options.folder, say)
    print(f"{count} results converted in {options.folder}")
    return 0


def _merge(arguments: Sequence[str]) -> int:
    parser = CommandParser(
        prog="python -m zoo.ablate merge",
        description="Put the results of several folders into one. What is there stays; two results of one "
        "cell that differ are named, and nothing is written then.",
    )
    parser.add_argument("folders", type=Path, nargs="+", help="folders with results")
    parser.add_argument("--out", type=Path, required=True, help="the folder that gets them, new or not")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)

    from zoo.grid.merge import merge

    merged = merge(options.folders, options.out, status)
    status("")
    if options.json:
        print(json.dumps({"out": str(options.out), **vars(merged)}))
        return 0
    mended = f", {merged.mended} of them in place of failed ones" if merged.mended else ""
    print(f"{merged.cells} cells in {options.out}/, {merged.copied} copied{mended}")
    return 0


def _pack(arguments: Sequence[str]) -> int:
    parser = CommandParser(
        prog="python -m zoo.ablate pack",
        description="Put what a grid reads into one folder, as numbers: corpora, word vectors, the study. A "
        "machine without the texts, tokenisers or a network then runs the same cells under the same names.",
    )
    parser.add_argument("folder", type=Path, help="the folder to make, or to write to again")
    add_options(parser, "demo", "texthan", "those of Table IV", "not used here")
    options = parser.parse_args(arguments)
    study = study_of(options)

    from dataclasses import replace

    from zoo.grid.pack import CACHE, DATA, check_packable, pack
    from zoo.studies import run
    from zoo.studies.study import Where

    check_packable(study)
    jobs = run.jobs_of(study, say)
    packed = pack(study, jobs, run.places_of(study), options.folder, say)
    there = replace(study, places=Where(portable=study.places.portable)).write(options.folder)
    folder = options.folder
    if options.json:
        print(json.dumps({"folder": str(folder), "study": str(there), "files": packed.files}))
        return 0
    for name, size in packed.files.items():
        print(f"{size / 2**20:8.1f} MB  {name}")
    print(f"{packed.megabytes:8.1f} MB  {len(jobs)} cells. There:")
    print(f"  python -m zoo.ablate --study {there} \\")
    print(f"    --data-dir {folder / DATA} --cache-dir {folder / CACHE} --out runs/there")
    return 0


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), help="folder with the results (default: runs/demo)"
    )


if __name__ == "__main__":
    sys.exit(main())
