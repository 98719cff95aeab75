"""The parts of docs/performance.md about waiting and about GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.files import read
from bench.table import table
from zoo.report.blocks import Block, Text

START_GOAL, CORPUS_GOAL, EVALUATION_GOAL = 0.5, 2.0, 0.05  # seconds, seconds, share of a cell
NO_GPU = (
    "**Nothing here has been measured, and the graphs themselves have never run**: no GPU was lent to the "
    "project. What runs without one is tested without one: the training is the same with a stand-in that "
    "calls the recorded function again, and every operator of every recipe has a fixed size and waits for no "
    "number. On a machine with a GPU:\n\n"
    "    python -m pytest tests/zoo/training/test_graphs.py\n"
    "    python -m zoo.bench gpu --out results/performance/gpu.json && python -m zoo.bench report"
)


def waiting(waits: dict[str, Any]) -> dict[str, list[Block]]:
    """Tables of the starts, corpora, evaluation and processes."""
    starts = [
        [row["command"], _goal(row["seconds"], START_GOAL, "s"), f"{row['longest']:.2f}"]
        for row in waits["start"]
    ]
    corpora = [
        [
            row["corpus"],
            f"{row['rows']:,}",
            f"{row['first_seconds']:.1f}",
            _goal(row["again_seconds"], CORPUS_GOAL, "s"),
        ]
        for row in waits["corpora"]
    ]
    evaluation = [
        [f"{row['arch']}, {row['recipe']}", f"{row['total']:.1f}", _share(row["share"])]
        for row in waits["evaluation"]
    ]
    processes = [
        [
            row["arch"],
            f"{row['two_processes']:.1f}",
            f"{row['two_threads']:.1f}",
            f"{row['gain']:.2f}",
            " ".join(f"{gain:.2f}" for gain in row["gains"]),
        ]
        for row in waits["processes"]
    ]
    return {
        "starts": [table(("command", "median, s", "longest, s"), starts)],
        "corpora": [table(("corpus", "texts", "first time, s", "again, s"), corpora)],
        "evaluation": [table(("cell", "in all, s", "evaluation"), evaluation)],
        "processes": [table(("arch", "two processes", "two threads", "gain", "in each round"), processes)],
    }


def same_weights(rows: list[dict[str, Any]]) -> list[Block]:
    """Whether each processor's weights are those of this one, as it is and under --portable."""
    here = rows[0]

    def same(row: dict[str, Any], how: str) -> str:
        answers = {arch: row[how]["weights"][arch] == digest for arch, digest in here[how]["weights"].items()}
        if len(set(answers.values())) == 1:
            return "the same" if all(answers.values()) else "others"
        return ", ".join(f"{arch} {'the same' if equal else 'others'}" for arch, equal in answers.items())

    lines = [
        [row["processor"], row["as_it_is"]["width"], same(row, "as_it_is"), same(row, "portable")]
        for row in rows[1:]
    ]
    return [
        Text(f"Weights against those of this processor ({here['as_it_is']['width']}), emulated by QEMU:"),
        table(("Processor", "vectors", "as it is", "--portable"), lines),
    ]


def on_a_gpu(path: Path) -> list[Block]:
    """What was measured on a GPU, or that nothing was."""
    if not path.exists():
        return [Text(NO_GPU, markup=True)]
    found = read(path)["gpu"]
    steps = [
        [
            f"{row['arch']} {row['length']} {row['recipe']}",
            f"{row['step_ms']:.3f}",
            f"{row['ratio_to_plain']:.2f}",
            f"{row['ordinary_ms']:.3f}",
            f"{row['ordinary_to_replayed']:.1f}",
        ]
        for row in found["steps"]
    ]
    together = [
        [row["arch"], how, " ".join(f"{n}: {rate:.0f}" for n, rate in counts.items())]
        for row in found["together"]
        for how, counts in row["steps_a_second"].items()
    ]
    whole = [
        [
            row["arch"],
            f"{row['minutes_one_at_a_time']:.0f}",
            f"{row['cells_at_once']} {row['in']}",
            f"{row['minutes']:.0f}",
        ]
        for row in found["table_iv"]
    ]
    step_header = ("arch, length, recipe", "replayed, ms", "x plain", "ordinary, ms", "ordinary / replayed")
    minutes = sum(row["minutes"] for row in found["table_iv"])
    return [
        Text(f"Measured on {found['device']}, wall time of 50 steps with one wait for the device, medians."),
        table(step_header, steps),
        Text("UEGR steps a second of all cells together, by cells at once:"),
        table(("arch", "in", "cells: steps a second"), together),
        Text("Table IV from that, 28 cells an arch, steps alone:"),
        table(("arch", "one at a time, minutes", "cells at once", "minutes"), whole),
        Text(f"In all {minutes:.0f} minutes."),
    ]


def _goal(value: float, goal: float, unit: str) -> str:
    return f"{value:.2f} (goal {goal:g} {unit}{'' if value <= goal else ', missed'})"


def _share(value: float) -> str:
    missed = "" if value <= EVALUATION_GOAL else f" (goal {100 * EVALUATION_GOAL:.0f} %, missed)"
    return f"{100 * value:.1f} %{missed}"
