"""The result of a cell as read from a file, checked part by part before anything is computed from it.

What does not hold is one line: the file, the part, what was found, what was expected, and what to do.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.core.classes import decode_classes, decode_scores
from zoo.core.errors import UserError
from zoo.core.identity import SCHEMA
from zoo.core.measures import ACCURACY, MEASURES, SCORES, Scores, accuracy
from zoo.core.measures import measure as _main_measure
from zoo.core.options import one_of

__all__ = ["DONE", "FAILED", "REMEDY", "checked", "unpacked"]

DONE, FAILED = "done", "failed"
REMEDY = "delete the file and run again, the cell will be repeated"
_NEEDED = ("id", "cell", "status")
_ROWS = ("train_rows", "validation_rows", "test_rows")
_OF_A_DONE_CELL = ("corpus", "measures", "validation_accuracy", "predictions", "truth")
_TOLERANCE = 1e-6  # between a stored accuracy and that of the stored predictions

Check = Callable[[str, Any], None]


class _Wrong(Exception):
    """A part that does not hold; the message says which, what was found and what was expected."""


def checked(values: Any, where: str) -> dict[str, Any]:
    """Arguments of `Result` from what a file holds; its cell, corpus and machine stay mappings.

    Args:
        values: the file's JSON.
        where: the file, for messages.

    Raises:
        UserError: not a result, one of another form or version, or a part that does not hold.
    """
    if not isinstance(values, Mapping) or any(key not in values for key in _NEEDED):
        raise UserError(
            f"{where}: not the result of a cell (expected the keys {', '.join(_NEEDED)}); "
            "delete the file or move it out of the results folder"
        )
    if _is_old(values):
        folder = Path(where).parent
        raise UserError(
            f"{where}: a result of an earlier form; convert its folder once: "
            f"python -m zoo.ablate convert {folder}"
        )
    values = dict(values)
    try:
        _check_schema(values.pop("schema", SCHEMA))
        return _checked(values)
    except _Wrong as wrong:
        raise UserError(f"{where}: {wrong}; {REMEDY}") from None


def _is_old(values: Mapping[str, Any]) -> bool:
    """The first form named neither its schema nor who made it."""
    return "schema" not in values and "made_by" not in values


def _check_schema(schema: Any) -> None:
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        hint = " (made by a newer version of this program: update it)" if newer else ""
        raise _Wrong(f"schema is {schema!r}, expected {SCHEMA}{hint}")


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if name not in _CHECKS:
            raise _Wrong(f"unknown part {name!r}, expected {one_of(name, sorted(_CHECKS))}")
        _CHECKS[name](name, value)
    values = unpacked(values)
    if values["status"] == DONE:
        _check_done(values)
    return values


def unpacked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `Result` from a file's JSON that has passed the checks: lists become tuples."""
    values = {name: value for name, value in values.items() if name != "schema"}
    for name, lists in (("corpus", ("notes",)), ("machine", ("fast_paths",))):
        if values.get(name) is not None:
            values[name] = _with_tuples(values[name], *lists)
    return _with_tuples(values, "curve", "notes", "strengths")


def _with_tuples(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**values, **{name: tuple(values[name]) for name in names if name in values}}


def _check_done(result: Mapping[str, Any]) -> None:
    """A finished cell has its predictions, and its main measure is theirs."""
    for name in _OF_A_DONE_CELL:
        if result.get(name) is None:
            raise _Wrong(f"a done cell without {name}")
    main = result["corpus"].get("measure", ACCURACY)
    if main not in result["measures"]:
        raise _Wrong(f"a done cell without measures.{main}")
    bounds = _CORRELATION if _main_measure(main).is_correlation else _SHARE
    bounds("validation_accuracy", result["validation_accuracy"])
    rows = result["corpus"]["test_rows"]
    _check_answers("", "test", result, result, rows)
    attacked = result.get("attacked")
    if attacked and "predictions" in attacked:
        _check_answers("attacked.", "attacked", attacked, result, attacked.get("rows"))
    for on, holder in result.get("further", {}).items():
        _check_answers(f"further.{on}.", on, holder, result, None)


def _check_answers(
    prefix: str, on: str, holder: Mapping[str, Any], result: Mapping[str, Any], rows: int | None
) -> None:
    """The rows of answers fit together, and every measure of them that is stored is theirs."""
    labels = result["corpus"]["labels"]
    if labels == 1:
        decode, what = decode_scores, "scores, expected base64 of zlib of finite 32-bit floats"
    else:
        decode, what = decode_classes, "classes, expected base64 of zlib of 16-bit integers"
    predictions, truth = (
        _decoded(prefix + name, holder.get(name), decode, what) for name in ("predictions", "truth")
    )
    if predictions.shape != truth.shape:
        raise _Wrong(f"{predictions.size} {prefix}predictions for {truth.size} texts")
    if rows is not None and truth.size != rows:
        raise _Wrong(f"{prefix}truth has {truth.size} texts, expected the {rows} that the result names")
    if not truth.size:
        raise _Wrong(f"{prefix}predictions are empty, expected at least one")
    largest = max(predictions.max(), truth.max())
    if labels > 1 and largest >= labels:
        raise _Wrong(f"{prefix}predictions or truth name class {largest}, expected 0 to {labels - 1}")
    answers, main = Scores(predictions, truth), result["corpus"].get("measure", ACCURACY)
    for row in MEASURES:
        stored = result["measures"].get(row.name)
        if stored is None or row.on != on or not (row.compute is accuracy or row.name == main):
            continue
        if (row.of == SCORES) != (labels == 1):
            raise _Wrong(f"measures.{row.name} is of {row.of}, the answers of {labels} labels are not")
        if abs((found := row.compute(answers)) - stored) > _TOLERANCE:
            what = ACCURACY if row.compute is accuracy else row.name
            raise _Wrong(f"the {prefix}{what} is stored as {stored:g}, the predictions give {found:g}")


def _decoded(name: str, text: Any, decode: Callable[[str], np.ndarray], what: str) -> np.ndarray:
    try:
        return decode(text)
    except (ValueError, TypeError, zlib.error):
        raise _Wrong(f"{name} are no {what}") from None


def _expect(wanted: str, test: Callable[[Any], bool]) -> Check:
    def check(name: str, value: Any) -> None:
        if not test(value):
            shown = repr(value)
            shown = shown if len(shown) <= 60 else shown[:57] + "..."
            raise _Wrong(f"{name} is {shown}, expected {wanted}")

    return check


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _or_none(check: Check) -> Check:
    def checks(name: str, value: Any) -> None:
        if value is not None:
            check(name, value)

    return checks


def _mapping(of: Check) -> Check:
    def check(name: str, value: Any) -> None:
        _OBJECT(name, value)
        for key, item in value.items():
            of(f"{name}.{key}", item)

    return check


def _rows(of: Check) -> Check:
    def check(name: str, value: Any) -> None:
        _expect("a list", lambda v: isinstance(v, list | tuple))(name, value)
        for number, item in enumerate(value):
            of(f"{name}[{number}]", item)

    return check


def _record(needed: tuple[str, ...], **checks: Check) -> Check:
    """A mapping of known parts."""

    def check(name: str, value: Any) -> None:
        _OBJECT(name, value)
        for part in needed:
            if part not in value:
                raise _Wrong(f"{name} lacks {part}")
        for key, item in value.items():
            if key not in checks:
                raise _Wrong(f"{name} has an unknown part {key!r}, expected {one_of(key, checks)}")
            checks[key](f"{name}.{key}", item)

    return check


def _measures(name: str, value: Any) -> None:
    _mapping(_NUMBER)(name, value)
    known = {row.name: row for row in MEASURES if row.unit == "%"}
    for key, item in value.items():
        if key in known:
            (_CORRELATION if known[key].is_correlation else _SHARE)(f"{name}.{key}", item)


def _entry(name: str, value: Any) -> None:
    """An epoch's terms: numbers, null where one was not finite, or a group of them (drop rates by site)."""
    _OBJECT(name, value)
    for key, item in value.items():
        part = f"{name}.{key}"
        _mapping(_or_none(_NUMBER))(part, item) if isinstance(item, Mapping) else _or_none(_NUMBER)(
            part, item
        )


_OBJECT = _expect("an object", lambda v: isinstance(v, Mapping))
_TEXT = _expect("a text", lambda v: isinstance(v, str))
_NAME = _expect("a text that is not empty", lambda v: isinstance(v, str) and bool(v))
_SWITCH = _expect("true or false", lambda v: isinstance(v, bool))
_NUMBER = _expect("a number", _is_number)
_AMOUNT = _expect("a number of at least 0", lambda v: _is_number(v) and v >= 0)
_SHARE = _expect("a number from 0 to 1", lambda v: _is_number(v) and 0 <= v <= 1)
_CORRELATION = _expect("a number from -1 to 1", lambda v: _is_number(v) and -1 <= v <= 1)
_COUNT = _expect("a whole number of at least 0", lambda v: _is_whole(v) and v >= 0)
_POSITIVE = _expect("a whole number of at least 1", lambda v: _is_whole(v) and v >= 1)
_MAIN = _expect(
    f"one of {', '.join(row.name for row in MEASURES if row.on == 'test')}",
    lambda v: v in {row.name for row in MEASURES if row.on == "test"},
)
_STATUS = _expect("done or failed", lambda v: v in (DONE, FAILED))

_CHECKS: dict[str, Check] = {
    "id": _NAME,
    "cell": _record(
        ("corpus", "arch", "recipe", "seed"),
        corpus=_NAME, arch=_NAME, recipe=_NAME, seed=_COUNT, fold=_or_none(_COUNT),
    ),
    "status": _STATUS,
    "settings": _OBJECT,
    "corpus": _or_none(
        _record(
            ("name", "language", "fingerprint", "labels", *_ROWS, "words"),
            name=_NAME, language=_TEXT, fingerprint=_TEXT, labels=_POSITIVE, train_rows=_COUNT,
            validation_rows=_COUNT, test_rows=_COUNT, words=_COUNT, notes=_rows(_TEXT), measure=_MAIN,
        )
    ),
    "reason": _TEXT,
    "traceback": _TEXT,
    "measures": _measures,
    "validation_accuracy": _or_none(_NUMBER),  # its bounds are those of the main measure
    "best_epoch": _or_none(_POSITIVE),
    "curve": _rows(_entry),
    "predictions": _TEXT,
    "truth": _TEXT,
    "attacked": _or_none(_OBJECT),
    "further": _mapping(_record(("predictions", "truth"), predictions=_TEXT, truth=_TEXT)),
    "parameters": _or_none(_COUNT),
    "vectors": _or_none(_OBJECT),
    "notes": _rows(_TEXT),
    "strengths": _rows(_mapping(_NUMBER)),
    "machine": _record(
        (), device=_TEXT, processor=_or_none(_TEXT), blas=_TEXT, fast_paths=_rows(_TEXT),
        threads=_or_none(_POSITIVE),
    ),
    "recorded": _SWITCH,
    "not_recorded": _TEXT,
    "seconds": _mapping(_AMOUNT),
    "step_seconds": _or_none(_AMOUNT),
    "step_cpu_seconds": _or_none(_AMOUNT),
    "peak_memory_mb": _or_none(_AMOUNT),
    "made_by": _mapping(_or_none(_TEXT)),
    "versions": _mapping(_TEXT),
}  # fmt: skip
