"""How the cost of a step grows: one size varied at a time, a straight line fitted to each series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bench.cases import TABLE_IV_ARCHS, Case, Feed, make_trainee
from bench.timing import interleaved, timed
from zoo.fast.memory import keep_freed_memory
from zoo.method.step import train_step

FACTORS: dict[str, tuple[int, ...]] = {
    "length": (16, 32, 64, 128, 256, 400),
    "vocabulary": (5_000, 10_000, 30_000, 60_000, 100_000),
    "classes": (2, 15, 119, 500, 1_000),
    "batch": (4, 8, 16, 32, 64),
    "K": (1, 2, 3, 4, 5),
}
BASE_LENGTH = 64
WORDS_TOO = ("sites", ("embedding", "pooled"))  # dropout before the trunk: K passes need K trunks


def measure_growth(rounds: int, report: Callable[[str], None]) -> dict[str, Any]:
    """{"growth": points by factor and series, "base": the sizes that stay}."""
    keep_freed_memory()
    points = []
    for factor, values in FACTORS.items():
        for arch in TABLE_IV_ARCHS:
            report(f"{factor}, {arch}")
            steps, keys = {}, {}
            for series, case in _series(arch, factor).items():
                for value in values:
                    name = f"{series} {value}"
                    keys[name] = (series, value)
                    steps[name] = timed(_step(_with(case, factor, value)))
            for name, times in interleaved(steps, rounds).items():
                low, middle, high = times.spread()
                series, value = keys[name]
                points.append(
                    {"factor": factor, "arch": arch, "series": series, "value": value, "ms": middle,
                     "quartiles": [low, high]}
                )  # fmt: skip
    base = Case("", "", BASE_LENGTH)
    return {
        "growth": points,
        "base": {key: getattr(base, key) for key in ("length", "batch", "vocabulary", "classes", "sizes")},
    }


def _series(arch: str, factor: str) -> dict[str, Case]:
    plain, uegr = (Case(arch, recipe, BASE_LENGTH) for recipe in ("standard", "uegr"))
    if factor == "K":
        return {"uegr": uegr, "uegr, words dropped too": replace(uegr, changes=(WORDS_TOO,))}
    return {"standard": plain, "uegr": uegr}


def _with(case: Case, factor: str, value: int) -> Case:
    if factor == "K":
        return replace(case, changes=(*case.changes, ("adversarial", value)))
    sizes: dict[str, Any] = {factor: value}
    return replace(case, **sizes)


def _step(case: Case) -> Callable[[], object]:
    (trainee, optimizer), feed = make_trainee(case), Feed(case)
    return lambda: train_step(trainee, feed(), optimizer)


def fit(values: list[float], milliseconds: list[float]) -> tuple[float, float, float]:
    """Least squares of relative errors: ms = a + b x -> (a, b, largest relative error of the line)."""
    x, y = np.asarray(values, float), np.asarray(milliseconds, float)
    rows = np.stack([np.ones_like(x), x], 1) / y[:, None]
    (a, b), *_ = np.linalg.lstsq(rows, np.ones_like(y), rcond=None)
    return float(a), float(b), float(np.abs((a + b * x) / y - 1).max())


def by_series(points: list[dict[str, Any]]) -> dict[tuple[str, str, str], list[tuple[float, float]]]:
    """(factor, arch, series) -> [(value, ms)]."""
    found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for point in points:
        key = point["factor"], point["arch"], point["series"]
        found.setdefault(key, []).append((point["value"], point["ms"]))
    return found
