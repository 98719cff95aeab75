"""What a grid costs beside its cells, by their number: planning, claiming, telling, resuming, reporting.

Every size gets a folder of made-up results, which is deleted again. Nothing is trained.
"""

from __future__ import annotations

import contextlib
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.core.classes import encode_classes
from zoo.core.result import DONE, Result
from zoo.grid.jobs import Job, Places
from zoo.grid.plan import plan_jobs
from zoo.grid.progress import GridProgress
from zoo.grid.store import Store, as_text
from zoo.report.files import write_report
from zoo.studies.study import Study, Where

RECIPES = ("standard", "dropout", "at", "r_drop", "uegr")
TEXTS, EPOCHS = 400, 5  # of a made-up result: a file of about 4 kB
SAMPLE = 2_000  # claims that are timed
MOST_REPORTED = 100_000  # cells


def measure_grid(sizes: tuple[int, ...], report: Callable[[str], None]) -> dict[str, Any]:
    """{"grid": a row for each number of cells}, CPU seconds, memory in MB (the peak so far)."""
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="uegr-grid-") as place:
            rows.append(_measured(size, Path(place), report))
    return {"grid": rows}


def _measured(size: int, place: Path, report: Callable[[str], None]) -> dict[str, Any]:
    row: dict[str, Any] = {"cells": size}

    @contextlib.contextmanager
    def timed(what: str) -> Iterator[None]:
        report(f"{size:,} cells: {what}")
        began = time.process_time()
        yield
        row[what] = time.process_time() - began

    with timed("plan"):
        jobs, places = _planned(size, place)
    store = Store(places.out)
    ids = [job.id for job in jobs]
    with timed("write"):
        _fill(jobs, store)
    with timed("first look"):  # each file is read and checked
        store.check()
        pending = store.pending(ids, lambda facts: facts.done)
    assert not pending
    with timed("resume"):  # what the same command does from then on
        store.check()
        pending = store.pending(ids, lambda facts: facts.done)
    with timed("claim"):
        for cell_id in ids[:SAMPLE]:
            with store.claim(cell_id):
                store.settled(cell_id, pending)
    row["claim"] *= len(ids) / min(len(ids), SAMPLE)
    with timed("tell"):
        _tell(jobs)
    with timed("read"):
        read = sum(result.done for result in store.cells())
    assert read == len(jobs)
    if size <= MOST_REPORTED:
        with timed("report"):
            write_report(place / "report", store.cells())
    row["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return row


def _planned(size: int, place: Path) -> tuple[list[Job], Places]:
    films = place / "films.csv"
    films.write_text(
        "text,label\n" + "".join(f"{'good' if i % 2 else 'bad'} film number {i},{i % 2}\n" for i in range(60))
    )
    axes = {
        "corpora": [str(films)], "archs": ["textcnn", "texthan"], "recipes": list(RECIPES),
        "seeds": list(range(size // (2 * len(RECIPES)))),
    }  # fmt: skip
    out = Where(str(place / "out"), cache=str(place / "cache"), device="cpu")
    study = Study.of("demo", axes, changes={"epochs": EPOCHS}, places=out)
    places = Places(study.out(), cache=place / "cache")
    return plan_jobs(study, places, lambda text: None), places


def _fill(jobs: list[Job], store: Store) -> None:
    """A file for each cell, from one text: writing is not what is measured."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, TEXTS)
    store.make()
    kinds: dict[tuple[str, str], tuple[str, Job]] = {}
    for job in jobs:
        key = job.cell.arch, job.cell.recipe
        if key not in kinds:
            predictions = np.where(draw.random(TEXTS) < 0.9, truth, 1 - truth)
            kinds[key] = as_text(_result(job, truth, predictions)), job
        text, first = kinds[key]
        text = text.replace(f'"{first.id}"', f'"{job.id}"')
        text = text.replace(f'"seed": {first.cell.seed}', f'"seed": {job.cell.seed}')
        store.path(job.id).write_text(text, encoding="utf-8")


def _result(job: Job, truth: np.ndarray, predictions: np.ndarray) -> Result:
    accuracy = float((truth == predictions).mean())
    return replace(
        job.head, status=DONE, truth=encode_classes(truth), predictions=encode_classes(predictions),
        corpus=replace(job.corpus, test_rows=TEXTS), measures={"accuracy": accuracy},
        validation_accuracy=accuracy, best_epoch=1, seconds={"total": 1.0}, step_seconds=0.01,
        curve=tuple({"epoch": i, "loss": 0.5, "kept_share": 0.4} for i in range(1, EPOCHS + 1)),
    )  # fmt: skip


def _tell(jobs: list[Job]) -> None:
    """Start and end of every cell, with the time to the end each time."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stderr(nowhere),
        GridProgress(jobs, [job.id for job in jobs]) as progress,
    ):
        for number in range(len(jobs)):
            progress.send(("start", number, {}))
            progress.send(("done", number, {"accuracy": 0.5, "seconds": 1.0}))
