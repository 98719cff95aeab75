"""Measure cases and make the rows of the benchmark."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from zoo.benchmark.cases import Case, make_batch, make_split, make_straightforward, make_trainee, units
from zoo.benchmark.parts import step_parts, straightforward_parts
from zoo.benchmark.timing import Times, interleaved, peak_memory_mb, ratio
from zoo.method.step import train_step
from zoo.text import batches
from zoo.training.memory import keep_freed_memory

Report = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How often things are run."""

    rounds: int = 15
    straightforward_rounds: int = 5  # 0 = leave it out
    part_rounds: int = 5
    masks: tuple[str, ...] = ("sort",)  # of the straightforward implementation
    memory: bool = True


QUICK = Effort(rounds=5, straightforward_rounds=1, part_rounds=1, memory=False)


def measure(cases: Iterable[Case], effort: Effort, report: Report) -> list[dict[str, Any]]:
    """One row a case; cases of one architecture and length are interleaved with their plain step."""
    groups: dict[tuple[str, int], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.arch, case.length), []).append(case)
    rows = []
    for i, group in enumerate(groups.values()):
        where = f"{group[0].arch}, length {group[0].length} ({i + 1} of {len(groups)})"
        rows += _measure_group(group, effort, lambda name, where=where: report(f"{where}: {name}"))
    return rows


def _measure_group(cases: list[Case], effort: Effort, tick: Report) -> list[dict[str, Any]]:
    """Cases that differ only in their recipe."""
    keep_freed_memory()
    batch = make_batch(cases[0])
    plain = next((case for case in cases if case.settings == _plain(case).settings), _plain(cases[0]))
    everything = [plain, *(case for case in cases if case != plain)]
    names = [_name(case) for case in everything]
    memory: dict[str, float | None] = {}
    trainees: dict[str, Any] = {}
    for name, case in zip(names, everything, strict=True):

        def build(name: str = name, case: Case = case) -> Callable[[], object]:
            trainee, optimizer = trainees.setdefault(name, make_trainee(case))
            return lambda: train_step(trainee, batch, optimizer)

        tick(f"{name}, memory" if effort.memory else name)
        memory[name] = peak_memory_mb(build) if effort.memory else build() and None
    ours = interleaved(
        {name: lambda pair=trainees[name]: train_step(pair[0], batch, pair[1]) for name in names},
        dict.fromkeys(names, effort.rounds),
        tick=tick,
    )
    parts = {name: step_parts(*trainees[name], batch, effort.part_rounds) for name in names}
    data_ms = _data_milliseconds(cases[0])
    unit = parts[names[0]]["forward"] + parts[names[0]]["backward"] + parts[names[0]]["other"]
    rows = []
    for name, case in zip(names, everything, strict=True):
        if case not in cases:
            continue
        shares = trainees[name][0].shares_trunk
        floor = units(case, shares) * unit + parts[names[0]]["optimizer"]
        row = _row(case, ours[name], ours[names[0]], shares, floor)
        row["parts_ms"] = parts[name] | {"data": data_ms}
        row["peak_memory_mb"] = memory[name]
        if effort.straightforward_rounds:
            tick(f"{name}, straightforward")
            row |= _against_straightforward(case, trainees[name], batch, effort)
        rows.append(row)
    return rows


def _plain(case: Case) -> Case:
    return Case(case.arch, "standard", case.length, case.batch, case.vocabulary, case.classes, case.sizes)


def _name(case: Case) -> str:
    return " ".join([case.recipe, *(f"{key}={value}" for key, value in case.changes)])


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
        "step_wall_ms": _median(times.wall),
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


def _against_straightforward(
    case: Case, pair: tuple[Any, torch.optim.Optimizer], batch: Any, effort: Effort
) -> dict[str, Any]:
    """Both in turn; the slow twin with the allocator as it is without `keep_freed_memory`."""
    found: dict[str, Any] = {}
    for mask in effort.masks:
        if mask != effort.masks[0] and case.settings.update != "selective":
            continue
        twin = make_straightforward(case, mask)

        def slow(twin: Any = twin) -> None:
            keep_freed_memory(False)
            twin.step(batch.tokens, batch.mask, batch.labels)
            keep_freed_memory(True)

        steps = {"ours": lambda: train_step(pair[0], batch, pair[1]), "slow": slow}
        n = effort.straightforward_rounds
        times = interleaved(steps, {"ours": n, "slow": n}, warm_up=1)
        keep_freed_memory(False)
        parts = straightforward_parts(twin, batch, max(1, effort.part_rounds // 2))
        keep_freed_memory(True)
        low, middle, high = ratio(times["slow"], times["ours"])
        prefix = "straightforward" if mask == "sort" else f"straightforward_{mask}"
        found |= {
            f"{prefix}_ms": times["slow"].spread()[1],
            f"{prefix}_parts_ms": parts,
            f"ratio_{prefix}_to_this": middle,
            f"ratio_{prefix}_to_this_quartiles": [low, high],
        }
    return found


def _data_milliseconds(case: Case, count: int = 8) -> float:
    """Median thread CPU time of making one batch."""
    from zoo.benchmark.cases import SIZES

    by_sentence = SIZES[case.sizes].words_per_sentence if case.arch == "han" else 0
    split = make_split(case, count)
    source = batches(split, case.batch, seed=0, epoch=0, words_per_sentence=by_sentence)
    next(source)  # the first one also sorts the epoch
    times = []
    for _ in range(count - 1):
        began = time.thread_time()
        next(source)
        times.append(1e3 * (time.thread_time() - began))
    return _median(times)


def _median(values: list[float]) -> float:
    from statistics import median

    return median(values)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
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
