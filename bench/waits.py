"""What a user waits for beside the training steps: start, corpora, evaluation; and workers against threads.

Wall time, as a user sees it, and so at the mercy of whatever else runs on the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from bench.cases import TABLE_IV_ARCHS, Case
from bench.together import steps_a_second
from zoo.core.errors import UserError
from zoo.core.processes import cores
from zoo.grid.worker import work
from zoo.studies.run import plan, results_of
from zoo.studies.study import Study, Where

STARTS = (["-m", "zoo.ablate", "--help"], ["-m", "zoo.bench", "--help"], ["-c", "import uegr_ref"])
LOAD = """
import json, sys, time
from pathlib import Path
began = time.perf_counter()
from zoo.text import TextSettings, load_corpus
imported = time.perf_counter()
name, data, cache = sys.argv[1:]
corpus = load_corpus(name, TextSettings(), Path(data) if data else None, Path(cache))
rows = sum(len(part) for part in corpus.parts.values())
loaded = time.perf_counter() - imported
print(json.dumps({"rows": rows, "language": corpus.language, "import": imported - began, "seconds": loaded}))
"""


def measure_waits(
    corpora: Sequence[str], data_dir: Path | None, rounds: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """All waits, each from processes of their own."""
    with tempfile.TemporaryDirectory(prefix="uegr-") as out:
        evaluation = _evaluation(_demo(out), report)
    return {
        "cores": cores(),
        "start": [_start(command, rounds, report) for command in STARTS],
        "corpora": [_corpus(name, data_dir, report) for name in corpora],
        "evaluation": evaluation,
        "processes": [_processes(arch, max(1, rounds // 3), report) for arch in TABLE_IV_ARCHS],
    }


def _start(command: list[str], rounds: int, report: Callable[[str], None]) -> dict[str, Any]:
    report(" ".join(command))
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return {"command": " ".join(["python", *command]), "seconds": median(times), "longest": max(times)}


def _corpus(name: str, data_dir: Path | None, report: Callable[[str], None]) -> dict[str, Any]:
    """Prepared for the first time, with an empty cache, and again by another process."""
    found = []
    with tempfile.TemporaryDirectory(prefix="uegr-") as cache:
        for what in ("first time", "again"):
            report(f"{name}, {what}")
            command = [sys.executable, "-c", LOAD, name, str(data_dir or ""), cache]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            if answer.returncode != 0:
                raise UserError(answer.stderr.strip().rpartition("\n")[2])
            found.append(json.loads(answer.stdout))
    first, again = found
    return {
        "corpus": name,
        "language": first["language"],
        "rows": first["rows"],
        "first_seconds": first["seconds"],
        "again_seconds": again["seconds"],
    }


def _demo(out: str) -> Study:
    return Study.of(
        "demo",
        {"corpora": ["bbc_news"], "archs": TABLE_IV_ARCHS, "recipes": ["standard", "uegr"]},
        places=Where(out=out, device="cpu", jobs=1),
    )


def _evaluation(study: Study, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Share of each cell of a study, run anew, that goes into validation, test and the test under attack."""
    planned = plan(study, report)
    jobs = [job for job in planned.jobs if not job.is_reference]
    work(jobs, planned.places, lambda event: report(jobs[event[1]].id), planned.pending)
    rows = []
    for result in results_of(replace(planned, jobs=jobs)):
        total = result.seconds["total"]
        rows.append(
            {
                "arch": result.cell.arch,
                "recipe": result.cell.recipe,
                "total": total,
                "share": result.seconds["evaluate"] / total,
            }
        )
    return rows


def _processes(arch: str, rounds: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Two workers of one thread against one of two, in turn."""
    case, steps = Case(arch, "uegr", 64), 40
    workers, threads = [], []
    for _ in range(rounds):
        report(f"{arch}, two processes of one thread")
        workers.append(steps_a_second(case, 2, 1, steps))
        report(f"{arch}, one process of two threads")
        threads.append(steps_a_second(case, 1, 2, steps))
    gains = [a / b for a, b in zip(workers, threads, strict=True)]
    return {
        "arch": arch,
        "two_processes": median(workers),
        "two_threads": median(threads),
        "gain": median(gains),
        "gains": sorted(gains),
    }
