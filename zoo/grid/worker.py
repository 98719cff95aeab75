"""One worker: walk the list of cells, claim one that has no result, train it, write its file.

Files are the state (`zoo.grid.store`), so any number of workers, in one runner or several, share a folder; a
killed one costs the cell it was in. Each worker computes with one thread, which makes a result the same bit
for bit whatever the number of workers (and two one-thread workers are faster than one with two threads).
"""

from __future__ import annotations

import multiprocessing.connection
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from zoo.core.errors import OutOfTime, UserError
from zoo.core.result import Result
from zoo.grid.jobs import Event, Job, Places, Send
from zoo.grid.store import Pending, Store
from zoo.grid.trainings import device_of, of_corpora, of_seeds, result_of
from zoo.training.cell import failed
from zoo.training.lanes import aside, run_lanes
from zoo.training.settings import CellFailed
from zoo.training.turns import forget


class DeviceLost(UserError):
    """A GPU in an error after which nothing works in this process: another one must go on."""


def work(jobs: Sequence[Job], places: Places, send: Send, pending: Pending) -> None:
    """Run every cell of `pending` that nobody has settled and that no other worker has claimed.

    A cell is tried once a run, by whichever worker: a failed one is settled too. Ends early when the time of
    the places is over; a cell that was training goes on in another run.
    """
    import torch

    torch.set_num_threads(1)
    walk = partial(_walk, jobs, places, send, pending)
    if places.lanes == 1:
        walk()
    else:
        run_lanes(places.lanes, walk, device_of(places))


def _walk(jobs: Sequence[Job], places: Places, send: Send, pending: Pending) -> None:
    store = Store(places.out)
    numbers = {job.id: n for n, job in enumerate(jobs)}
    before: list[int] = []  # what others held half a second ago
    while True:
        left = [(n, job) for n, job in enumerate(jobs) if not store.settled(job.id, pending)]
        if not left:
            return
        progressed = False
        for number, job in left:
            if places.over:
                return
            with _claimed(store, job, pending) as mine:
                if not mine:
                    continue
                progressed = True
                own = [numbers[one.id] for one in mine]
                try:
                    if job.together:
                        run_together(mine, job, places, send, own)
                    else:
                        run_job(job, places, send, number)
                except OutOfTime:
                    for each in own:
                        send(("paused", each, {}))
                    return
        if not progressed:
            held = [number for number, _ in left]
            if held == before:  # by now a worker beside this one has told of what it had just claimed
                send(("waiting", held[0], {"cells": held}))
            before = held
            with aside():
                time.sleep(0.5)  # others hold all that is left; take over what they drop


@contextmanager
def _claimed(store: Store, job: Job, pending: Pending) -> Iterator[list[Job]]:
    """The cells of a job's training that nobody has settled, claimed; none where another worker has it."""
    with ExitStack() as held:
        mine = held.enter_context(store.claim(job.claim))
        left = [one for one in job.training if mine and not store.settled(one.id, pending)]
        if job.together and job.apart:
            # A run that takes seeds one by one claims each by its own name.
            left = [o for o in left if o.id == job.claim or held.enter_context(store.claim(o.id))]
            left = [one for one in left if not store.settled(one.id, pending)]
        yield left


def run_job(job: Job, places: Places, send: Send, number: int) -> None:
    """Train one claimed cell and write its result, also where it fails.

    Raises:
        DeviceLost: the cell has failed (which is written) and taken the GPU with it.
        OutOfTime: the time of the places is over; its state is written, and no result.
        UserError: something that would fail for every cell alike, such as a full disk.
    """
    send(("start", number, {}))
    result = settle(job, places, send, number)
    Store(places.out).write(result)
    forget(places.begun, job.claim)
    _check_device(result, places)
    send(outcome(number, result))


def run_together(
    missing: Sequence[Job], job: Job, places: Places, send: Send, numbers: Sequence[int]
) -> None:
    """Train the claimed cells of one training, and write the results of those that have none.

    Args:
        numbers: of the missing cells in the list of jobs.

    Raises:
        DeviceLost, UserError: as `run_job`.
    """
    for number in numbers:
        send(("start", number, {}))
    tell = {one.id: number for one, number in zip(missing, numbers, strict=True)}
    trained, form = (missing, of_seeds) if job.apart else (job.together, of_corpora)
    results = _tried(trained, places, lambda: form(trained, places, send, tell))
    for result in results:
        if result.id in tell:
            Store(places.out).write(result)
    forget(places.begun, job.claim)
    _check_device(results[0], places)
    for result in results:
        if result.id in tell:
            send(outcome(tell[result.id], result))


def _check_device(result: Result, places: Places) -> None:
    if not result.done and _is_lost(places.device):
        raise DeviceLost(f"cell {result.id}: the GPU failed ({result.reason}); expected another run")


def _is_lost(device: str) -> bool:
    """Whether a GPU answers no more, as after an illegal access."""
    import torch

    if not device.startswith("cuda"):
        return False
    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        return True
    return False


def settle(job: Job, places: Places, send: Send, number: int) -> Result:
    """Train one cell; its result, also where it fails. Nothing is written but weights that are to be kept.

    Raises:
        UserError: something that would fail for every cell alike, such as a full disk.
    """
    (result,) = _tried([job], places, lambda: [result_of(job, places, send, number)])
    return result


def _tried(jobs: Sequence[Job], places: Places, run: Callable[[], list[Result]]) -> list[Result]:
    """The results that `run` gives to the cells of one training, or a failure of each."""
    try:
        return run()
    except OutOfTime:
        raise
    except (CellFailed, MemoryError) as error:
        return [_failed(job, places, str(error) or type(error).__name__) for job in jobs]
    except UserError as error:
        raise UserError(f"cell {jobs[0].id}: {error}") from error
    except Exception as error:  # a bug in one cell must not take the grid with it
        reason, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
        return [replace(_failed(job, places, reason), traceback=trace) for job in jobs]


def outcome(number: int, result: Result) -> Event:
    """The event that tells of a written result."""
    if not result.done:
        return "failed", number, {"reason": result.reason}
    return (
        "done",
        number,
        {"accuracy": result.validation_accuracy, "seconds": result.seconds.get("total", 0.0)},
    )


def _failed(job: Job, places: Places, reason: str) -> Result:
    import torch

    return failed(job.head, reason, torch.device(places.device))


def worker_main(jobs: Sequence[Job], places: Places, pending: Pending, pipe: Any) -> None:
    """Entry of a spawned worker; its events go through `pipe` to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(jobs, places, pipe.send, pending)
    except DeviceLost:
        sys.exit(1)  # the parent tells of the cell, and starts another worker
    except UserError as error:
        pipe.send(("error", -1, {"reason": str(error)}))


def _end_with_parent() -> None:
    """A parent killed outright cannot end its workers; they must not go on unseen."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
