"""Write the exercises, grade them, give hints: `python -m uegr_ref.learn`."""

from __future__ import annotations

import argparse
import importlib.util
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..support.console import Parser, Table, whole
from ..support.console import run as run_command
from . import exercises
from .checking import EXAMPLES, SECONDS, Checked, check
from .learner import PROGRESS, Folder
from .steps import STEPS, Step

WIDTH = 80


def start(options: argparse.Namespace, parser: Parser) -> dict[str, Any]:
    """Write the files that are missing; none is overwritten."""
    path: Path = options.folder
    if path.exists() and not path.is_dir():
        parser.error(f"folder: got {path}, a file, wanted a folder or a new name")
    if path.is_dir() and any(path.iterdir()) and not any((path / step.file).exists() for step in STEPS):
        parser.error(f"folder: got {path}, which holds other files, wanted a new one or one of exercises")
    path.mkdir(parents=True, exist_ok=True)
    written, kept = [], []
    for step in options.step or STEPS:
        file = path / step.file
        if file.exists():
            kept.append(file.name)
        else:
            file.write_text(exercises.text(step), "utf-8")
            written.append(file.name)
    return {"folder": str(path), "written": written, "kept": kept}


def said_of_start(result: dict[str, Any]) -> Iterator[str]:
    """What `start` prints."""
    folder = result["folder"]
    if result["written"]:
        yield f"Wrote {len(result['written'])} exercises to {folder}:"
        yield from (f"  {name}" for name in result["written"])
    if result["kept"]:
        yield (
            f"Left as they are: {', '.join(result['kept'])}."
            if len(result["kept"]) < 4
            else (f"Left {len(result['kept'])} files as they are.")
        )
    yield "\nOpen the first one, write the bodies, and see what the properties say:"
    yield f"  python -m uegr_ref.learn check {folder}"


def said_of(checked: Checked) -> Iterator[str]:
    """What `check` prints of a step: its state and the first property that it does not have."""
    held = sum(one["passed"] for one in checked.verdicts)
    state = "passed" if checked.passed else "empty" if checked.empty else "not yet"
    count = f"{held} of {len(checked.verdicts)} properties" if checked.verdicts and not checked.empty else ""
    yield f"{checked.step.number:3}  {checked.step.title:46} {state:8} {count}".rstrip()
    if checked.passed or checked.empty:
        yield from said_of_training(checked)
        return
    failed = [one for one in checked.verdicts if not one["passed"]]
    broken = next((one for one in failed if not one["empty"]), failed[0] if failed else None)
    lines = []
    if broken is not None:
        lines += [
            (broken["says"], ""),
            (broken["words"], "> "),
            (broken["call"] and f"at {broken['call']}", "  "),
        ]
        lines += [(place, "  ") for place in broken["places"]]
        lines += [(f"your code printed: {line}", "  ") for line in broken["printed"].splitlines()[-5:]]
    elif checked.ended:
        lines += [(checked.ended, "> "), *((place, "  ") for place in checked.places[-6:])]
    else:
        lines += [("The properties hold, but the loss did not fall in training.", "> ")]
    for words, mark in lines:
        if words:
            text = textwrap.shorten(words, 400)
            yield textwrap.fill(
                text, WIDTH, initial_indent="     " + mark, subsequent_indent="     " + " " * len(mark)
            )
    yield from said_of_training(checked)


def said_of_training(checked: Checked) -> Iterator[str]:
    """The epochs that the last step's classifier was trained for."""
    if checked.training:
        own = len(checked.own) + 1
        yield f"\n     Trained with your code ({own} of {len(STEPS)} steps are yours):"
        table = Table(("epoch", 5, "d"), ("loss", 8, ".4f"), ("kept", 6, ".1%"), ("test accuracy", 13, ".1%"))
        yield textwrap.indent(table.head(), "   ")
        for row in checked.training:
            yield "   " + table.row(int(row["epoch"]), row["loss"], row["kept_share"], row["test_accuracy"])


def grade(options: argparse.Namespace, parser: Parser) -> dict[str, Any]:
    """Check the steps asked for, or all that are there, one after another."""
    folder = opened(options.folder, parser)
    if importlib.util.find_spec("hypothesis") is None:
        parser.error("hypothesis: not installed, and the grader needs it: pip install 'uegr[learn]'")
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
            for line in said_of(checked):
                print(line, flush=True)
    passed = [step.number for step in STEPS if folder.has_passed(step)]
    if not options.json:
        for line in said_at_the_end(folder, results, passed):
            print(line)
    return {"folder": str(options.folder), "passed": passed, "steps": [one.as_json() for one in results]}


def said_at_the_end(folder: Folder, results: list[Checked], passed: list[int]) -> Iterator[str]:
    """How far one is, whose functions stood in for whose, and what comes next."""
    lacking = sorted(
        {one.number for checked in results if not checked.empty for one in STEPS[: checked.step.number - 1]}
        - set(passed)
    )
    yield f"\n{len(passed)} of {len(STEPS)} passed."
    if lacking:
        yield textwrap.fill(
            f"Where a later step needs them, the reference's functions stand in for those of step "
            f"{', '.join(map(str, lacking))}, not passed as they are now.", WIDTH
        )  # fmt: skip
    left = [step for step in STEPS if step.number not in passed]
    if left:
        yield f"Next: {folder.path / left[0].file}"
        yield f"A hint: python -m uegr_ref.learn hint {folder.path} {left[0].number}"
    else:
        yield "You have rebuilt the method. Compare your files with those of uegr_ref/."


def hint(options: argparse.Namespace, parser: Parser) -> dict[str, Any]:
    """One more hint than last time."""
    folder = opened(options.folder, parser)
    [step] = options.step
    seen = min(folder.done(step).hints + 1, len(step.hints))
    folder.progress[step.number] = folder.done(step)._replace(hints=seen)
    folder.save()
    return {"step": step.number, "of": len(step.hints), "hints": list(step.hints[:seen])}


def said_of_hint(result: dict[str, Any]) -> Iterator[str]:
    """The hints so far."""
    for number, text in enumerate(result["hints"], 1):
        yield textwrap.fill(
            text, WIDTH, initial_indent=f"{number}  ", subsequent_indent="   ", break_on_hyphens=False
        )
    left = result["of"] - len(result["hints"])
    yield f"\n{left} more: ask again." if left else "\nThat was the last one."


def opened(path: Path, parser: Parser) -> Folder:
    """The folder of exercises at a path."""
    if not any((path / step.file).is_file() for step in STEPS):
        parser.error(f"folder: got {path}, wanted one that `start` wrote exercises to")
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
        for line in {"start": said_of_start, "hint": said_of_hint}[options.command](result):
            print(line)
    return 0 if all(one["passed"] for one in result.get("steps", ())) else 1


if __name__ == "__main__":
    run_command(main)
