"""The estimate of a grid's time: every kind of cell has one, and the timing itself has an end."""

from __future__ import annotations

import os
from dataclasses import replace
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

import pytest
import torch
from recorded import SETTINGS, split
from stand_in import StandIn

import tiny
from zoo.core.errors import UserError
from zoo.grid import estimate as module
from zoo.grid.estimate import estimate
from zoo.grid.jobs import Job, Places
from zoo.method.recipe import Recipe
from zoo.method.step import prepare
from zoo.models import MODELS
from zoo.recipes import RECIPES
from zoo.text import TextSettings
from zoo.training.environment import PORTABLE
from zoo.training.graphs import GraphedSteps
from zoo.training.settings import CellSettings, TrainSettings


@pytest.fixture
def jobs(made) -> list[Job]:
    """Two corpora, two models, three recipes, two seeds: 12 kinds of cells, 24 cells, and a reference row."""
    rows = []
    for corpus in ("imdb", "tnews"):
        for arch in ("textcnn", "bilstm"):
            settings = CellSettings(Recipe(), MODELS[arch].Sizes(), TrainSettings(), TextSettings())
            for recipe, units in (("standard", 10.0), ("at", 20.0), ("uegr", 30.0)):
                for seed in (0, 1):
                    head = made(recipe, seed)
                    cell = replace(head.cell, corpus=corpus, arch=arch)
                    rows.append(Job(replace(head, cell=cell, id=f"{cell}"), settings, corpus, units))
    reference = replace(made("tfidf_svm"), id="reference")
    return [*rows, Job(reference, None, "imdb", 0.0)]  # type: ignore[arg-type]


def test_every_kind_is_timed_once(jobs: list[Job], monkeypatch, tmp_path) -> None:
    timed = []
    monkeypatch.setattr(module, "_step_seconds", lambda job, places: timed.append(job) or job.units / 100)
    found = estimate(jobs, Places(tmp_path), lambda line: None)
    assert len(timed) == found.timed == len(found.pace) == 12
    assert {job.cell.recipe for job in timed[:4]} == {"standard"}, (
        "one recipe of every corpus and model first"
    )
    steps = -(-100 // 16) * 10
    assert 30 * found.pace["imdb", "bilstm", "uegr"] == pytest.approx(1.1 * steps * 0.3)
    assert found.total(jobs, 2) == pytest.approx(1.1 * steps * (0.1 + 0.2 + 0.3) * 8 / 2)


def test_the_timing_has_an_end_and_the_rest_follows_from_passes_and_tokens(
    jobs: list[Job], monkeypatch, tmp_path
) -> None:
    """A clock on which each kind takes 20 seconds to time: 60 seconds suffice for four of twelve."""
    now = [0.0]

    def step(job: Job, places: Places) -> float:
        now[0] += 20
        return 0.1 if job.cell.arch == "textcnn" else 0.5

    monkeypatch.setattr(module, "_step_seconds", step)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    lines: list[str] = []
    found = estimate(jobs, Places(tmp_path), lines.append, most_seconds=60)
    assert found.timed == 4
    assert len(lines) == 4
    assert lines[0] == "timing imdb textcnn standard (1 of 12 kinds of cells)"
    assert len(found.pace) == 12
    for corpus in ("imdb", "tnews"):
        for arch in ("textcnn", "bilstm"):
            base = found.pace[corpus, arch, "standard"]
            assert found.pace[corpus, arch, "uegr"] == pytest.approx(base)
    assert found.pace["imdb", "bilstm", "at"] == pytest.approx(5 * found.pace["imdb", "textcnn", "at"])


def test_longer_cells_of_a_kind_and_further_members_cost_more(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in the study `controls`: Dropout, Dropout for twice as long, and two networks of it are one kind."""
    plain = jobs[0]
    settings = plain.settings
    assert isinstance(settings, CellSettings)

    def longer(**train: Any) -> Job:
        changed = replace(settings, train=replace(settings.train, **train))
        return replace(plain, settings=changed, units=2 * plain.units)

    monkeypatch.setattr(module, "_step_seconds", lambda job, places: 0.01)
    places = Places(tmp_path)
    one = estimate([plain], places, lambda line: None).total([plain], 1)
    for other in (longer(epochs=20), longer(members=2)):
        first = estimate([plain, other], places, lambda line: None)
        assert first.total([plain, other], 1) == pytest.approx(3 * one)
        assert first.total([other], 1) == pytest.approx(2 * one)
        assert estimate([other], places, lambda line: None).total([other], 1) == pytest.approx(2 * one)


class _Died:
    """A process that ends without a word, with the pipe's end that it was given."""

    exitcode = -9

    def __init__(self, target, args, daemon) -> None:
        self.pipe = args[-1]

    def start(self) -> None: ...

    def join(self) -> None: ...


def test_steps_are_timed_at_the_vector_width_of_the_workers(jobs: list[Job], monkeypatch, tmp_path) -> None:
    """A process of its own times them only where its variables decide; what it says comes through."""
    seen: list[dict[str, str | None]] = []

    class Inside(_Died):
        def __init__(self, target, args, daemon) -> None:
            self.target, self.args = target, args

        def start(self) -> None:
            seen.append({name: os.environ.get(name) for name in PORTABLE})
            self.target(*self.args)

    for name in PORTABLE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "_step_seconds", lambda job, places: job.units / 100)
    monkeypatch.setattr(module.signal, "signal", lambda *handler: None)
    monkeypatch.setattr(SpawnContext, "Process", Inside)
    lines: list[str] = []
    plain = module.estimate_as_run(jobs, Places(tmp_path), lambda line: None)
    assert seen == []
    found = module.estimate_as_run(jobs, Places(tmp_path, portable=True), lines.append)
    assert seen == [PORTABLE]
    assert found == plain
    assert len(lines) == 12
    assert not any(name in os.environ for name in PORTABLE)

    def gone(job: Job, places: Places) -> float:
        raise UserError("corpus imdb: gone")

    monkeypatch.setattr(module, "_step_seconds", gone)
    with pytest.raises(UserError, match="imdb: gone"):
        module.estimate_as_run(jobs, Places(tmp_path, portable=True), lambda line: None)
    monkeypatch.setattr(SpawnContext, "Process", _Died)
    with pytest.raises(UserError, match=r"times the steps died \(exit code -9\)"):
        module.estimate_as_run(jobs, Places(tmp_path, portable=True), lambda line: None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_steps_of_a_gpu_that_is_elsewhere_are_not_timed_here(jobs: list[Job], tmp_path) -> None:
    """SLURM's and Ray's machines have one, where the command is given there may be none."""
    for portable in (False, True):
        places = Places(tmp_path, device="cuda", portable=portable)
        with pytest.raises(
            UserError, match="where torch sees no GPU; expected a machine with one, or --device"
        ):
            module.estimate_as_run(jobs, places, lambda line: None)
        assert module.estimate_as_run([], places, lambda line: None).total([], 1) == 0


def test_only_cells_that_read_patience_may_stop(jobs: list[Job]) -> None:
    assert not module.may_stop(jobs[:-1])
    for train, wanted in ((TrainSettings(patience=2), True), (TrainSettings(patience=2, epochs=3), False)):
        changed = replace(jobs[0], settings=replace(jobs[0].settings, train=train))
        assert module.may_stop([*jobs[1:-1], changed]) == wanted


def test_the_estimate_says_what_it_leaves_out(jobs: list[Job], tmp_path) -> None:
    found = estimate([], Places(tmp_path), lambda line: None)
    assert module.in_words(found, [], 1, Places(tmp_path)) == "about 0:00 at the present pace"
    every = module.Estimate(dict.fromkeys(module.by_kind(jobs), 1.5), 4)
    assert module.in_words(every, jobs[:-1], 2, Places(tmp_path, lanes=3)) == (
        "about 6:00 at the present pace or less, as the cells of a GPU overlap; word vectors and reference "
        "rows come on top (4 of 12 kinds of cells were timed, the others follow)"
    )


def test_nothing_to_run_takes_no_time(jobs: list[Job], tmp_path) -> None:
    found = estimate([], Places(tmp_path), lambda line: None)
    assert (found.total([], 1), found.timed) == (0, 0)
    assert estimate(jobs[-1:], Places(tmp_path), lambda line: None).total(jobs[-1:], 1) == 0


def test_replayed_steps_are_timed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU: texts of several lengths of an epoch, each recorded before the clock is looked at."""
    generator = torch.Generator().manual_seed(0)
    recorder = StandIn(generator)
    trainee = prepare(tiny.model("textcnn"), RECIPES["r_at"], generator)
    steps = GraphedSteps(trainee, SETTINGS, split(120), 0, torch.device("cpu"), recorder)
    looks, widths = list[tuple[int, int]](), list[int]()
    own = steps.step

    def step(index: torch.Tensor, width: int, full: bool = True) -> None:
        widths.append(width)
        own(index, width, full)

    def clock() -> float:
        looks.append((recorder.recorded, recorder.replayed))
        return float(len(looks))

    monkeypatch.setattr(steps, "step", step)
    monkeypatch.setattr(module.time, "perf_counter", clock)
    assert module.replayed_seconds(steps) == pytest.approx(1 / module.TIMED)
    (recorded, before), (recorded_then, after) = looks
    timed = widths[-module.TIMED :]
    assert recorded == recorded_then == len(set(timed)) > 1
    assert after - before == module.TIMED
    of_epoch = [
        width
        for _, width in steps.split.plan(SETTINGS.batch_size, seed=0, epoch=1, bucketed=SETTINGS.bucketed)
    ]
    assert timed == of_epoch[:: -(-len(of_epoch) // module.TIMED)]
