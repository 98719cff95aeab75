"""Steps on a GPU: ordinary ones against replayed CUDA graphs, cells side by side, and Table IV from that.

Not yet run on a GPU (docs/performance.md); on a CPU the tests run it with a stand-in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import torch

from bench.cases import Case, check
from bench.replayed import MakeRecorder, Replayed
from bench.together import steps_a_second
from zoo.core.errors import UserError
from zoo.recipes import TABLE_IV
from zoo.training.graphs import CudaRecorder

STEPS = 50  # of one timing
# Steps of ten epochs in batches of 16 over the paper's corpora, and the length measured that stands for them.
TABLE_IV_STEPS = {
    "imdb": (15_630, 256),
    "ag_news": (75_000, 64),
    "tnews": (33_350, 32),
    "iflytek": (7_590, 256),
}

Report = Callable[[str], None]


def measure_gpu(
    archs: Sequence[str],
    lengths: Sequence[int],
    sizes: str,
    cells: Sequence[int],
    rounds: int,
    report: Report,
) -> dict[str, Any]:
    """{"gpu": device, steps, cells side by side, estimate of Table IV}.

    Raises:
        UserError: there is no GPU.
    """
    if not torch.cuda.is_available():
        raise UserError("gpu: torch sees no GPU here; on a CPU use python -m zoo.bench")
    plain = [Case(arch, "standard", length, sizes=sizes) for arch in archs for length in lengths]
    check(plain)
    device = torch.device("cuda")
    rows = [row for case in plain for row in measure_shape(case, device, rounds, report)]
    together = [_together(Case(arch, "uegr", 64, sizes=sizes), cells, report) for arch in archs]
    found = {"device": torch.cuda.get_device_name(), "steps": rows, "together": together}
    return {"gpu": found | {"table_iv": estimate(rows, together)}}


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
    """Steps a second of all cells together, by how many processes share the card."""
    rates = {}
    for count in sorted({1, *cells}):
        report(f"{case.arch}: {count} cells at once")
        rates[count] = steps_a_second(case, count, 1, 4 * STEPS, device="cuda")
    return {"arch": case.arch, "length": case.length, "steps_a_second": rates}


def estimate(rows: list[dict[str, Any]], together: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Minutes that all 28 cells of each arch take (one seed, ten epochs), one at a time and side by side.

    Steps only: evaluation, recording and loading are left out.
    """
    found = []
    for entry in together:
        step = {
            (row["recipe"], row["length"]): row["step_ms"] for row in rows if row["arch"] == entry["arch"]
        }
        lengths = {length for _, length in TABLE_IV_STEPS.values()}
        if any((recipe, length) not in step for recipe in TABLE_IV for length in lengths):
            continue  # not all was measured
        seconds = sum(
            steps * step[recipe, length] / 1e3
            for steps, length in TABLE_IV_STEPS.values()
            for recipe in TABLE_IV
        )
        rates = entry["steps_a_second"]
        best = max(rates, key=rates.__getitem__)
        gain = rates[best] / rates[1]
        found.append(
            {
                "arch": entry["arch"],
                "minutes_one_at_a_time": seconds / 60,
                "cells_at_once": best,
                "minutes": seconds / 60 / gain,
            }
        )
    return found
