"""Measure cases and make the rows of the benchmark."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch

from bench.cases import Case, Feed, make_batches, make_trainee, units
from bench.parts import step_parts
from bench.timing import Measured, Times, interleaved, peak_memory_mb, ratio, timed
from bench.twin import Twin
from zoo.core.processes import cores
from zoo.fast.memory import keep_freed_memory
from zoo.method.step import train_step

Report = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How often things are run."""

    rounds: int = 9
    straightforward_rounds: int = 3  # 0 = leave it out
    part_rounds: int = 3
    masks: tuple[str, ...] = ("sort",)  # of the straightforward implementation


QUICK = Effort(rounds=5, straightforward_rounds=1, part_rounds=1)


def measure(cases: Iterable[Case], effort: Effort, report: Report) -> list[dict[str, Any]]:
    """One row a case; cases of one architecture and length are interleaved with their plain step."""
    groups: dict[tuple[str, int], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.arch, case.length), []).append(case)
    rows = []
    with Twin(torch.get_num_threads()) if effort.straightforward_rounds else nullcontext() as twin:
        for i, group in enumerate(groups.values()):
            where = f"{group[0].arch}, length {group[0].length} ({i + 1} of {len(groups)})"

            def tick(name: str, where: str = where) -> None:
                report(f"{where}: {name}")

            rows += _measure_group(group, effort, twin, tick)
    return rows


class _Ours:
    """The zoo's step of one case, ready to run."""

    def __init__(self, case: Case, feed: Feed | None = None) -> None:
        self.case, self.feed = case, feed or Feed(case, 1)
        self.memory_mb = peak_memory_mb(self._build)

    def _build(self) -> Callable[[], object]:
        self.trainee, self.optimizer = make_trainee(self.case)
        return self.step

    def step(self) -> None:
        train_step(self.trainee, self.feed(), self.optimizer)

    @property
    def name(self) -> str:
        return " ".join([self.case.recipe, *(f"{key}={value}" for key, value in self.case.changes)])


def _measure_group(
    cases: list[Case], effort: Effort, twin: Twin | None, tick: Report
) -> list[dict[str, Any]]:
    """Cases that differ only in their recipe."""
    keep_freed_memory()
    plain = replace(cases[0], recipe="standard", changes=())
    # One step of a small model loads what torch loads on first use, which is no case's memory.
    _Ours(replace(cases[0], length=30, vocabulary=100))
    feed = Feed(cases[0])
    everything = []
    for case in dict.fromkeys([plain, *cases]):
        tick(f"{case.recipe}, building")
        everything.append(_Ours(case, feed))
    times = interleaved({ours.name: timed(ours.step) for ours in everything}, effort.rounds, tick=tick)
    parts = {o.name: step_parts(o.trainee, o.optimizer, feed, effort.part_rounds) for o in everything}
    base, data_ms = everything[0].name, _data_milliseconds(cases[0])
    optimizer = parts[base]["optimizer"]
    rows = []
    for ours in everything:
        if ours.case not in cases:
            continue
        shares = ours.trainee.shares_trunk
        floor = units(ours.case, shares) * (median(times[base].cpu) - optimizer) + optimizer
        row = _row(ours.case, times[ours.name], times[base], shares, floor)
        row["shares_start"] = shares or ours.trainee.sites.repeats
        row["parts_ms"] = parts[ours.name] | {"data": data_ms}
        row["peak_memory_mb"] = ours.memory_mb
        if twin is not None:
            tick(f"{ours.name}, straightforward")
            row |= _against_straightforward(ours, effort, twin)
        rows.append(row)
    return rows


def _row(case: Case, times: Times, plain: Times, shares_trunk: bool, floor: float) -> dict[str, Any]:
    low, middle, high = times.spread()
    ratios = ratio(times, plain)
    return {
        "arch": case.arch,
        "recipe": case.recipe,
        "changes": dict(case.changes),
        "length": case.length,
        "batch": case.batch,
        "vocabulary": case.vocabulary,
        "classes": case.classes,
        "sizes": case.sizes,
        "step_ms": middle,
        "step_ms_quartiles": [low, high],
        "step_wall_ms": median(times.wall),
        "examples_per_second": 1e3 * case.batch / middle,
        "ratio_to_plain": ratios[1],
        "ratio_to_plain_quartiles": [ratios[0], ratios[2]],
        "units": units(case, shares_trunk),
        "shares_trunk": shares_trunk,
        "floor_ms": floor,
        "floor_share": floor / middle,
        "rounds": len(times.cpu),
        "ratio_straightforward_to_this": None,
    }


def _against_straightforward(ours: _Ours, effort: Effort, twin: Twin) -> dict[str, Any]:
    """Both in turn; further forms of the mask only where there is one."""
    found: dict[str, Any] = {}
    for mask in effort.masks if ours.trainee.backward is not None else effort.masks[:1]:
        name = "straightforward" if mask == effort.masks[0] else f"straightforward_{mask}"
        memory = twin.take(ours.case, mask)
        steps: dict[str, Measured] = {"ours": timed(ours.step), "slow": twin.step}
        times = interleaved(steps, effort.straightforward_rounds, warm_up=1)
        low, middle, high = ratio(times["slow"], times["ours"])
        found |= {
            f"{name}_ms": times["slow"].spread()[1],
            f"{name}_parts_ms": twin.parts(effort.part_rounds),
            f"{name}_peak_memory_mb": memory,
            f"ratio_{name}_to_this": middle,
            f"ratio_{name}_to_this_quartiles": [low, high],
        }
    return found


def _data_milliseconds(case: Case, count: int = 8) -> float:
    """Median thread CPU time of making one batch."""
    source = make_batches(case, count)
    next(source)  # the first one also sorts the epoch
    times = []
    for _ in range(count - 1):
        began = time.thread_time()
        next(source)
        times.append(1e3 * (time.thread_time() - began))
    return median(times)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],  # of the last minute: what else ran
        "cores": cores(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
