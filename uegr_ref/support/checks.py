"""Arguments are checked where they come in: a `ValueError` says which one, what it got, what it wants.

A shape is written as a tuple of letters (any size) and numbers (exactly this size), so ("B", "T", 3) is any
stack of 3-vectors. Nothing is ever broadcast to fit.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

# To a type checker these are float64; at run time they are float32 wherever the arguments are.
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.integer[Any]]
Shape: TypeAlias = tuple[str | int, ...]


def _refuse(name: str, got: object, wanted: str) -> ValueError:
    return ValueError(f"{name}: got {got}, wanted {wanted}")


def _show(shape: Shape) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _has_shape(name: str, array: NDArray[Any], shape: Shape | None) -> None:
    if shape is None:
        return
    fits = array.ndim == len(shape) and all(
        isinstance(wanted, str) or got == wanted for got, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise _refuse(name, f"shape {_show(array.shape)}", f"shape {_show(shape)}")


def floats(name: str, value: ArrayLike, shape: Shape | None = None, finite: bool = True) -> Floats:
    """Return `value` as an array of floats of that shape; float32 stays, whole numbers become float64."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise _refuse(name, f"an array of {array.dtype}", "real numbers")
    _has_shape(name, array, shape)
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    if finite and not np.isfinite(array).all():
        raise _refuse(name, f"{array[~np.isfinite(array)].flat[0]} among its entries", "finite numbers")
    return array


def within(
    name: str, value: ArrayLike, low: float, high: float, shape: Shape | None = None, open_low: bool = False
) -> Floats:
    """Return `floats(value)` if all entries lie in [low, high], or in (low, high] with `open_low`."""
    array = floats(name, value, shape)
    outside = ((array <= low) if open_low else (array < low)) | (array > high)
    if outside.any():
        wanted = f"every entry in {'(' if open_low else '['}{low:g}, {high:g}]"
        raise _refuse(name, f"{array[outside].flat[0]:g} among its entries", wanted)
    return array


def bools(name: str, value: ArrayLike, shape: Shape | None = None) -> Bools:
    """Return `value` as an array of bools of that shape; 0 and 1 are not taken for bools."""
    array = np.asarray(value)
    if array.dtype.kind != "b":
        raise _refuse(name, f"an array of {array.dtype}", "an array of bool")
    _has_shape(name, array, shape)
    return array


def ints(name: str, value: ArrayLike, shape: Shape, below: int | None = None) -> Ints:
    """Return `value` as an array of whole numbers >= 0 (and < `below`) of that shape."""
    array = np.asarray(value)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise _refuse(name, f"an array of {array.dtype}", "whole numbers")
    _has_shape(name, array, shape)
    outside = (array < 0) if below is None else (array < 0) | (array >= below)
    if outside.any():
        wanted = "whole numbers >= 0" if below is None else f"whole numbers from 0 to {below - 1}"
        raise _refuse(name, f"{array[outside].flat[0]} among its entries", wanted)
    return array


def number(
    name: str,
    value: float,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return `value` as a Python float if it is finite and lies in the interval."""
    wanted = f"a number in {'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise _refuse(name, repr(value), wanted)
    above = value > low if open_low else value >= low
    below = value < high if open_high else value <= high
    if not (math.isfinite(value) and above and below):
        raise _refuse(name, f"{value:g}", wanted)
    return float(value)


def count(name: str, value: int, least: int = 1, most: int | None = None) -> int:
    """Return `value` as a Python int if it is a whole number >= `least` (and <= `most`)."""
    fits = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not fits or value < least or (most is not None and value > most):
        wanted = f"a whole number >= {least}" + ("" if most is None else f" and <= {most}")
        raise _refuse(name, repr(value), wanted)
    return int(value)


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of `allowed`."""
    if value not in allowed:
        raise _refuse(name, repr(value), "one of " + ", ".join(allowed))
    return value


def generator(rng: np.random.Generator) -> np.random.Generator:
    """Return `rng` if it is a NumPy generator: randomness is an argument and never global."""
    if not isinstance(rng, np.random.Generator):
        raise _refuse("rng", repr(rng), "a numpy.random.Generator, for example numpy.random.default_rng(0)")
    return rng


def real_tokens(mask: ArrayLike | None, shape: tuple[int, int]) -> Bools:
    """Return the (B, T) mask of real tokens; without a mask every position is one."""
    return np.ones(shape, dtype=bool) if mask is None else bools("mask", mask, shape)
