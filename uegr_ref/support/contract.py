"""What a function wants of its arguments, said above it, so that its body is the mathematics alone:

    @contract(gradient="floats (..., d)", p="floats (..., d) in (0, 1]", threshold="number in [0, 1]")

    floats (B, T, D)            an array of finite numbers of that shape; lists are converted
    floats (d) in [0, inf)      every entry lies in the interval; an end may be an argument that came before
    any floats (U)              infinite and NaN as well
    probabilities (M)           floats in [0, 1] of sum 1
    bools (B, T)                truth values, not 0 and 1
    ints (N) below C            whole numbers 0 .. C-1
    number in [0, q_max]        a finite number
    count, natural              a whole number >= 1, >= 0
    flag                        True or False
    one of linf, l2             a name
    shape (..., U)              a tuple, the shape of an array
    generator                   a numpy.random.Generator
    function                    the caller's; "function to floats (B, T, D)" says what it returns
    each number in [0, 1)       a tuple, list or mapping of these; "some number in [0, 1)": at least one
    {"mask": .., "rates": ..}   a record or mapping with these fields, or a plain tuple of them

A letter is any size, but one size throughout a call; ... is any number of axes, likewise; K > 0 and n <= 20
bound a size. An argument whose default is None may be None. Arguments are checked, and converted, where they
come in: a call from inside another checked call is taken as it is.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeAlias, TypeVar

from . import checks
from .checks import Interval, Known, Shape

Spec: TypeAlias = "str | Mapping[str, Spec]"
Check: TypeAlias = Callable[[str, Any, Known], Any]
P = ParamSpec("P")
R = TypeVar("R")

_inside: ContextVar[bool] = ContextVar("inside a checked call", default=False)
_ARRAY = re.compile(
    r"(?P<any>any )?(?P<kind>floats|probabilities|bools|ints|shape|number)(?: \((?P<shape>[^)]*)\))?"
    r"(?: in (?P<interval>[\[(][\w.-]+, [\w.-]+[\])]))?(?: below (?P<below>\w+))?"
)


def contract(**wanted: Spec) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Check and convert the arguments named before the function runs; they stay readable as `__contract__`.

    Raises, at the call: ValueError "argument: got .., wanted ..". At the definition: TypeError for a contract
    that cannot be read or names no argument.
    """
    rules = {name: compiled(spec) for name, spec in wanted.items()}

    def above(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        if unknown := set(wanted) - set(signature.parameters):
            raise TypeError(f"{function.__name__} has no argument {', '.join(sorted(unknown))}")
        optional = {name for name, one in signature.parameters.items() if one.default is None}
        run: Callable[..., R] = function

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if _inside.get():
                return function(*args, **kwargs)
            call, known = signature.bind(*args, **kwargs), Known()
            call.apply_defaults()
            for name, rule in rules.items():
                value = call.arguments[name]
                if value is not None or name not in optional:
                    value = call.arguments[name] = rule(name, value, known)
                known[name] = value
            token = _inside.set(True)
            try:
                return run(*call.args, **call.kwargs)
            finally:
                _inside.reset(token)

        vars(checked)["__contract__"] = wanted
        return checked

    return above


def one_of(names: Iterable[str]) -> str:
    """The contract of a choice."""
    return "one of " + ", ".join(names)


def compiled(spec: Spec) -> Check:
    """The check that a contract's line stands for."""
    if isinstance(spec, Mapping):
        return _record({name: compiled(field) for name, field in spec.items()})
    head, _, rest = spec.partition(" ")
    simple: dict[str, Check] = {
        "count": lambda name, value, _: checks.count(name, value),
        "natural": lambda name, value, _: checks.count(name, value, 0),
        "flag": lambda name, value, _: checks.flag(name, value),
        "generator": lambda name, value, _: checks.generator(name, value),
        "function": lambda name, value, known: _function(name, value, known, None),
    }
    if spec in simple:
        return simple[spec]
    if head == "one" and rest.startswith("of "):
        allowed = rest.removeprefix("of ").split(", ")
        return lambda name, value, _: checks.choice(name, value, allowed)
    if head in ("each", "some"):
        return _each(compiled(rest), 1 if head == "some" else 0)
    if head == "function" and rest.startswith("to "):
        result = compiled(rest.removeprefix("to "))
        return lambda name, value, known: _function(name, value, known, result)
    return _array(spec)


def _array(spec: str) -> Check:
    found = _ARRAY.fullmatch(spec)
    if found is None:
        raise TypeError(f"contract: got {spec!r}, wanted a line as in {__name__}")
    shape, interval, finite = Shape(found["shape"]), Interval(found["interval"]), not found["any"]
    by_kind: dict[str, Check] = {
        "floats": lambda name, value, known: checks.floats(name, value, known, shape, interval, finite),
        "probabilities": lambda name, value, known: checks.probabilities(name, value, known, shape),
        "bools": lambda name, value, known: checks.bools(name, value, known, shape),
        "ints": lambda name, value, known: checks.ints(name, value, known, shape, found["below"]),
        "shape": lambda name, value, known: checks.axes(name, value, known, shape),
        "number": lambda name, value, known: checks.number(name, value, known, interval),
    }
    return by_kind[found["kind"]]


def _each(rule: Check, least: int) -> Check:
    def check(name: str, values: Any, known: Known) -> Any:
        if isinstance(values, Mapping):
            return {key: rule(key, value, dict(known)) for key, value in values.items()}
        if not isinstance(values, (tuple, list)) or len(values) < least:
            raise checks.refuse(name, repr(values), "a tuple" + (" of at least one" if least else ""))
        return tuple(rule(name, value, dict(known)) for value in values)  # letters are each value's own

    return check


def _record(fields: Mapping[str, Check]) -> Check:
    """Fields that the contract leaves out may be anything."""

    def check(name: str, record: Any, known: Known) -> Any:
        plain = isinstance(record, (tuple, list)) and not hasattr(record, "_replace")
        if plain and len(record) != len(fields):
            raise checks.refuse(name, f"{len(record)} entries", f"{len(fields)}: {', '.join(fields)}")
        for position, (field, rule) in enumerate(fields.items()):
            if plain:
                value = record[position]
            elif isinstance(record, Mapping):
                value = record.get(field)
            else:
                value = getattr(record, field, None)
            known[field] = rule(field, value, known)
        seen = {field: known[field] for field in fields}
        if plain:
            return tuple(seen.values())
        return {**record, **seen} if isinstance(record, Mapping) else record._replace(**seen)

    return check


def _function(name: str, function: Any, known: Known, result: Check | None) -> Callable[..., Any]:
    """The caller's function: what it calls is checked again, and what it returns if the contract says so."""
    if not callable(function):
        raise checks.refuse(name, repr(function), "a function")

    @functools.wraps(function)
    def outside(*args: Any) -> Any:
        token = _inside.set(False)
        try:
            value = function(*args)
            return value if result is None else result(f"{name}(x)", value, dict(known))
        finally:
            _inside.reset(token)

    return outside
