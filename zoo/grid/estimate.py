"""How long a grid will take at most: a few real steps of every kind of cell, timed here and now."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from zoo.core.command import duration
from zoo.core.errors import UserError
from zoo.core.names import is_pretrained
from zoo.core.processes import environment
from zoo.core.result import CorpusInfo
from zoo.fast.shapes import demand_fixed_shapes
from zoo.grid.engines.local import worker_variables
from zoo.grid.jobs import Job, Places
from zoo.grid.plan import by_kind
from zoo.method.step import prepare
from zoo.text import TextSettings, load_corpus, load_examples
from zoo.text.settings import Report
from zoo.training.baseline import BaselineSettings
from zoo.training.cell import make_model
from zoo.training.device import work_of
from zoo.training.environment import is_portable
from zoo.training.graphs import ORDINARY, CudaRecorder, GraphedSteps, why_not_recorded
from zoo.training.steps import OrdinarySteps

WARM, TIMED = 2, 4
EVALUATION = 1.1  # evaluation is taken for a tenth of the training

Kind = tuple[str, str, str]  # corpus, arch, recipe


@dataclass(frozen=True)
class Estimate:
    """Seconds a unit (`Job.units`) of each kind of cell, as cells of one kind may be of unlike length.

    timed: how many kinds were; the others follow from those.
    """

    pace: Mapping[Kind, float]
    timed: int

    def total(self, jobs: Sequence[Job], workers: int) -> float:
        """Seconds for these jobs with so many workers; the reference row is taken for nothing."""
        kinds = by_kind(jobs).items()
        return sum(self.pace[kind] * job.units for kind, cells in kinds for job in cells) / workers


def estimate(jobs: Sequence[Job], places: Places, report: Report, most_seconds: float = 60.0) -> Estimate:
    """Time a few steps of the kinds of cells among `jobs`, for no longer than about `most_seconds`.

    One recipe of each (corpus, arch) comes first. A kind that the time did not suffice for costs what its
    passes and tokens cost in the timed kind nearest to it (same arch before any); so do cells of a timed kind
    that are longer than the one that was timed.
    """
    torch.set_num_threads(1)
    kinds = by_kind(jobs)
    # The first recipe of every (corpus, arch), then the second of each, and so on.
    recipes = list(dict.fromkeys(recipe for _, _, recipe in kinds))
    order = sorted(kinds, key=lambda kind: recipes.index(kind[2]))
    rates: dict[Kind, float] = {}  # seconds a unit
    end = time.perf_counter() + most_seconds
    for number, kind in enumerate(order):
        if rates and time.perf_counter() > end:
            break
        job = kinds[kind][0]
        report(f"timing {' '.join(kind)} ({number + 1} of {len(order)} kinds of cells)")
        with work_of(job.settings.train):  # type: ignore[union-attr]
            rates[kind] = EVALUATION * _steps(job) * _step_seconds(job, places) / job.units
    return Estimate({kind: _nearest(rates, kind) for kind in kinds}, len(rates))


def estimate_as_run(jobs: Sequence[Job], places: Places, report: Report) -> Estimate:
    """The estimate with the vector width that the workers will have: in a process of its own where they do.

    Raises:
        UserError: a corpus that cannot be read any more, no such device here, or the process died.
    """
    if by_kind(jobs) and places.device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "steps are timed on this machine, where torch sees no GPU; expected a machine with one, or "
            "--device cpu"
        )
    if places.portable <= is_portable() or not by_kind(jobs):
        return estimate(jobs, places, report)
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send_estimate, args=(jobs, places, theirs), daemon=True)
    with environment(worker_variables(places)):
        process.start()
    theirs.close()  # the process has the only end then, and its death ends the pipe
    try:
        while isinstance(said := mine.recv(), str):
            report(said)
    except EOFError:
        process.join()
        raise UserError(
            f"the process that times the steps died (exit code {process.exitcode}); expected one that ends, "
            "perhaps it ran out of memory"
        ) from None
    process.join()
    if isinstance(said, UserError):
        raise said
    found: Estimate = said
    return found


def _send_estimate(jobs: Sequence[Job], places: Places, pipe: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    try:
        pipe.send(estimate(jobs, places, pipe.send))
    except UserError as error:
        pipe.send(error)


def in_words(found: Estimate, jobs: Sequence[Job], workers: int, places: Places) -> str:
    """How long these jobs take, and what it leaves out."""
    said = f"about {duration(found.total(jobs, workers))} at the present pace"
    if places.lanes > 1:
        said += " or less, as the cells of a GPU overlap"
    if any(job.together and job.apart for job in jobs):
        said += " for seeds one by one, which are trained as one model"
    if may_stop(jobs):
        said += " or less, as cells may stop early"
    if jobs:
        said += "; word vectors and reference rows come on top"
    if found.timed < len(found.pace):
        said += f" ({found.timed} of {len(found.pace)} kinds of cells were timed, the others follow)"
    return said


def may_stop(jobs: Sequence[Job]) -> bool:
    """Whether a cell can take less than is estimated: validation may end it before its last epoch."""
    return any("patience" in job.settings.named().get("train", {}) for job in jobs)


def _nearest(rates: Mapping[Kind, float], kind: Kind) -> float:
    if kind in rates:
        return rates[kind]
    same = [rate for (corpus, arch, _), rate in rates.items() if (corpus, arch) == kind[:2]]
    near = same or [rate for (_, arch, _), rate in rates.items() if arch == kind[1]] or list(rates.values())
    return sum(near) / len(near)


def _steps(job: Job) -> int:
    """Steps of all its networks."""
    assert not isinstance(job.settings, BaselineSettings)
    train = job.settings.train
    corpus: CorpusInfo = job.corpus
    return -(-corpus.train_rows // train.batch_size) * train.epochs * train.members


def _step_seconds(job: Job, places: Places) -> float:
    settings = job.settings
    assert not isinstance(settings, BaselineSettings)
    assert isinstance(settings.text, TextSettings)
    if is_pretrained(job.model):
        from zoo.pretrained.cell import seconds_a_step

        examples = load_examples(job.source, settings.text, places.data, places.cache)
        where = torch.device(places.device)
        return seconds_a_step(job.cell.seed, settings, job.model, examples, where, WARM, TIMED)
    corpus = load_corpus(job.source, settings.text, places.data, places.cache)
    device = torch.device(places.device)
    model = make_model(job.cell.arch, job.cell.seed, settings, corpus, vectors=None).to(device)
    generator = torch.Generator(device).manual_seed(0)
    trainee = prepare(model, settings.recipe, generator)
    parts = (trainee, settings.train, corpus.train, job.cell.seed, device)
    model.train()
    if device.type == "cuda" and places.graphs and why_not_recorded(settings.recipe) is None:
        return replayed_seconds(GraphedSteps(*parts, CudaRecorder(device, generator)))
    steps = OrdinarySteps(*parts)
    began = 0.0
    batches = steps.batches(corpus.train, settings.train.batch_size, epoch=1)
    for i, batch in enumerate(itertools.islice(itertools.cycle(batches), WARM + TIMED)):
        if i == WARM:
            began = time.perf_counter()
        steps.step(batch)
    _wait(device)
    return (time.perf_counter() - began) / TIMED


def replayed_seconds(steps: GraphedSteps) -> float:
    """Of a step where steps are replayed, over a few batches of an epoch, each recorded before."""
    size, bucketed = steps.settings.batch_size, steps.settings.bucketed
    batches = list(steps.split.plan(size, seed=steps.seed, epoch=1, bucketed=bucketed))
    spread = batches[:: -(-len(batches) // TIMED)]

    def once() -> None:
        steps.number.zero_()  # the schedule has no step behind its last one
        for index, width in spread:
            steps.step(index, width, full=len(index) == size)

    with steps.recorder.scope() if steps.recorder else nullcontext(), demand_fixed_shapes():
        for _ in range(ORDINARY + 1):
            once()
        _wait(steps.device)
        began = time.perf_counter()
        once()
        _wait(steps.device)
    return (time.perf_counter() - began) / len(spread)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
