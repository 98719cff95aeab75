"""On a machine with a GPU and no registry: the tests of the GPU's path, its cost, a part of a grid, in turns.

Each part is a command of its own with a share of the time, and what it says is kept beside what it makes. A
part that fails costs the others nothing. Nothing is installed: a pack (`zoo.ablate pack`) has the corpora.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zoo.core.command import CommandParser, say
from zoo.core.errors import UserError, write_whole
from zoo.core.options import lookup
from zoo.grid.mps import CONTROL
from zoo.grid.pack import CACHE, DATA

# Shares of the time; the cells get what is left of it.
SHARES = {"tests": 0.3, "gpu": 0.4}
PARTS = (*SHARES, "cells")
CELLS = 4  # at a time on the card, each with its state kept: a guess, until `zoo.bench gpu` has said
GRACE = 20.0  # seconds beyond its minutes, after which a part is ended
NEEDED = ("torch", "numpy", "sklearn", "scipy", "filelock", "rich", "pytest", "hypothesis")
MEANING = {0: "done", 3: "goes on with the same command", 124: "ended by the clock", None: "no time left"}
Run = Callable[[Sequence[str], Path, float], int]


def machine() -> dict[str, Any]:
    """What is there: the GPU, its libraries, MPS, and which packages are not."""
    import torch

    gpu = torch.cuda.is_available()
    return {
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if gpu else None,
        "mps": shutil.which(CONTROL) is not None,
        "missing": [name for name in NEEDED if importlib.util.find_spec(name) is None],
    }


def commands(pack: Path, out: Path, device: str, minutes: float) -> dict[str, list[str]]:
    """Each part's command line, behind the interpreter, where it has so many minutes.

    Raises:
        UserError: the pack has no study, or several.
    """
    studies = sorted((pack / "studies").glob("*.json"))
    if len(studies) != 1:
        raise UserError(f"{pack}: {len(studies)} studies; expected the folder of one `zoo.ablate pack`")
    most = f"{minutes:.2f}"
    shared = ["--cells-per-gpu", str(CELLS)] if device == "cuda" else []
    return {
        "tests": ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/zoo/training/test_graphs.py"],
        "gpu": ["-m", "zoo.bench", "gpu", "--minutes", most, "--out", str(out / "gpu.json")],
        "cells": [
            "-m", "zoo.ablate", "--study", str(studies[0]), "--data-dir", str(pack / DATA), "--cache-dir",
            str(pack / CACHE), "--out", str(out / "results"), "--device", device, *shared, "--minutes", most,
        ],
    }  # fmt: skip


def run_away(
    pack: Path,
    out: Path,
    device: str,
    minutes: float,
    parts: Sequence[str],
    report: Callable[[str], None],
    run: Run | None = None,
) -> dict[str, Any]:
    """{"machine", "parts": one of {"part", "command", "code", "seconds"} each} of what was run.

    Args:
        minutes: of all parts together, from the call on.
        run: runs a command line, its output into a file, for at most so many seconds; gives its exit code.
    """
    out.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = []
    began = time.monotonic()
    for part in parts:
        left = minutes - (time.monotonic() - began) / 60
        own = min(left, SHARES.get(part, 1.0) * minutes) if part != parts[-1] else left
        line = commands(pack, out, device, max(own, 0.01))[part]
        if own <= 0:
            found.append({"part": part, "command": line, "code": None, "seconds": 0.0})
            continue
        report(f"{part}: at most {own:.1f} minutes, its output in {out / part}.txt")
        started = time.monotonic()
        code = (run or _run)(line, out / f"{part}.txt", 60 * own + GRACE)
        found.append({"part": part, "command": line, "code": code, "seconds": time.monotonic() - started})
    return {"machine": machine(), "parts": found}


def _run(line: Sequence[str], said: Path, seconds: float) -> int:
    with said.open("w", encoding="utf-8") as file:
        try:
            return subprocess.run(
                [sys.executable, *line], stdout=file, stderr=subprocess.STDOUT, timeout=seconds, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return 124


def as_text(found: dict[str, Any]) -> str:
    """The machine, then what was run, a line a part."""
    here = found["machine"]
    lines = [
        f"{here['gpu'] or 'no GPU'}, torch {here['torch']}, CUDA {here['cuda']}, cuDNN {here['cudnn']}, MPS "
        + ("found" if here["mps"] else "missing")
    ]
    if here["missing"]:
        lines.append(f"not installed: {', '.join(here['missing'])}")
    for part in found["parts"]:
        what = MEANING.get(part["code"], f"failed, exit code {part['code']}")
        lines.append(f"{part['part']:6} {part['seconds']:6.0f} s  {what}")
    return "\n".join(lines)


def exit_code(found: dict[str, Any]) -> int:
    """0, or 3 where cells are left, or 1 where a part failed."""
    codes = {part["code"] for part in found["parts"]}
    return 1 if codes - {0, 3, None} else 3 if codes & {3, None} else 0


def main(arguments: Sequence[str]) -> int:
    """`python -m zoo.bench away`; returns the exit code."""
    parser = CommandParser(
        prog="python -m zoo.bench away",
        description="On a machine with a GPU and no registry, in one turn of so many minutes: the tests of "
        "the GPU's path, what steps cost there, and as much of a packed grid as fits.",
    )
    parser.add_argument("pack", type=Path, help="the folder that zoo.ablate pack made")
    parser.add_argument("--out", type=Path, default=Path("runs/away"), help="results (default: runs/away)")
    parser.add_argument("--minutes", type=float, default=9.0, help="of all parts together (default 9)")
    parser.add_argument("--parts", nargs="+", help="some of tests, gpu, cells, in this order (default: all)")
    parser.add_argument("--device", default="cuda", help="of the cells (default cuda; cpu to try the sheet)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    parts = options.parts or list(PARTS)
    for part in parts:
        lookup(dict.fromkeys(PARTS), part, "part")
    if not options.minutes > 0:
        raise UserError(f"--minutes {options.minutes}: expected more than 0")
    commands(options.pack, options.out, options.device, options.minutes)
    found = run_away(options.pack, options.out, options.device, options.minutes, parts, say)
    write_whole(options.out / "away.json", f"{json.dumps(found, indent=1)}\n".encode())
    print(json.dumps(found) if options.json else as_text(found))
    return exit_code(found)
