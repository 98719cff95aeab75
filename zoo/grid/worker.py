"""One worker: walk the list of cells, claim one that has no result, train it, write its file.

Files are the state (`zoo.grid.store`), so any number of workers, in one runner or several, share a folder; a
killed one costs the cell it was in. Each worker computes with one thread, which makes a result the same bit
for bit whatever the number of workers (and two one-thread workers are faster than one with two threads).
"""

from __future__ import annotations

import math
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.classifier import own
from zoo.classifier.families import Made
from zoo.classifier.network import Network
from zoo.core.errors import OutOfTime, UserError
from zoo.core.identity import plain
from zoo.core.names import is_pretrained
from zoo.core.result import FAILED, Result
from zoo.grid.plan import Job, Places
from zoo.grid.store import Pending, Store
from zoo.text import load_corpus, load_examples
from zoo.training.baseline import BaselineSettings, run_baseline
from zoo.training.cell import train_cell, write_weights
from zoo.training.environment import machine, made_by, versions
from zoo.training.settings import CellFailed
from zoo.training.turns import Turns

if TYPE_CHECKING:
    from torch import nn

    from zoo.pretrained.run import PretrainedRun

# (event, job number, payload): "start" {}, "resumed" {share}, "epoch" {share, entry},
# "done" {accuracy, seconds}, "failed" {reason}, "paused" {}
Event = tuple[str, int, dict[str, Any]]
Send = Callable[[Event], None]


class DeviceLost(UserError):
    """A GPU in an error after which nothing works in this process: another one must go on."""


def work(jobs: Sequence[Job], places: Places, send: Send, pending: Pending) -> None:
    """Run every cell of `pending` that nobody has settled and that no other worker has claimed.

    A cell is tried once a run, by whichever worker: a failed one is settled too. Ends early when the time of
    the places is over; a cell that was training goes on in another run.
    """
    import torch

    torch.set_num_threads(1)
    store = Store(places.out)
    while True:
        left = [(n, job) for n, job in enumerate(jobs) if not store.settled(job.id, pending)]
        if not left:
            return
        progressed = False
        for number, job in left:
            if places.over:
                return
            with store.claim(job.id) as mine:
                if mine and not store.settled(job.id, pending):
                    progressed = True
                    try:
                        run_job(job, places, send, number)
                    except OutOfTime:
                        send(("paused", number, {}))
                        return
        if not progressed:
            time.sleep(0.5)  # others hold all that is left; take over what they drop


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
    turns_of(job, places, send, number).forget()
    if not result.done and _is_lost(places.device):
        raise DeviceLost(f"cell {job.id}: the GPU failed ({result.reason}); expected another run")
    send(outcome(number, result))


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
    try:
        return _result(job, places, send, number)
    except OutOfTime:
        raise
    except (CellFailed, MemoryError) as error:
        return _failed(job, places, str(error) or type(error).__name__)
    except UserError as error:
        raise UserError(f"cell {job.id}: {error}") from error
    except Exception as error:  # a bug in one cell must not take the grid with it
        reason = f"{type(error).__name__}: {error}"
        return replace(_failed(job, places, reason), traceback=traceback.format_exc())


def outcome(number: int, result: Result) -> Event:
    """The event that tells of a written result."""
    if not result.done:
        return "failed", number, {"reason": result.reason}
    return (
        "done",
        number,
        {"accuracy": result.validation_accuracy, "seconds": result.seconds.get("total", 0.0)},
    )


def _result(job: Job, places: Places, send: Send, number: int) -> Result:
    import torch

    settings, progress = job.settings, partial(_told, send, number)
    turns = turns_of(job, places, send, number)
    device = torch.device(places.device)
    if device.index is not None:
        torch.cuda.set_device(device)
    if is_pretrained(job.model):
        from zoo.classifier.pretrained import made_of
        from zoo.pretrained.cell import train_pretrained

        assert not isinstance(settings, BaselineSettings)
        examples = load_examples(job.source, settings.text, places.data, places.cache)  # type: ignore[arg-type]
        _check_same(job, examples.fingerprint)

        def keep(run: PretrainedRun) -> None:
            _keep(job, places, run.model, lambda: made_of(run, job.model, settings, examples))

        return train_pretrained(job.head, settings, job.model, examples, device, progress, keep, turns)
    corpus = load_corpus(job.source, settings.text, places.data, places.cache)  # type: ignore[arg-type]
    _check_same(job, corpus.fingerprint)
    if isinstance(settings, BaselineSettings):
        return run_baseline(job.head, corpus, settings)
    return train_cell(
        job.head,
        settings,
        corpus,
        device,
        progress,
        places.graphs,
        cache_dir=places.cache,
        keep=lambda trained: _keep(job, places, trained.run.model, lambda: own.made_of(trained)),
        turns=turns,
    )


def turns_of(job: Job, places: Places, send: Send, number: int) -> Turns:
    """Where the state of a cell is kept while it trains, and who may go on with it."""
    import torch

    who = {"made_by": made_by(), "machine": asdict(machine(torch.device(places.device))), "with": versions()}

    def resumed(share: float) -> None:
        send(("resumed", number, {"share": share}))

    return Turns(
        places.begun, job.id, plain(who), math.inf if places.until is None else places.until, resumed
    )


def _told(send: Send, number: int, share: float, entry: dict[str, Any]) -> None:
    send(("epoch", number, {"share": share, "entry": entry}))


def _check_same(job: Job, fingerprint: str) -> None:
    if fingerprint != job.corpus.fingerprint:
        raise UserError(f"corpus {job.source} has changed since the run began; run again")


def _keep(job: Job, places: Places, model: nn.Module, made: Callable[[], Made]) -> None:
    """Write the weights and the network of a cell where they are wanted."""
    if (path := places.weights(job.id)) is not None:
        write_weights(model.state_dict(), path)
    if (folder := places.model(job.id)) is not None:
        Network.of(made(), job.cell.recipe).save(folder)


def _failed(job: Job, places: Places, reason: str) -> Result:
    import torch

    head = replace(job.head, machine=machine(torch.device(places.device)), made_by=made_by())
    return replace(head, status=FAILED, reason=reason)


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
