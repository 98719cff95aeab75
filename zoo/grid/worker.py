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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.classifier import own
from zoo.classifier.families import Made
from zoo.classifier.network import Network
from zoo.core.errors import OutOfTime, UserError
from zoo.core.names import is_pretrained
from zoo.core.result import FAILED, Result
from zoo.grid.jobs import Job, Places
from zoo.grid.store import Pending, Store
from zoo.text import Examples, load_corpus, load_examples
from zoo.training.baseline import BaselineSettings, run_baseline
from zoo.training.cell import train_cell, write_weights
from zoo.training.environment import machine, made_by, who
from zoo.training.lanes import aside, run_lanes
from zoo.training.settings import CellFailed, CellSettings
from zoo.training.turns import Turns, forget

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zoo.pretrained.cell import Fitted
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
    walk = partial(_walk, jobs, places, send, pending)
    if places.lanes == 1:
        walk()
    else:
        run_lanes(places.lanes, walk, _device(places))


def _walk(jobs: Sequence[Job], places: Places, send: Send, pending: Pending) -> None:
    store = Store(places.out)
    numbers = {job.id: n for n, job in enumerate(jobs)}
    while True:
        left = [(n, job) for n, job in enumerate(jobs) if not store.settled(job.id, pending)]
        if not left:
            return
        progressed = False
        for number, job in left:
            if places.over:
                return
            with store.claim(job.claim) as mine:
                if mine and not store.settled(job.id, pending):
                    progressed = True
                    together = [one for one in job.together if not store.settled(one.id, pending)]
                    own = [numbers[one.id] for one in together] or [number]
                    try:
                        if job.together:
                            run_together(together, job, places, send, own)
                        else:
                            run_job(job, places, send, number)
                    except OutOfTime:
                        for each in own:
                            send(("paused", each, {}))
                        return
        if not progressed:
            with aside():
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
    results = _tried(job.together, places, lambda: _results_together(job.together, places, send, tell))
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
    (result,) = _tried([job], places, lambda: [_result(job, places, send, number)])
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


def _result(job: Job, places: Places, send: Send, number: int) -> Result:
    settings, progress = job.settings, partial(_told, send, number)
    turns = turns_of(job, places, lambda share: send(("resumed", number, {"share": share})))
    device = _device(places)
    if is_pretrained(job.model):
        from zoo.classifier.pretrained import made_of
        from zoo.pretrained.cell import train_pretrained

        assert not isinstance(settings, BaselineSettings)
        examples = _examples(job, places)

        def keep(run: PretrainedRun) -> None:
            _keep(job, places, run.model, lambda: made_of(run, job.model, settings, examples))

        return train_pretrained(job.head, settings, job.model, examples, device, progress, keep, turns)
    corpus = load_corpus(job.source, settings.text, places.data, places.cache)  # type: ignore[arg-type]
    _check_same(job, corpus.fingerprint)
    if isinstance(settings, BaselineSettings):
        with aside():
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


def _results_together(
    jobs: Sequence[Job], places: Places, send: Send, tell: Mapping[str, int]
) -> list[Result]:
    """The results of one training of all these cells; of its progress those in `tell` are told."""
    from zoo.classifier.pretrained import made_of
    from zoo.pretrained.cell import train_together

    parts = [_examples(job, places) for job in jobs]
    settings = [job.settings for job in jobs if isinstance(job.settings, CellSettings)]

    def progress(share: float, entries: Sequence[dict[str, Any]]) -> None:
        for job, entry in zip(jobs, entries, strict=True):
            if job.id in tell:
                _told(send, tell[job.id], share, entry)

    def keep(number: int, fitted: Fitted) -> None:
        job, own, examples = jobs[number], settings[number], parts[number]
        if job.id in tell:
            _keep(job, places, fitted.model, lambda: made_of(fitted, job.model, own, examples))

    def resumed(share: float) -> None:
        for number in tell.values():
            send(("resumed", number, {"share": share}))

    heads = [job.head for job in jobs]
    turns = turns_of(jobs[0], places, resumed)
    return train_together(heads, settings, jobs[0].model, parts, _device(places), progress, keep, turns)


def _device(places: Places) -> torch.device:
    import torch

    device = torch.device(places.device)
    if device.index is not None:
        torch.cuda.set_device(device)
    return device


def _examples(job: Job, places: Places) -> Examples:
    """The labelled texts of a cell of a model of Hugging Face, as they were when the run began."""
    assert isinstance(job.settings, CellSettings)
    examples = load_examples(job.source, job.settings.text, places.data, places.cache)  # type: ignore[arg-type]
    _check_same(job, examples.fingerprint)
    return examples


def turns_of(job: Job, places: Places, resumed: Callable[[float], None] = lambda share: None) -> Turns:
    """Where the state of a training is kept, and who may go on with it; `resumed`: see `Turns`."""
    import torch

    return Turns(places.begun, job.claim, who(torch.device(places.device)), places.until, resumed)


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
