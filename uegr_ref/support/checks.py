"""One check for each kind of argument: a `ValueError` says which one, what it got, what it wants.

Every check takes the argument's name, its value, and `known`: the sizes and arguments that this call has
shown so far. Nothing is ever broadcast to fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# To a type checker these are float64; at run time they are float32 wherever the arguments are.
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.integer[Any]]
Parameters: TypeAlias = dict[str, Floats]  # by name
Known: TypeAlias = dict[str, Any]


def refuse(name: str, got: object, wanted: str) -> ValueError:
    """The one form of every complaint: one line."""
    return ValueError(f"{name}: got {' '.join(str(got).split())[:80]}, wanted {wanted}")


class Shape:
    """The text of a shape, such as "(K > 0, N, 3)" or "(..., U)"; no text is any shape.

    A letter is any size, but the same one throughout a call; ... is any number of axes, likewise.
    """

    def __init__(self, text: str | None) -> None:
        self.texts = [axis.strip() for axis in text.split(",")] if text else []
        self.free = text is None
        self.gap = self.texts.index("...") if "..." in self.texts else None
        self.axes = [self._axis(axis) for axis in self.texts if axis != "..."]

    @staticmethod
    def _axis(text: str) -> tuple[str, int, float]:
        """Name, least and largest size of one axis."""
        found = re.fullmatch(r"(\w+)(?: > (\d+)| <= (\d+))?", text)
        if found is None:
            raise TypeError(f"shape: got the axis {text!r}, wanted a letter, or one such as K > 0 or n <= 20")
        letter, above, most = found.groups()
        if letter.isdigit():
            return "", int(letter), int(letter)
        return letter, int(above) + 1 if above else 0, int(most) if most else math.inf

    def check(self, name: str, got: tuple[int, ...], known: Known) -> None:
        """Refuse another shape, and note what its letters stand for."""
        if self.free:
            return
        new: Known = {}
        fits = len(got) == len(self.axes)
        sizes = got
        if self.gap is not None:
            after = len(got) - (len(self.axes) - self.gap)
            fits, middle = after >= self.gap, got[self.gap : max(after, 0)]
            fits = fits and known.get("...", middle) == middle
            sizes, new["..."] = got[: self.gap] + got[max(after, 0) :], middle
        for (letter, least, most), size in zip(self.axes, sizes, strict=False):
            fits = fits and least <= size <= most and known.get(letter, new.get(letter, size)) == size
            if letter:
                new[letter] = size
        if not fits:
            raise refuse(name, f"shape {_tuple(got)}", f"shape {self.show(known)}")
        known.update(new)

    def show(self, known: Known) -> str:
        """The text, with the sizes that are known in place of their letters."""
        axes: list[Any] = []
        for text in self.texts:
            seen = known.get(text.split(" ")[0], text)
            axes += seen if isinstance(seen, tuple) else [seen]
        return _tuple(axes)


def _tuple(axes: Iterable[Any]) -> str:
    texts = [str(axis) for axis in axes]
    return "(" + ", ".join(texts) + ("," if len(texts) == 1 and texts != ["..."] else "") + ")"


class Interval:
    """The text of an interval, such as "(0, 1]"; an end may be the name of an argument that came before."""

    def __init__(self, text: str | None) -> None:
        self.text = text
        low, high = (text or "[-inf, inf]")[1:-1].split(", ")
        self.ends = [end if end.isidentifier() and end != "inf" else float(end) for end in (low, high)]
        self.open = [(text or "[")[0] == "(", (text or "]")[-1] == ")"]

    def _bounds(self, known: Known) -> tuple[float, float]:
        low, high = (known[end] if isinstance(end, str) else end for end in self.ends)
        return low, high

    def misses(self, x: Any, known: Known) -> Any:
        """Whether x, a number or an array, lies outside; NaN does not."""
        low, high = self._bounds(known)
        below = x <= low if self.open[0] else x < low
        return below | (x >= high if self.open[1] else x > high)

    def show(self, known: Known) -> str:
        """The text, with numbers in place of names."""
        low, high = self._bounds(known)
        return f"{'(' if self.open[0] else '['}{low:g}, {high:g}{')' if self.open[1] else ']'}"


ANY_SHAPE, ANYWHERE = Shape(None), Interval(None)


def floats(
    name: str,
    value: Any,
    known: Known,
    shape: Shape = ANY_SHAPE,
    interval: Interval = ANYWHERE,
    finite: bool = True,
) -> Floats:
    """Return `value` as an array of floats; float32 stays, whole numbers become float64."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise refuse(name, f"an array of {array.dtype}", "real numbers")
    shape.check(name, array.shape, known)
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    if finite and not np.isfinite(array).all():
        raise refuse(name, f"{array[~np.isfinite(array)].flat[0]} among its entries", "finite numbers")
    if interval.text and (outside := interval.misses(array, known)).any():
        got = f"{array[outside].flat[0]:g} among its entries"
        raise refuse(name, got, f"every entry in {interval.show(known)}")
    return array


def probabilities(name: str, value: Any, known: Known, shape: Shape) -> Floats:
    """Return `floats` in [0, 1] whose sum is 1."""
    array = floats(name, value, known, shape, Interval("[0, 1]"))
    if abs(array.sum() - 1) > 1e-9:
        raise refuse(name, f"the sum {array.sum():g}", "1")
    return array


def bools(name: str, value: Any, known: Known, shape: Shape = ANY_SHAPE) -> Bools:
    """Return `value` as an array of bools; 0 and 1 are not taken for bools."""
    array = np.asarray(value)
    if array.dtype.kind != "b":
        raise refuse(name, f"an array of {array.dtype}", "an array of bool")
    shape.check(name, array.shape, known)
    return array


def ints(name: str, value: Any, known: Known, shape: Shape = ANY_SHAPE, below: str | None = None) -> Ints:
    """Return `value` as an array of whole numbers >= 0, and less than the size called `below`."""
    array = np.asarray(value)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise refuse(name, f"an array of {array.dtype}", "whole numbers")
    shape.check(name, array.shape, known)
    outside = (array < 0) if below is None else (array < 0) | (array >= known[below])
    if outside.any():
        wanted = "whole numbers >= 0" if below is None else f"whole numbers from 0 to {known[below] - 1}"
        raise refuse(name, f"{array[outside].flat[0]} among its entries", wanted)
    return array


def number(name: str, value: Any, known: Known, interval: Interval = ANYWHERE) -> float:
    """Return `value` as a Python float if it is finite and lies in the interval."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise refuse(name, repr(value), f"a number in {interval.show(known)}")
    if not math.isfinite(value) or interval.misses(value, known):
        raise refuse(name, f"{value:g}", f"a number in {interval.show(known)}")
    return float(value)


def count(name: str, value: Any, least: int = 1) -> int:
    """Return `value` as a Python int if it is a whole number >= `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise refuse(name, repr(value), f"a whole number >= {least}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise refuse(name, repr(value), "True or False")
    return bool(value)


def choice(name: str, value: Any, allowed: list[str]) -> str:
    """Return `value` if it is one of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise refuse(name, repr(value), "one of " + ", ".join(allowed))
    return value


def axes(name: str, value: Any, known: Known, shape: Shape) -> tuple[int, ...]:
    """Return `value`, itself the shape of an array, if it is one such as `shape`."""
    if not isinstance(value, tuple):
        raise refuse(name, repr(value), f"a tuple {shape.show(known)}")
    sizes = tuple(count(name, size, 0) for size in value)
    shape.check(name, sizes, known)
    return sizes


def generator(name: str, value: Any) -> np.random.Generator:
    """Return `value` if it is a NumPy generator: randomness is an argument and never global."""
    if not isinstance(value, np.random.Generator):
        raise refuse(name, repr(value), "a numpy.random.Generator, for example numpy.random.default_rng(0)")
    return value
