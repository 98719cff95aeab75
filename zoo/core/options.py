"""Settings as users type them: names looked up with near misses, values in the type of a field's default."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from zoo.core.errors import UserError


def lookup(table: Mapping[str, Any], key: str, what: str) -> Any:
    """`table[key]`, or a UserError that lists what exists, near misses first."""
    if key not in table:
        raise UserError(f"unknown {what} {key!r}: expected {one_of(key, table)}")
    return table[key]


def one_of(got: object, choices: Iterable[str]) -> str:
    """`one of a, b, c (did you mean 'b'?)`."""
    names = tuple(choices)
    near = difflib.get_close_matches(str(got), names, n=1)
    return "one of " + ", ".join(names) + (f" (did you mean {near[0]!r}?)" if near else "")


def parse_setting(kind: type, key: str, text: str) -> Any:
    """The value of field `key` of dataclass `kind` from its text, in the type of the field's default.

    Raises:
        UserError: no such field, or no such value.
    """
    defaults = {f.name: f.default for f in dataclasses.fields(kind)}
    default = lookup(defaults, key, "setting")
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False, "on": True, "off": False}[text.lower()]
        if isinstance(default, tuple):
            item = type(default[0]) if default else str
            return tuple(item(part) for part in text.split(",") if part)
        value = type(default)(text)
    except (ValueError, KeyError):
        wanted = "on or off" if isinstance(default, bool) else type(default).__name__
        raise UserError(f"setting {key}={text!r}: expected {wanted} (default {default!r})") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"setting {key}={text!r}: expected a finite number")
    return value


def brief(value: float) -> str:
    """A number as a user would type it: 4 for 4.0, and every digit where six do not give the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
