"""A property of some functions: called with them, it draws input and raises `Broken` where it fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ...gradcheck import TOLERANCE, gradient_error
from ...support.checks import Floats

Function: TypeAlias = Callable[..., Any]


class Broken(AssertionError):
    """A property that does not hold, in words; `got` is None where the words say all."""

    def __init__(self, what: str, wanted: str | None = None, got: str | None = None) -> None:
        super().__init__(what if wanted is None else f"{what} should be {wanted}, got {got}")
        self.what, self.wanted, self.got = what, wanted, got


class Law:
    """`says`: the property in a sentence. The drawn values follow the functions under test."""

    def __init__(self, body: Function, strategies: tuple[st.SearchStrategy[Any], ...]) -> None:
        self.name, self.body, self.strategies = body.__name__, body, strategies
        self.says = (inspect.getdoc(body) or "").split("\n\n")[0].replace("\n", " ")

    def __call__(self, *under_test: Any, before: Callable[[], None] = lambda: None) -> None:
        """Try it on as many examples as hypothesis's current profile says; `before` runs before each."""

        def example(drawn: tuple[Any, ...]) -> None:
            before()
            self.body(*under_test, *drawn)

        example.__name__ = example.__qualname__ = self.name
        if self.strategies:
            given(drawn=st.tuples(*self.strategies))(example)()
        else:
            example(())


def law(*strategies: st.SearchStrategy[Any]) -> Callable[[Function], Law]:
    """The property that a function states, on values drawn from the strategies."""
    return lambda body: Law(body, strategies)


def holds(condition: object, words: str) -> None:
    """Raise `words` where the condition is false."""
    if not condition:
        raise Broken(words)


def agree(what: str, got: Any, wanted: Any, rtol: float = 1e-5, atol: float = 1e-8) -> None:
    """`got` has the shape of `wanted` and its values, to rounding; with rtol = atol = 0 exactly."""
    if not isinstance(got, (int, float, np.ndarray, np.generic)):
        raise Broken(what, shown(wanted), "nothing (None)" if got is None else repr(got)[:60])
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.shape != wanted.shape:
        raise Broken(f"the shape of {what}", str(wanted.shape), str(got.shape))
    off = ~np.isclose(got, wanted, rtol, atol)
    if off.any():
        if got.size > 6:  # too long for a line: the first entry that is off
            place = tuple(int(i) for i in np.argwhere(off)[0])
            what, got, wanted = f"entry {list(place)} of {what}", got[place], wanted[place]
        texts = shown(wanted), shown(got)
        raise Broken(what, *(texts if texts[0] != texts[1] else (shown(wanted, 17), shown(got, 17))))


def is_gradient(gradient_of: Function, f: Function, x: Floats, rng: np.random.Generator) -> None:
    """`gradient_of` is the gradient of `f` at x, by central differences along random directions."""
    gradient = gradient_of(x)
    what = "the gradient"
    if not isinstance(gradient, np.ndarray) or gradient.shape != x.shape:
        got = "nothing (None)" if gradient is None else f"{np.shape(gradient)}"
        raise Broken(f"the shape of {what}", str(x.shape), got)
    if not np.isfinite(gradient).all():
        raise Broken(what, "finite", shown(gradient[~np.isfinite(gradient)][0]))
    error = gradient_error(f, x, gradient, rng)
    if not error <= TOLERANCE:
        raise Broken(
            f"{what} against differences of the function, along a random direction,", "equal",
            f"a slope that is off by {percent(error)} of the gradient's size",
        )  # fmt: skip


def percent(share: float) -> str:
    """A share as a reader would write it: 0.32 %, 110 %."""
    return f"{100 * share:,.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def shown(value: Any, digits: int = 4) -> str:
    """A number or a small array as a reader would write it."""
    array = np.asarray(value)
    if array.dtype.kind == "f":
        listed = np.vectorize(lambda x: f"{x:.{digits}g}", otypes=[object])(array)
    else:
        listed = array
    return str(listed.tolist()).replace("'", "")
