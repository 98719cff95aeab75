"""Steps on a GPU: ordinary ones against replayed CUDA graphs, cells side by side, and Table IV from that.

Not yet run on a GPU (docs/performance.md); on a CPU the tests run it with a stand-in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch

from bench.cases import Case, check
from bench.replayed import MakeRecorder, Replayed
from bench.together import lane_steps_a_second, stacked_steps_a_second, steps_a_second
from zoo.core.errors import UserError
from zoo.recipes import TABLE_IV
from zoo.training.graphs import CudaRecorder

STEPS = 50  # of one timing
# Steps of ten epochs in batches of 16 over the training parts of the paper's corpora without validation, and
# the mean width of those batches (`Resident.plan`), between the lengths that are measured.
TABLE_IV_STEPS = {
    "imdb": (14_070, 197.6),
    "ag_news": (71_880, 43.3),
    "tnews": (30_230, 16.5),
    "iflytek": (6_830, 161.3),
}

Report = Callable[[str], None]


def measure_gpu(
    archs: Sequence[str],
    lengths: Sequence[int],
    sizes: str,
    cells: Sequence[int],
    rounds: int,
    report: Report,
    minutes: float = math.inf,
) -> dict[str, Any]:
    """{"gpu": device, steps, cells side by side, estimate of Table IV, what was left out for want of time}.

    Args:
        minutes: no part is begun after so many.

    Raises:
        UserError: there is no GPU.
    """
    if not torch.cuda.is_available():
        raise UserError("gpu: torch sees no GPU here; on a CPU use python -m zoo.bench")
    plain = [Case(arch, "standard", length, sizes=sizes) for arch in archs for length in lengths]
    check(plain)
    device = torch.device("cuda")
    shapes = {
        f"{case.arch}, length {case.length}": partial(measure_shape, case, device, rounds) for case in plain
    }
    at_once = {
        f"{arch}, cells at once": partial(_together, Case(arch, "uegr", 64, sizes=sizes), cells)
        for arch in archs
    }
    steps, together, left = in_time(shapes, at_once, report, minutes)
    rows = [row for found in steps for row in found]
    named = {"device": torch.cuda.get_device_name(), "steps": rows, "together": together, "left": left}
    return {"gpu": named | {"table_iv": estimate(rows, together)}}


def in_time(
    shapes: Mapping[str, Callable[[Report], Any]],
    at_once: Mapping[str, Callable[[Report], Any]],
    report: Report,
    minutes: float,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[list[Any], list[Any], list[str]]:
    """What the parts give that were begun before `minutes` were over, and the names of the others."""
    end, left = clock() + 60 * minutes, list[str]()

    def done(parts: Mapping[str, Callable[[Report], Any]]) -> Iterator[Any]:
        for name, part in parts.items():
            if clock() < end:
                yield part(report)
            else:
                left.append(name)

    return list(done(shapes)), list(done(at_once)), left


def measure_shape(
    plain: Case, device: torch.device, rounds: int, report: Report, recorder: MakeRecorder = CudaRecorder
) -> list[dict[str, Any]]:
    """Every recipe of Table IV at one arch and length, replayed and ordinary, in turn."""
    forms: dict[tuple[str, bool], Replayed] = {}
    times: dict[tuple[str, bool], list[float]] = {}
    for recipe in TABLE_IV:
        for record in (False, True):
            report(f"{plain.arch}, length {plain.length}, {recipe}: building")
            forms[recipe, record] = Replayed(replace(plain, recipe=recipe), device, record, recorder)
            forms[recipe, record].run(STEPS)
    for _ in range(rounds):
        for key, form in forms.items():
            times.setdefault(key, []).append(1e3 * form.run(STEPS) / STEPS)
    base = times["standard", True]
    return [
        {
            "arch": plain.arch,
            "length": plain.length,
            "recipe": recipe,
            "step_ms": median(times[recipe, True]),
            "ordinary_ms": median(times[recipe, False]),
            "ratio_to_plain": median(a / b for a, b in zip(times[recipe, True], base, strict=True)),
            "ordinary_to_replayed": median(
                a / b for a, b in zip(times[recipe, False], times[recipe, True], strict=True)
            ),
        }
        for recipe in TABLE_IV
    ]


def _together(case: Case, cells: Sequence[int], report: Report) -> dict[str, Any]:
    """Steps a second of all cells together, by their number: in lanes, in processes, as one model."""
    device, rates = torch.device("cuda"), dict[str, dict[int, float]]()
    for count in sorted({1, *cells}):
        report(f"{case.arch}: {count} cells at once")
        lanes = lane_steps_a_second(case, count, 4 * STEPS, device)
        rates.setdefault("lanes", {})[count] = lanes
        processes = steps_a_second(case, count, 1, 4 * STEPS, device="cuda")
        rates.setdefault("processes", {})[count] = processes
        rates.setdefault("one model", {})[count] = stacked_steps_a_second(case, count, 4 * STEPS, device)
    return {"arch": case.arch, "length": case.length, "steps_a_second": rates}


def estimate(rows: list[dict[str, Any]], together: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Minutes that all 28 cells of each arch take (one seed, ten epochs), one at a time and side by side.

    Where seeds of one model are the fastest, it is a seed's part of theirs.

    Between two measured lengths a step is taken to cost what lies between, below the shortest as much as it.
    Steps only: evaluation, recording and loading are left out.
    """
    found = []
    for entry in together:
        own = [row for row in rows if row["arch"] == entry["arch"]]
        lengths = sorted({row["length"] for row in own})
        step = {(row["recipe"], row["length"]): row["step_ms"] for row in own}
        whole = all((recipe, length) in step for recipe in TABLE_IV for length in lengths)
        if not whole or len(lengths) < 2 or lengths[-1] < max(width for _, width in TABLE_IV_STEPS.values()):
            continue  # not all was measured
        seconds = sum(
            steps * np.interp(width, lengths, [step[recipe, length] for length in lengths]) / 1e3
            for steps, width in TABLE_IV_STEPS.values()
            for recipe in TABLE_IV
        )
        rates = entry["steps_a_second"]
        how, best = max(
            ((how, count) for how, counts in rates.items() for count in counts),
            key=lambda one: rates[one[0]][one[1]],
        )
        gain = rates[how][best] / rates[how][1]
        found.append(
            {
                "arch": entry["arch"],
                "minutes_one_at_a_time": seconds / 60,
                "cells_at_once": best,
                "in": how,
                "minutes": seconds / 60 / gain,
            }
        )
    return found
