"""Workers in processes of their own, watched by the parent: one that dies costs its cell and no more."""

from __future__ import annotations

import multiprocessing
import queue as queues
from dataclasses import replace
from typing import Any

from zoo.core.errors import UserError
from zoo.core.processes import environment
from zoo.grid.store import Store
from zoo.grid.worker import Job, Places, Send, work, worker_main


def run_grid(jobs: list[Job], places: Places, workers: int, send: Send) -> None:
    """Run what is missing of `jobs` with so many workers; events go to `send`.

    One worker runs in this process. Raises KeyboardInterrupt through; finished cells are on disk then.
    """
    store = Store(places.out)
    missing = sum(not store.done(job.id) for job in jobs)
    workers = min(workers, missing)
    if workers == 0:
        return
    if workers == 1:
        work(jobs, places, send)
        return
    _run_processes(jobs, places, workers, send)


def spread(places: Places, workers: int) -> list[Places]:
    """The places of each worker: the GPUs in turn, where there are any."""
    if places.device != "cuda":
        return [places] * workers
    import torch

    count = max(1, torch.cuda.device_count())
    return [replace(places, device=f"cuda:{i % count}") for i in range(workers)]


def _run_processes(jobs: list[Job], places: Places, workers: int, send: Send) -> None:
    context = multiprocessing.get_context("spawn")
    events: Any = context.Queue()
    # Set before the children import torch: one thread each, in every library.
    with environment({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}):
        processes = [
            context.Process(target=worker_main, args=(jobs, place, events), daemon=True)
            for place in spread(places, workers)
        ]
        for process in processes:
            process.start()
    open_cells: set[int] = set()
    try:
        while any(process.is_alive() for process in processes) or not events.empty():
            try:
                event = events.get(timeout=0.2)
            except queues.Empty:
                continue
            if event[0] == "error":
                raise UserError(event[2]["reason"])
            if event[0] == "start":
                open_cells.add(event[1])
            elif event[0] in ("done", "failed"):
                open_cells.discard(event[1])
            send(event)
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
            process.join()
    _record_lost(jobs, places, open_cells, send)


def _record_lost(jobs: list[Job], places: Places, numbers: set[int], send: Send) -> None:
    """Cells whose worker died in the middle (killed, out of memory) and that nobody finished since."""
    store = Store(places.out)
    for number in sorted(numbers):
        job = jobs[number]
        if store.done(job.id):
            continue
        reason = "its worker process died (killed, or out of memory)"
        head = {"id": job.id, "cell": job.cell.as_dict(), "settings": job.settings.as_dict()}
        store.write(head | {"corpus": job.corpus_info, "status": "failed", "reason": reason})
        send(("failed", number, {"reason": reason}))
