"""Records of settings: frozen dataclasses whose fields say their bounds, and that read as JSON both ways.

    @dataclass(frozen=True)
    class Attack(Settings):
        epsilon: float = setting(0.1, low=0)
        attack: str = setting("fgsm", choices=("fgsm", "fgm"))

A record checks itself when it is made. `named()` is what of it enters a cell's name (`zoo.core.identity`):
the fields that its code reads with these values, and of those the ones that differ from the value which a
name leaves out. That value is the default the field was introduced with, so a new field moves no name. Where
a default changes later, the old one stays the value that is left out (`unnamed=`), so that old names keep
their meaning.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Self

from zoo.core.errors import UserError
from zoo.core.options import lookup, one_of


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    unnamed: Any = MISSING,
) -> Any:
    """A field of a record with its bounds: low <= value <= high, above < value < below, or one of `choices`.

    A tuple's bounds are those of each of its entries.
    """
    bounds = {"low": low, "high": high, "above": above, "below": below}
    metadata = {"bounds": bounds, "choices": choices, "unnamed": default if unnamed is MISSING else unnamed}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Base of all records of settings; subclasses are frozen dataclasses.

    Raises:
        UserError: a value of another type, or out of its bounds.
    """

    what: ClassVar[str] = "setting"  # how a message calls a field

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            _check(f"{self.what} {field.name}", value, field)
            # 1 and 1.0 are one value and must be one name.
            default: Any = field.default
            if isinstance(default, float):
                object.__setattr__(self, field.name, as_float(value))
            elif isinstance(default, tuple) and default and isinstance(default[0], float):
                object.__setattr__(self, field.name, tuple(map(as_float, value)))

    def unread(self) -> Iterable[str]:
        """Fields that change nothing with the values of the others; subclasses say which."""
        return ()

    def named(self) -> dict[str, Any]:
        """The fields that enter a name, in the order of the class."""
        unread = set(self.unread())
        return {
            field.name: value
            for field in fields(self)
            if field.name not in unread
            and (value := getattr(self, field.name)) != field.metadata.get("unnamed", field.default)
        }

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types, every field."""
        return {
            field.name: list(value) if isinstance(value := getattr(self, field.name), tuple) else value
            for field in fields(self)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The record of `as_json`; fields that are absent have their defaults.

        Raises:
            UserError: an unknown field, or a value that the record refuses.
        """
        known = {field.name: field for field in fields(cls)}
        for name in values:
            lookup(known, name, cls.what)
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def as_float(value: Any) -> float:
    """The number as a float; infinity for a whole number that is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _check(name: str, value: Any, field: Any) -> None:
    if field.default is MISSING:
        return
    many = isinstance(field.default, tuple)
    if many and not isinstance(value, tuple):
        raise UserError(f"{name}={value!r}: expected a tuple")
    for item in value if many else (value,):
        kind = type(field.default[0]) if many and field.default else str if many else type(field.default)
        if not (isinstance(item, kind) or (kind is float and isinstance(item, int))) or (
            isinstance(item, bool) and kind is not bool
        ):
            raise UserError(f"{name}={value!r}: expected {_kind(kind)}")
        choices = field.metadata.get("choices", ())
        if choices and item not in choices:
            raise UserError(f"{name}={item!r}: expected {one_of(item, choices)}")
        if kind is float and not math.isfinite(number := as_float(item)):
            raise UserError(f"{name}={number}: expected a finite number")
        if isinstance(item, str) and "\0" in item:
            raise UserError(f"{name}={item!r}: expected a text without a null character")
        _within(name, item, field.metadata.get("bounds", {}))


def _within(name: str, value: Any, bounds: Mapping[str, float | None]) -> None:
    low, high, above, below = (bounds.get(key) for key in ("low", "high", "above", "below"))
    if (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    ):
        return
    parts = [
        *([f"at least {low:g}"] if low is not None else []),
        *([f"above {above:g}"] if above is not None else []),
        *([f"at most {high:g}"] if high is not None else []),
        *([f"below {below:g}"] if below is not None else []),
    ]
    raise UserError(f"{name}={value}: expected a number {' and '.join(parts)}")


def _kind(kind: type) -> str:
    return {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}.get(
        kind, kind.__name__
    )
