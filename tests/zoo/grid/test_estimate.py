"""The estimate of a grid's time: every kind of cell has one, and the timing itself has an end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zoo.grid import estimate as module
from zoo.grid.estimate import estimate
from zoo.grid.plan import Job, Places
from zoo.method.recipe import Recipe
from zoo.models import MODELS
from zoo.text import TextSettings
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
    assert len(timed) == found.timed == len(found.seconds) == 12
    assert {job.cell.recipe for job in timed[:4]} == {"standard"}, (
        "one recipe of every corpus and model first"
    )
    steps = -(-100 // 16) * 10
    assert found.seconds["imdb", "bilstm", "uegr"] == pytest.approx(1.1 * steps * 0.3)
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
    assert len(found.seconds) == 12
    for corpus in ("imdb", "tnews"):
        for arch in ("textcnn", "bilstm"):
            base = found.seconds[corpus, arch, "standard"]
            assert found.seconds[corpus, arch, "uegr"] == pytest.approx(3 * base)
    assert found.seconds["imdb", "bilstm", "at"] == pytest.approx(5 * found.seconds["imdb", "textcnn", "at"])


def test_nothing_to_run_takes_no_time(jobs: list[Job], tmp_path) -> None:
    found = estimate([], Places(tmp_path), lambda line: None)
    assert (found.total([], 1), found.timed) == (0, 0)
    assert estimate(jobs[-1:], Places(tmp_path), lambda line: None).total(jobs[-1:], 1) == 0
