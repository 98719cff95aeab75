"""Steps on a GPU: ordinary ones against replayed CUDA graphs, cells side by side, and Table IV from that.

Not yet run on a GPU (docs/performance.md); on a CPU the tests run it with a stand-in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from statistics import median
from typing import Any

import torch

from bench.cases import SIZES, Case, make_split, make_trainee
from bench.together import steps_a_second
from zoo.core.errors import UserError
from zoo.core.options import lookup
from zoo.fast.shapes import demand_fixed_shapes
from zoo.recipes import TABLE_IV
from zoo.settings import ARCHS, TrainSettings
from zoo.training.graphs import CudaRecorder, GraphedSteps, Recorder
from zoo.training.resident import Resident

STEPS = 50  # of one timing
# Steps of ten epochs in batches of 16 over the paper's corpora, and the length measured that stands for them.
TABLE_IV_STEPS = {
    "imdb": (15_630, 256),
    "ag_news": (75_000, 64),
    "tnews": (33_350, 32),
    "iflytek": (7_590, 256),
}

MakeRecorder = Callable[[torch.device, torch.Generator], Recorder]
Report = Callable[[str], None]


class Replayed:
    """Training steps of a case on a device, recorded or ordinary, over a few batches of one shape."""

    def __init__(
        self, case: Case, device: torch.device, record: bool, recorder: MakeRecorder = CudaRecorder
    ) -> None:
        generator = torch.Generator(device).manual_seed(1)
        trainee, _ = make_trainee(case, device, generator)
        line = SIZES[case.sizes].words_per_sentence if case.arch == "han" else 0
        split = Resident.of(make_split(case, 8), device, line)
        self.recorder = recorder(device, generator) if record else None
        self.steps = GraphedSteps(trainee, TrainSettings(), split, 1_000_000, self.recorder)
        self.batches = list(split.plan(case.batch))
        self.device = device

    def run(self, count: int) -> float:
        """Wall seconds of so many steps, with one wait for the device at the end."""
        scope = self.recorder.scope() if self.recorder else nullcontext()
        self._wait()
        began = time.perf_counter()
        with scope, demand_fixed_shapes():
            for i in range(count):
                self.steps.step(*self.batches[i % len(self.batches)])
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


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
    lookup(SIZES, sizes, "sizes")
    for arch in archs:
        lookup(dict.fromkeys(ARCHS), arch, "arch")
    device = torch.device("cuda")
    rows = []
    for arch in archs:
        for length in lengths:
            rows += measure_shape(Case(arch, "standard", length, sizes=sizes), device, rounds, report)
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
