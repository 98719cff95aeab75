"""Is this the gradient? A central difference along random directions, two calls of the function each.

    (f(x + h d) - f(x - h d)) / 2h  =  <gradient, d> + O(h^2),   d ~ N(0, I)

One random direction sees all entries at once, so the cost does not grow with their number, and an error is
missed only where d happens to be orthogonal to it. The step h suits the precision of x.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .support.checks import Floats
from .support.contract import contract

TOLERANCE = 1e-6


@contract(f="function", x="floats (...)", gradient="floats (...)", rng="generator", directions="count")
def gradient_error(
    f: Callable[[Floats], float],
    x: Floats,
    gradient: Floats,
    rng: np.random.Generator,
    directions: int = 3,
) -> float:
    """Largest |difference - <gradient, d>| over a few d, in units of ||gradient||, the size of <gradient, d>.

    f: from an array like x to a number; x, gradient: of one shape, any. Differences that rounding of f (taken
    to be of size 1 at least) explains count as 0. A good float64 gradient gives 1e-9, one 0.1 % off 1e-3.
    """
    precision = float(np.finfo(x.dtype).eps)
    scale = float(np.sqrt(np.mean(x * x))) if x.size else 0.0
    h = precision ** (1 / 3) * max(scale, 1)
    worst = 0.0
    for _ in range(directions):
        d = rng.standard_normal(x.shape).astype(x.dtype)
        up, down = f(x + h * d), f(x - h * d)
        off = abs((up - down) / (2 * h) - float(np.sum(gradient * d)))
        rounding = 10 * precision * max(abs(up), abs(down), 1) / h
        size = max(float(np.sqrt(np.sum(gradient * gradient))), abs(up - down) / (2 * h))
        worst = max(worst, (off - rounding) / size if off > rounding else 0.0)
    return worst


@contract(
    f="function",
    x="floats (...)",
    gradient_of="function to floats (...)",
    rng="generator",
    tolerance="number in (0, inf)",
)
def check_gradient(
    f: Callable[[Floats], float],
    gradient_of: Callable[[Floats], Floats],
    x: Floats,
    rng: np.random.Generator,
    tolerance: float = TOLERANCE,
) -> None:
    """Raise an AssertionError where `gradient_of(x)` is not the gradient of `f` at x.

    >>> check_gradient(lambda x: float(x @ x), lambda x: 2 * x, [1.0, 2.0], np.random.default_rng(0))
    """
    error = gradient_error(f, x, gradient_of(x), rng)
    if not error <= tolerance:
        name = getattr(gradient_of, "__name__", "gradient")
        raise AssertionError(
            f"{name}: off by {error:.2g} of its size along a random direction, allowed {tolerance:g}"
        )
