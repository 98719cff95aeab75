"""Write the exercises, grade them, give hints: `python -m uegr_ref.learn`."""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any

from ..support.console import Parser, whole
from ..support.console import run as run_command
from . import exercises
from .checking import EXAMPLES, SECONDS, check
from .language import LANGUAGES
from .learner import PROGRESS, Folder
from .steps import STEPS, Step
from .telling import told_at_the_end, told_of, told_of_hint, told_of_start


def start(options: argparse.Namespace, parser: Parser) -> dict[str, Any]:
    """Write the files that are missing; none is overwritten."""
    path: Path = options.folder
    if path.exists() and not path.is_dir():
        parser.error(f"folder: got {path}, a file, wanted a folder or a new name")
    if path.is_dir() and any(path.iterdir()) and not any((path / step.file).exists() for step in STEPS):
        parser.error(f"folder: got {path}, which holds other files, wanted a new one or one of exercises")
    path.mkdir(parents=True, exist_ok=True)
    folder = read(path, parser)
    language = options.language or folder.language
    written, kept = [], []
    for step in options.step or STEPS:
        file = path / step.file
        if file.exists():
            kept.append(file.name)
        else:
            file.write_text(exercises.text(step, language=language), "utf-8")
            written.append(file.name)
    if language != folder.language:
        folder.language = language
        folder.save()
    return {"folder": str(path), "written": written, "kept": kept}


def grade(options: argparse.Namespace, parser: Parser) -> dict[str, Any]:
    """Check the steps asked for, or all that are there, one after another."""
    folder = opened(options.folder, parser)
    if importlib.util.find_spec("hypothesis") is None:
        parser.error("hypothesis: not installed, and the grader needs it: pip install hypothesis")
    asked = options.step or folder.steps()
    for step in asked:
        if not (folder.path / step.file).is_file():
            parser.error(f"step: got {step.number}, but there is no {step.file} (start --step {step.number})")
    results = []
    for step in asked:
        checked = check(folder, step, options.seconds, options.examples)
        folder.save()
        results.append(checked)
        if not options.json:
            for line in told_of(checked, folder.language):
                print(line, flush=True)
    passed = [step.number for step in STEPS if folder.has_passed(step)]
    if not options.json:
        for line in told_at_the_end(folder, results, passed):
            print(line)
    return {"folder": str(options.folder), "passed": passed, "steps": [one.as_json() for one in results]}


def hint(options: argparse.Namespace, parser: Parser) -> dict[str, Any]:
    """One more hint than last time."""
    folder = opened(options.folder, parser)
    [step] = options.step
    seen = min(folder.done(step).hints + 1, len(step.hints))
    folder.progress[step.number] = folder.done(step)._replace(hints=seen)
    folder.save()
    return {"step": step.number, "of": len(step.hints), "hints": list(step.hints[:seen])}


def opened(path: Path, parser: Parser) -> Folder:
    """The folder of exercises at a path."""
    if not any((path / step.file).is_file() for step in STEPS):
        parser.error(f"folder: got {path}, wanted one that `start` wrote exercises to")
    return read(path, parser)


def read(path: Path, parser: Parser) -> Folder:
    """A folder and its progress, or the parser's complaint of it."""
    try:
        return Folder(path)
    except ValueError as error:
        parser.error(str(error))


def step_of(text: str) -> Step:
    """The type of an option that is a step's number."""
    number = whole(1)(text)
    if number > len(STEPS):
        raise argparse.ArgumentTypeError(f"got {text}, wanted a step from 1 to {len(STEPS)}")
    return STEPS[number - 1]


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, Parser]:
    """The options, and the parser that complains of them."""
    parser = Parser(prog="python -m uegr_ref.learn", description=(__doc__ or "").split(": `")[0] + ".")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    one = commands.add_parser("start", help="write the exercises that are not there yet")
    two = commands.add_parser("check", help=f"grade them; what passed is kept in {PROGRESS}")
    three = commands.add_parser("hint", help="one more hint for a step")
    for command in (one, two, three):
        command.add_argument("folder", type=Path, help="of the exercises")
        command.add_argument("--json", action="store_true", help="print one JSON object")
    one.add_argument("--step", type=step_of, nargs="+", help="only these steps")
    one.add_argument("--language", choices=LANGUAGES, help="of what you read (as before, or en)")
    two.add_argument("step", type=step_of, nargs="*", help="only these steps")
    two.add_argument("--seconds", type=whole(1), default=int(SECONDS), help="limit of a step (%(default)s)")
    two.add_argument("--examples", type=whole(1), default=EXAMPLES, help="of a property (%(default)s)")
    three.add_argument("step", type=step_of, nargs=1, help="its number")
    return parser.parse_args(arguments), parser


def main(arguments: list[str] | None = None) -> int:
    """Do what is asked; exit code 1 where a step that was checked has not passed."""
    options, parser = parse(arguments)
    result = {"start": start, "check": grade, "hint": hint}[options.command](options, parser)
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
    elif options.command != "check":
        tell = {"start": told_of_start, "hint": told_of_hint}[options.command]
        for line in tell(result, Folder(options.folder).language):
            print(line)
    return 0 if all(one["passed"] for one in result.get("steps", ())) else 1


if __name__ == "__main__":
    run_command(main)
