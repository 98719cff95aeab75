"""What the commands of the exercises print, in the language of the learner's folder."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from functools import partial
from typing import Any

from ..support.console import Table
from .checking import Checked
from .language import fill, padded, said
from .learner import Folder
from .steps import STEPS

WIDTH = 80


def told_of_start(result: dict[str, Any], language: str) -> Iterator[str]:
    """What `start` prints."""
    say = partial(said, language=language)
    folder, written, kept = result["folder"], result["written"], result["kept"]
    if written:
        yield say("Wrote {count} exercises to {folder}:", count=len(written), folder=folder)
        yield from (f"  {name}" for name in written)
    if kept:
        yield (
            say("Left as they are: {names}.", names=", ".join(kept))
            if len(kept) < 4
            else say("Left {count} files as they are.", count=len(kept))
        )
    yield "\n" + say("Open the first one, write the bodies, and see what the properties say:")
    yield f"  python -m uegr_ref.learn check {folder}"


def told_of(checked: Checked, language: str) -> Iterator[str]:
    """What `check` prints of a step: its state and the first property that it does not have."""
    say = partial(said, language=language)
    held, verdicts = sum(one["passed"] for one in checked.verdicts), checked.verdicts
    state = say("passed") if checked.passed else say("empty") if checked.empty else say("not yet")
    counted = verdicts and not checked.empty
    count = say("{held} of {all} properties", held=held, all=len(verdicts)) if counted else ""
    title = padded(say(checked.step.title), 46)
    yield f"{checked.step.number:3}  {title} {padded(state, 8)} {count}".rstrip()
    if checked.passed or checked.empty:
        lacking = dict.fromkeys(one["words"].split()[0] for one in verdicts if one["empty"])
        if checked.empty and len(lacking) < len(checked.step.names):
            left = say("What is there has its properties; still empty: {names}.", names=", ".join(lacking))
            yield fill(left, WIDTH, "     ", "     ")
        yield from told_of_training(checked, language)
        return
    failed = [one for one in verdicts if not one["passed"]]
    broken = next((one for one in failed if not one["empty"]), failed[0] if failed else None)
    lines = []
    if broken is not None:
        lines += [
            (say(broken["says"]), ""),
            (broken["words"], "> "),
            (broken["call"] and say("at {call}", call=broken["call"]), "  "),
        ]
        lines += [(place, "  ") for place in broken["places"]]
        printed = broken["printed"].splitlines()[-5:]
        lines += [(say("your code printed: {line}", line=line), "  ") for line in printed]
    elif checked.ended:
        lines += [(checked.ended, "> "), *((place, "  ") for place in checked.places[-6:])]
    else:
        lines += [(say("The properties hold, but the loss did not fall in training."), "> ")]
    for words, mark in lines:
        if words:
            text = textwrap.shorten(words, 400)
            yield fill(text, WIDTH, "     " + mark, "     " + " " * len(mark))
    yield from told_of_training(checked, language)


def told_of_training(checked: Checked, language: str) -> Iterator[str]:
    """The epochs that the last step's classifier was trained for."""
    say = partial(said, language=language)
    if checked.training:
        own = len(checked.own) + 1
        trained = say("Trained with your code ({own} of {all} steps are yours):", own=own, all=len(STEPS))
        yield f"\n     {trained}"
        table = Table(
            (say("epoch"), 5, "d"), (say("loss"), 8, ".4f"), (say("kept"), 6, ".1%"),
            (say("test accuracy"), 13, ".1%"),
        )  # fmt: skip
        yield textwrap.indent(table.head(), "   ")
        for row in checked.training:
            yield "   " + table.row(int(row["epoch"]), row["loss"], row["kept_share"], row["test_accuracy"])


def told_at_the_end(folder: Folder, results: list[Checked], passed: list[int]) -> Iterator[str]:
    """How far one is, whose functions stood in for whose, and what comes next."""
    say = partial(said, language=folder.language)
    lacking = sorted(
        {one.number for checked in results if not checked.empty for one in STEPS[: checked.step.number - 1]}
        - set(passed)
    )
    yield "\n" + say("{passed} of {all} passed.", passed=len(passed), all=len(STEPS))
    if lacking:
        yield fill(
            say("Where a later step needs them, the reference's functions stand in for those of step "
                "{steps}, not passed as they are now.", steps=", ".join(map(str, lacking))), WIDTH
        )  # fmt: skip
    left = [step for step in STEPS if step.number not in passed]
    if left:
        yield say("Next: {file}", file=folder.path / left[0].file)
        hint = f"python -m uegr_ref.learn hint {folder.path} {left[0].number}"
        yield say("A hint: {command}", command=hint)
    else:
        yield say("You have rebuilt the method. Compare your files with those of uegr_ref/.")


def told_of_hint(result: dict[str, Any], language: str) -> Iterator[str]:
    """The hints so far."""
    for number, text in enumerate(result["hints"], 1):
        yield fill(said(text, language), WIDTH, f"{number}  ", "   ", hyphens=False)
    left = result["of"] - len(result["hints"])
    yield "\n" + (
        said("{left} more: ask again.", language, left=left)
        if left
        else said("That was the last one.", language)
    )
