"""Settings of a result by their own names, and what differs between the settings of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from zoo.core.options import brief

__all__ = [
    "ABSENT",
    "ATTACKED_BY",
    "UNSAID",
    "as_read",
    "attack_of",
    "by_name",
    "differing",
    "distinct",
    "shown",
]

ABSENT = "–"
# What older results do not say and newer ones do, at the value that both were run with (a test finds more).
UNSAID = {"patience": 0, "tf32": False}
# What tells attacks apart, in training and in `Result.attacked`.
ATTACKED_BY = ("attack", "epsilon", "epsilon_unit")
# What no clean pass reads; the fields of `zoo.method.forward.attack.Attack`, which no evidence may import (a
# test compares them).
_ATTACK = (*ATTACKED_BY, "attack_scope", "attack_steps")
_COLUMNS = ("text_column", "label_column")
# A part of a recipe as one setting: its name, and its value where the recipe has no such part.
_PARTS = {"forward": ("forward", "none"), "dropout": ("dropout", "none"), "backward": ("update", "all")}


def by_name(settings: Mapping[str, Any], *parts: str) -> dict[str, Any]:
    """Every setting of these parts (default: all) by its own name, which is unique over all parts.

    `settings` is `Result.settings`. The fold is left out: it says which run it is, not how it was run. So is
    a patience of 0, as results from before there was one lack it and were run alike.
    """
    found: dict[str, Any] = {}
    for part, own in settings.items():
        if parts and part not in parts:
            continue
        for name, value in own.items():
            if part == "recipe" and name in _PARTS:
                short, without = _PARTS[name]
                inner = dict(value or {})
                found |= {short: inner.pop("kind", without), **inner}
            else:
                found[name] = value
    found.pop("fold", None)
    return {name: value for name, value in found.items() if name not in UNSAID or value != UNSAID[name]}


def as_read(settings: Mapping[str, Any], *parts: str) -> dict[str, Any]:
    """`by_name` without where files lie, and the attack's settings where a recipe has no adversarial pass.

    A file of vectors is told by its name, and what columns are called tells nothing of what is in them. The
    default attack has changed between results; methods without an attack are the same as before.
    """
    own = {name: value for name, value in by_name(settings, *parts).items() if name not in _COLUMNS}
    if "vectors" in own:
        own["vectors"] = PurePath(str(own["vectors"])).name
    return own if own.get("adversarial", 1) else {n: value for n, value in own.items() if n not in _ATTACK}


def attack_of(settings: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The attack that a method trains with: its kind, strength and unit; None where it attacks nothing."""
    own = by_name(settings)
    return tuple(own.get(name) for name in ATTACKED_BY) if own.get("adversarial") else None


def distinct(settings: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that are not the same text: few, however many results there are. Equal ones may be left twice."""
    return list({repr(own): own for own in settings}.values())


def differing(settings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names whose value is not the same in all of them (absent is a value too), in order of appearance."""
    known = list(settings)
    names = dict.fromkeys(name for own in known for name in own)
    return [name for name in names if len({shown(own.get(name)) for own in known}) > 1]


def shown(value: Any) -> str:
    """A value as text: 4 for 4.0, on and off, lists with spaces between, a dash for nothing."""
    if isinstance(value, list | tuple):
        return " ".join(map(shown, value)) or "(default)"
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: ABSENT}[value]
    return brief(value) if isinstance(value, float) else str(value) or ABSENT
