"""Running a study that measures networks: each in one piece, a file each; what is there stays."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from zoo.core.command import end_of, say
from zoo.core.errors import OutOfTime, UserError, write_whole
from zoo.core.identity import plain, short_hash
from zoo.core.names import is_multitask, is_pretrained
from zoo.core.options import lookup, parse_setting
from zoo.core.processes import cores
from zoo.core.records import Settings
from zoo.evidence.measurements import Measurement, Point, read_point
from zoo.evidence.questions import Variant
from zoo.fast.denormals import flushed
from zoo.grid.jobs import Job, Places
from zoo.grid.store import Store
from zoo.probes.drift import Drift
from zoo.probes.drop import Drop
from zoo.probes.robust import PretrainedSubject, RobustProbe
from zoo.probes.sharpness import Sharpness
from zoo.probes.subject import Subject
from zoo.probes.theorem import Theory
from zoo.studies import run
from zoo.studies.questions import check_taken
from zoo.studies.study import Study, Where
from zoo.text import load_corpus
from zoo.training.environment import machine, made_by, versions
from zoo.training.settings import CellFailed, CellSettings

S = TypeVar("S", bound=Settings)
# What is measured in the study of this name.
PROBES: dict[str, type[Settings]] = {
    "theory": Theory,
    "drift": Drift,
    "sharpness": Sharpness,
    "drop": Drop,
    "robust": RobustProbe,
    "robust-zh": RobustProbe,
}


@dataclass(frozen=True)
class Planned:
    """One network to be measured, and the name of its file without the ending."""

    variant: str
    job: Job
    id: str


Settle = Callable[[int, Planned], None]


def probe_of(name: str, settings: Mapping[str, str]) -> Settings:
    """The probe of a study with settings as a user types them.

    Raises:
        UserError: it has no such setting, or the value does not fit.
    """
    return typed(PROBES[name], settings)


def typed(kind: type[S], settings: Mapping[str, str]) -> S:
    """A record with settings as a user types them; raises as `probe_of`."""
    known, values = kind().as_json(), {}
    for key, text in settings.items():
        lookup(known, key, kind.what)
        values[key] = parse_setting(kind, key, text)
    return kind(**values)


def plan(
    asked: Measurement, probe: Settings, places: Where, axes: Mapping[str, Any], changes: Mapping[str, Any]
) -> list[Planned]:
    """Every network of the study, seed by seed; corpora are prepared on the way.

    Raises:
        UserError: whatever a study of cells refuses, or a model that cannot be measured so.
    """
    for arch in axes.get("archs", asked.archs):
        _check(arch, probe)
    found = []
    suffix = f"-{short_hash(probe.named(), 4)}" if probe.named() else ""
    studies = [study(asked, variant, places, axes, changes) for variant in asked.variants]
    check_taken(asked.name, studies, changes)
    for variant, own in zip(asked.variants, studies, strict=True):
        for job in run.jobs_of(own):
            if not job.is_reference:
                found.append(Planned(variant.name, job, f"{job.id}{suffix}"))
    _check_alone(found, places)
    return sorted(found, key=lambda one: one.job.cell.seed)


def _check_alone(planned: Sequence[Planned], places: Where) -> None:
    """What no report could tell apart is found out before training: a network measured by other settings.

    Raises:
        UserError: the folder has one of the plan's.
    """
    own, out = {one.id for one in planned}, grid_places(places).out
    networks = {(one.variant, c.arch, c.corpus, c.seed) for one in planned for c in [one.job.cell]}
    stems = {one.job.id.rpartition("-")[0] for one in planned}
    for path in sorted(out.glob("[!.]*.json")):
        begins = any(path.name.startswith(f"{stem}-") for stem in stems)
        if begins and path.stem not in own and read_point(path).network in networks:
            raise UserError(
                f"{path}: the same network, measured by other settings; expected --out with another folder"
            )


def _check(arch: str, probe: Settings) -> None:
    if is_multitask(arch):
        raise UserError(f"arch {arch}: this study trains each network alone; expected hf: in its place")
    if is_pretrained(arch) and not isinstance(probe, RobustProbe):
        raise UserError(f"arch {arch}: this study looks into the zoo's models; expected one of them")


def study(
    asked: Measurement, variant: Variant, places: Where, axes: Mapping[str, Any], changes: Mapping[str, Any]
) -> Study:
    """The cells of one variant; `axes` in place of the record's own, `changes` of all variants alike."""
    own = {"archs": asked.archs, "corpora": asked.corpora, "seeds": asked.seeds}
    return Study.of(
        asked.preset,
        {**own, **axes, "recipes": (variant.recipe,)},
        changes={"learning_rate": asked.rate, **changes, **variant.changes},
        places=places,
    )


def measure_all(
    planned: list[Planned],
    probe: Settings,
    places: Where,
    weights: Path | None,
) -> list[Point]:
    """The points of the plan, measured where they are not there yet; other processes may share the work.

    Args:
        places: as many networks at a time as it has jobs, each in a process of its own; 0: one a core.
        weights: folder of kept weights, `<cell>.safetensors`, to be measured in place of a training.

    Raises:
        OutOfTime: the minutes of the places are over; looked at before each network.
        UserError: a network that cannot be measured, or a process was killed.
    """
    until = end_of(places.minutes)
    settle: Settle = partial(_settle, probe, places, weights, until, len(planned))
    pending = missing(planned, places)
    jobs = min(places.jobs or cores(), len(pending))
    if jobs > 1:
        _side_by_side(settle, pending, jobs)
    else:
        for number, one in pending:
            settle(number, one)
    left = missing(planned, places)
    if left and time.monotonic() >= until:
        raise OutOfTime(f"the time is over: {left[0][1].id}.json is next; the same command goes on with it")
    there = [one for one in planned if _path(one, places).exists()]
    # The networks of two studies may be the same cell under two names of variants.
    return [replace(read_point(_path(one, places)), variant=one.variant) for one in there]


def missing(planned: list[Planned], places: Where) -> list[tuple[int, Planned]]:
    """The networks of the plan that have no file yet, each with its number in the plan, from 1."""
    return [(n, one) for n, one in enumerate(planned, 1) if not _path(one, places).exists()]


def _side_by_side(settle: Settle, pending: list[tuple[int, Planned]], jobs: int) -> None:
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        Parallel(n_jobs=jobs, batch_size=1)(delayed(settle)(number, one) for number, one in pending)
    except TerminatedWorkerError:
        raise UserError(
            "a process that measures networks was killed, perhaps for want of memory; what is measured is "
            "kept, expected fewer --jobs"
        ) from None


def _path(one: Planned, places: Where) -> Path:
    return grid_places(places).out / f"{one.id}.json"


def _settle(
    probe: Settings, places: Where, weights: Path | None, until: float, of: int, number: int, one: Planned
) -> None:
    """Measure a network, unless the time is over, it is there by now or another process is at it."""
    import torch

    torch.set_num_threads(1)
    path = _path(one, places)
    if time.monotonic() >= until:
        return
    with Store(path.parent).claim(one.id) as mine:
        if mine and not path.exists():
            point = _measured(one, probe, places, weights, time.perf_counter())
            write_point(path, point)
            say(f"[{number}/{of}] {one.job.id} {one.variant}: {point.facts['seconds']:.0f} s")


def _measured(one: Planned, probe: Settings, places: Where, weights: Path | None, began: float) -> Point:
    import torch

    job, settings = one.job, one.job.settings
    assert isinstance(settings, CellSettings)
    kept = None if weights is None else weights / f"{job.id}.safetensors"
    if kept is not None and not kept.is_file():
        raise UserError(f"{kept}: no such file; expected the weights of each cell, or no --weights")
    subject = _subject(job, settings, places, kept)
    try:
        with flushed():
            values = plain(probe.measure(subject))  # type: ignore[attr-defined]
    except CellFailed as error:
        raise UserError(f"{job.id}: {error}; expected settings under which it can be trained") from None
    facts = {
        "recipe": job.cell.recipe, "settings": settings.as_json(), "probe": probe.as_json(),
        "corpus": asdict(job.corpus), "kept_weights": kept is not None,
        "seconds": time.perf_counter() - began, "machine": asdict(machine(torch.device("cpu"))),
        "made_by": made_by(), "versions": versions(),
    }  # fmt: skip
    return Point(one.id, one.variant, job.cell.corpus, job.cell.arch, job.cell.seed, values, plain(facts))


def _subject(
    job: Job, settings: CellSettings, places: Where, kept: Path | None
) -> Subject | PretrainedSubject:
    at = grid_places(places)
    whole = (job.model, job.cell.seed, settings, kept, at.cache, job.source, at.data)
    if is_pretrained(job.model):
        return PretrainedSubject(*whole)
    return Subject(*whole, corpus=load_corpus(job.source, settings.text, at.data, at.cache))  # type: ignore[arg-type]


def grid_places(places: Where) -> Places:
    """Where the networks are trained: here."""
    data, cache = (Path(name).expanduser() if name else None for name in (places.data, places.cache))
    return Places(Path(places.out).expanduser(), data, cache)


def write_point(path: Path, point: Point) -> None:
    """There as a whole or not at all."""
    content = json.dumps(point.as_json(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    write_whole(path, content.encode())
