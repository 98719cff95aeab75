"""Whether the figures of an examination of robustness can be believed: skill to lose, and sound attacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from zoo.core.classes import decode_classes
from zoo.core.measures import lack_of_skill
from zoo.core.names import display
from zoo.evidence.measurements import Point
from zoo.report.blocks import Block, List, Table, Text

__all__ = ["Groups", "checks", "without_skill"]

Groups = Mapping[str, Sequence[Point]]  # method (or saved model) -> its networks


def without_skill(groups: Groups) -> Iterator[Block]:
    """The networks that do little more than name the largest classes: they have no accuracy to lose."""
    named = []
    for name, own in groups.items():
        for point in own:
            test = point.values["test"]
            if what := lack_of_skill(decode_classes(test["truth"]), decode_classes(test["predictions"])):
                accuracy = 100 * test["accuracy"]
                named.append(f"{_called(name, point)}: {what} (accuracy {accuracy:.1f} %)")
    if named:
        yield Text(
            "These networks do little more than name the largest classes. An attack can take nothing from "
            "them, so their figures below, and the means that they are in, say nothing of robustness:"
        )
        yield List(tuple(named))


def _called(name: str, point: Point) -> str:
    return f"{name}, {display(point.corpus)}, seed {point.seed}"


def checks(groups: Groups) -> Iterator[Block]:
    """Passed networks of each method, and what was found where one failed."""
    asked: dict[str, dict[str, list[bool]]] = {name: {} for name in groups}
    failed = []
    for name, own in groups.items():
        for point in own:
            for check, good, said in checks_of(point):
                asked[name].setdefault(check, []).append(good)
                if not good:
                    failed.append(f"{_called(name, point)}: not so: {check}: {said}")
    rows = []
    for check in dict.fromkeys(check for own in asked.values() for check in own):
        rows.append((check, *(_passed(own.get(check, [])) for own in asked.values())))
    yield Table(("Is the attack believable?", *groups), tuple(rows))
    if failed:
        yield List(tuple(failed[:20]))
    shares = (
        f"{name} {np.mean([100 * p.values['vectors']['zero_gradients']['entries'] for p in own]):.1f}"
        for name, own in groups.items()
    )
    yield Text(f"Entries of the gradients that are exactly 0, in %: {', '.join(shares)}.")


def _passed(found: Sequence[bool]) -> str:
    if len(found) == 1:
        return "passed" if found[0] else "FAILED"
    return f"{sum(found)} of {len(found)}"


def checks_of(point: Point) -> list[tuple[str, bool, str]]:
    """The checks of one network: those of the attacks on vectors, and that a search beats chance."""
    found = [(c["check"], c["passed"], c["found"]) for c in point.values["vectors"]["checks"]]
    for name, own in point.values["edits"].items():
        searched, random = (f"{100 * own[key]:.1f} %" for key in ("accuracy", "control"))
        said = f"accuracy {searched} against {random} under as many random ones"
        found.append(
            (f"edits of {name} mislead more than random ones", own["accuracy"] < own["control"], said)
        )
    return found
