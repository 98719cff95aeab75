"""Running a study on this machine: check, plan, work off what is missing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.core.cards import is_known
from zoo.core.command import EXIT_INTERRUPTED, EXIT_OUT_OF_TIME, end_of, say
from zoo.core.errors import OutOfTime, UserError
from zoo.core.result import Result
from zoo.evidence.settings import ABSENT, as_read, shown
from zoo.grid.engines import engine_of
from zoo.grid.engines.engine import Engine
from zoo.grid.fits import check_fits
from zoo.grid.index import Facts
from zoo.grid.jobs import Job, Places
from zoo.grid.mps import how_shared
from zoo.grid.plan import check_name, plan_jobs
from zoo.grid.progress import GridProgress
from zoo.grid.store import Pending, Store
from zoo.studies.study import Study
from zoo.text.prepared import is_prepared
from zoo.text.settings import resolve_cache_dir, resolve_data_dir, silent
from zoo.text.sources.columns import Asked
from zoo.text.sources.find import find_source
from zoo.text.vectors import MADE, check_vectors
from zoo.training.environment import PORTABLE, is_portable, machine

Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """A study made ready here: its cells, where they go, how many at a time, and which are missing."""

    places: Places
    jobs: Sequence[Job]
    workers: int
    pending: Pending
    foreign: int  # results made on another kind of processor
    engine: Engine

    @property
    def missing(self) -> list[Job]:
        """The cells to run."""
        return [job for job in self.jobs if job.id in self.pending]


def places_of(study: Study) -> Places:
    """Its places on this machine, or on those of its engine.

    Raises:
        UserError: there is no GPU, and one was asked for.
    """
    where = study.places
    engine = engine_of(where.engine, where.engine_set)
    device = engine.device(where.device)
    here = {
        f"--cells-per-gpu {where.cells_per_gpu}": where.cells_per_gpu,
        "--mps": where.mps,
        "--rerun-foreign": where.rerun_foreign,
        f"--minutes {where.minutes:g}": where.minutes,
    }
    for option, given in here.items():
        if given and engine.elsewhere:
            raise UserError(f"{option}: goes with --engine local alone, expected none with {where.engine}")
    if device == "cpu" and where.cells_per_gpu:
        raise UserError(
            f"--cells-per-gpu {where.cells_per_gpu}: the device is cpu, expected a GPU; on a CPU use --jobs"
        )
    if where.mps and where.cells_per_gpu < 2:
        raise UserError("--mps: one cell at a time shares no GPU; expected --cells-per-gpu 2 or more too")
    folders = (Path(name).expanduser() if name else None for name in (where.data, where.cache))
    data, cache = folders
    lanes = 1 if where.mps else max(1, where.cells_per_gpu)
    return Places(study.out(), data, cache, device, lanes, until=end_of(where.minutes), **where.running())


def workers_of(study: Study, places: Places) -> int:
    """Processes, each with so many cells at a time as its places have lanes."""
    where = study.places
    of_gpu = where.cells_per_gpu if where.mps else 1
    return where.jobs or engine_of(where.engine, where.engine_set).slots(places.device, of_gpu)


def check_folder(places: Places) -> None:
    """A file of the results folder that no report could read is found out before training, not after.

    Raises:
        UserError: there is one.
    """
    Store(places.out).check()


def check_here(study: Study, places: Places) -> None:
    """Everything that can be known before a text is read: corpora, vectors, memory.

    Raises:
        UserError: something is not there, or cannot be held.
    """
    sources: dict[str, str] = {}
    data, cache = resolve_data_dir(places.data), resolve_cache_dir(places.cache)
    for path in (data, cache):
        if path is not None and path.exists() and not path.is_dir():
            raise UserError(f"{path}: is a file; expected a folder")
    for corpus in study.corpora:
        text = study.text(corpus, 0)
        name = corpus
        carried = is_prepared(data, corpus, text)
        if not is_known(corpus) and not carried:
            name = find_source(corpus, Asked(text.text_column, text.label_column), data, cache, silent).name
        check_name(sources, name, corpus)
        train = study.settings(study.archs[0], study.recipes[0], text, corpus).train
        if train.vectors_file is None:
            if not carried:  # then its vectors may have been taken along as well
                check_vectors(train.vectors)
        elif not train.vectors_file.is_file():
            raise UserError(
                f"vectors {train.vectors!r}: no such kind or file; expected {', '.join(MADE)} "
                "or a file of vectors"
            )
        for arch, recipe in itertools.product(study.archs, study.recipes):
            # The least vocabulary and number of classes: what is too large even so is refused at once.
            check_fits(arch, study.settings(arch, recipe, text, corpus), 2, 2)


def plan(study: Study, report: Report = say) -> Plan:
    """Check a study against this machine, prepare its corpora, list its cells.

    Raises:
        UserError: anything that would stop it later.
    """
    check_folder(places_of(study))
    return of_jobs(study, jobs_of(study, report))


def jobs_of(study: Study, report: Report = say) -> list[Job]:
    """Check a study against this machine, prepare its corpora, list its cells; the results are not looked at.

    Raises:
        UserError: anything that would stop it later.
    """
    places = places_of(study)
    engine_of(study.places.engine, study.places.engine_set).check(places)
    check_here(study, places)
    if places.stack_seeds and places.device == "cpu":
        report("--stack-seeds: on a CPU, where no launches are saved, the seeds take longer than one by one")
    if study.places.cells_per_gpu > 1:
        report(how_shared(study.places.cells_per_gpu, study.places.mps))
    return plan_jobs(study, places, report)


def of_jobs(study: Study, jobs: Sequence[Job]) -> Plan:
    """The plan of these cells in the places of a study: which have no result that counts."""
    places = places_of(study)
    engine = engine_of(study.places.engine, study.places.engine_set)
    # Which kind of processor a cell will meet elsewhere is not known here.
    here = None if engine.elsewhere else _processor(places)
    rerun_foreign = study.places.rerun_foreign
    foreign = 0

    def counts(result: Facts) -> bool:
        nonlocal foreign
        other = here is not None and result.done and result.processor not in (None, here)
        foreign += other
        return result.done and not (other and rerun_foreign)

    pending = Store(places.out).pending([job.id for job in jobs], counts)
    workers = workers_of(study, places)
    planned = Plan(places, jobs, workers, pending, 0 if rerun_foreign else foreign, engine)
    _check_alone(planned)
    return planned


def _check_alone(planned: Plan) -> None:
    """What no report could tell apart is found out before training: a corpus that has changed, or has a twin.

    Raises:
        UserError: the folder has a result of a cell to run, under the same settings, from other data.
    """
    store, own = Store(planned.places.out), {job.id for job in planned.jobs}
    # The last part of a cell's name is the hash of all that decides it.
    alike = {job.id.rpartition("-")[0] for job in planned.missing}
    others = [name for name in store.names() if name not in own and name.rpartition("-")[0] in alike]
    there = {(result.cell, _told_by(result)): result.id for result in store.read_all(others)}
    for job in planned.missing:
        if other := there.get((job.cell, _told_by(job.head))):
            raise UserError(
                f"{store.folder}: has {other}, of the same names and settings, but from other data than "
                f"{job.source}; expected --out with another folder"
            )


def _told_by(result: Result) -> frozenset[tuple[str, str]]:
    """What tells results of one cell apart in a report (`zoo.evidence.cells`): settings, as they are read."""
    named = {name: shown(value) for name, value in as_read(result.settings).items()}
    return frozenset((name, value) for name, value in named.items() if value != ABSENT)


def _processor(places: Places) -> str | None:
    """The kind of processor that cells are run on."""
    import torch

    if places.portable and places.device == "cpu" and not is_portable():
        return f"{PORTABLE['ATEN_CPU_CAPABILITY'].upper()} (portable)"
    return machine(torch.device(places.device)).processor


def run_plan(planned: Plan) -> None:
    """Run what is missing, with progress. Raises KeyboardInterrupt through.

    Raises:
        OutOfTime: the time of the places was over before all was run.
    """
    if planned.foreign:
        say(
            f"{planned.foreign} finished cells were made on another kind of processor than this one and are "
            "used as they are; --rerun-foreign runs them again here"
        )
    kept = {
        "--save-models and have no saved network": planned.places.model,
        "--keep-weights and have no kept weights": planned.places.weights,
    }
    for what, place in kept.items():
        if without := sum(_lacks(place(job.id), job, planned) for job in planned.jobs):
            say(f"{without} finished cells were run without {what}; in another --out they are run again")
    if planned.pending:
        Store(planned.places.out).make()
    # Elsewhere cells are not all seen to start, so how many run at a time is taken from the plan.
    together = planned.workers if planned.engine.elsewhere else 1
    with GridProgress(planned.jobs, planned.pending, together=together) as progress:
        planned.engine.run(planned.jobs, planned.places, planned.workers, progress.send, planned.pending)
    store = Store(planned.places.out)
    left = sum(not store.settled(job_id, planned.pending) for job_id in planned.pending)
    if planned.places.over and left:
        raise OutOfTime(
            f"the time is over: {left} of {len(planned.jobs)} cells are left; the same command goes on, also "
            "inside of a cell"
        )


def _lacks(place: Path | None, job: Job, planned: Plan) -> bool:
    """Whether a finished cell of a network has nothing there, where it is wanted."""
    return place is not None and not (job.is_reference or job.id in planned.pending or place.exists())


def stopped(planned: Plan) -> int:
    """Run what is missing as far as the user lets it; 0, or the exit code of what ended it, which is said."""
    try:
        run_plan(planned)
    except KeyboardInterrupt:
        say("interrupted: finished cells are kept, the same command again runs the rest")
        return EXIT_INTERRUPTED
    except OutOfTime as error:
        say(str(error))
        return EXIT_OUT_OF_TIME
    return 0


def results_of(planned: Plan) -> list[Result]:
    """The results of its cells that are there."""
    store = Store(planned.places.out)
    return list(store.read_all(job.id for job in planned.jobs if store.path(job.id).exists()))
