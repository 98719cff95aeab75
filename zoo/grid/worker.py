"""The grid: which cells there are, and running what is missing.

Files are the state (`zoo.grid.store`): a worker walks the list of cells, claims one that has no result,
trains it, writes its file. So any number of workers, in one runner or several, share a folder; a killed
one costs the cells it was in. Each worker computes with one thread, which makes a result the same bit for
bit whatever the number of workers (and two one-thread workers are faster than one with two threads).
"""

from __future__ import annotations

import itertools
import multiprocessing.connection
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.core.names import BASELINE
from zoo.grid.store import Store, cell_id
from zoo.recipes import Recipe
from zoo.settings import CORPUS_LENGTH, ModelSettings, TrainSettings
from zoo.text import TextSettings, load_corpus
from zoo.training.baseline import baseline_cell, corpus_info, run_baseline
from zoo.training.cell import train_cell
from zoo.training.settings import Cell, CellFailed, CellSettings

# (event, job number, payload): "start" {}, "epoch" {share, entry}, "done" {result}, "failed" {reason}
Event = tuple[str, int, dict[str, Any]]
Send = Callable[[Event], None]


@dataclass(frozen=True)
class Job:
    """One cell with all that a worker needs to run it. The reference row has one too, without a network."""

    id: str
    cell: Cell
    settings: CellSettings
    corpus_info: dict[str, Any]  # what the result says of the corpus
    source: str  # what load_corpus takes: a name or a path
    units: float  # cost in passes x tokens x epochs, for the remaining time


@dataclass(frozen=True)
class Places:
    """Where things are found and put."""

    out: Path
    data_dir: Path | None
    cache_dir: Path | None
    device: str
    graphs: bool = True  # on a GPU: replay steps as CUDA graphs


def plan_jobs(
    corpora: Iterable[str],
    archs: Iterable[str],
    recipes: dict[str, Recipe],
    seeds: Iterable[int],
    model: ModelSettings,
    train: TrainSettings,
    text: TextSettings,
    fractions: dict[str, float],
    places: Places,
    report: Callable[[str], None],
) -> list[Job]:
    """All cells of a grid, corpus by corpus; prepares (and caches) each corpus on the way.

    With `text.folds` = k there is a cell for each of the k folds. `fractions` (corpus -> share of its rows)
    comes before `text.fraction`.
    """
    jobs = []
    folds = range(text.folds) if text.folds else [0]
    for source in corpora:
        length = min(text.max_length, CORPUS_LENGTH.get(source, text.max_length))
        for fold in folds:
            settings = replace(
                text, max_length=length, fold=fold, fraction=fractions.get(source, text.fraction)
            )
            corpus = load_corpus(source, settings, places.data_dir, places.cache_dir, report)
            info = corpus_info(corpus)
            name = baseline_cell(corpus, settings)[2]
            plain = CellSettings(Recipe(), model, train, settings)
            where = fold if text.folds else None
            jobs.append(Job(name, Cell(corpus.name, "-", BASELINE, 0, where), plain, info, source, 0.0))
            for arch, seed, (name, recipe) in itertools.product(archs, seeds, recipes.items()):
                cell = Cell(corpus.name, arch, name, seed, where)
                resolved = CellSettings(recipe, model, train, settings)
                passes = recipe.ascent_steps if recipe.step == "freelb" else recipe.clean + recipe.adversarial
                jobs.append(
                    Job(
                        cell_id(cell.as_dict(), resolved.as_dict(), corpus.fingerprint),
                        cell,
                        resolved,
                        info,
                        source,
                        float(passes * len(corpus.train.ids) * train.epochs),
                    )
                )
    return jobs


def run_job(job: Job, places: Places, send: Send, number: int) -> None:
    """Train one claimed cell and write its result, also where it fails."""
    import torch

    send(("start", number, {}))
    head = {
        "id": job.id,
        "cell": job.cell.as_dict(),
        "settings": job.settings.as_dict(),
        "corpus": job.corpus_info,
    }
    try:
        corpus = load_corpus(job.source, job.settings.text, places.data_dir, places.cache_dir)
        if job.cell.recipe == BASELINE:
            _finish(run_baseline(corpus, job.settings.text), places, send, number)
            return
        device = torch.device(places.device)
        if device.index is not None:
            torch.cuda.set_device(device)
        result = train_cell(
            job.cell,
            job.settings,
            corpus,
            device,
            lambda share, entry: send(("epoch", number, {"share": share, "entry": entry})),
            places.graphs,
        )
    except (CellFailed, MemoryError) as error:
        reason = str(error) or type(error).__name__
        Store(places.out).write(head | {"status": "failed", "reason": reason})
        send(("failed", number, {"reason": reason}))
    except UserError as error:
        raise UserError(f"cell {job.id}: {error}") from error
    except Exception as error:  # a bug in one cell must not take the grid with it
        reason = f"{type(error).__name__}: {error}"
        detail = traceback.format_exc()
        Store(places.out).write(head | {"status": "failed", "reason": reason, "traceback": detail})
        send(("failed", number, {"reason": reason}))
    else:
        _finish(head | {"status": "done", **result}, places, send, number)


def _finish(result: dict[str, Any], places: Places, send: Send, number: int) -> None:
    Store(places.out).write(result)
    accuracy, seconds = result["validation_accuracy"], result["seconds"]["total"]
    send(("done", number, {"accuracy": accuracy, "seconds": seconds}))


def work(jobs: list[Job], places: Places, send: Send, tried: set[str] | None = None) -> None:
    """Run every cell that has no result and that no other worker has claimed.

    `tried` are cells not to run again even if they failed; each cell is tried once a run.
    """
    import torch

    torch.set_num_threads(1)
    store = Store(places.out)
    tried = set() if tried is None else tried
    while True:
        left = [(n, job) for n, job in enumerate(jobs) if job.id not in tried and not store.done(job.id)]
        if not left:
            return
        progressed = False
        for number, job in left:
            with store.claim(job.id) as mine:
                if not mine:
                    continue
                tried.add(job.id)
                if store.done(job.id):
                    continue
                progressed = True
                run_job(job, places, send, number)
        if not progressed:
            time.sleep(0.5)  # others hold all that is left; take over what they drop


def worker_main(jobs: list[Job], places: Places, queue: Any) -> None:
    """Entry of a spawned worker; its events go through `queue` to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(jobs, places, queue.put)
    except UserError as error:
        queue.put(("error", -1, {"reason": str(error)}))


def _end_with_parent() -> None:
    """A parent killed outright cannot end its workers; they must not go on unseen."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
