"""Running a study on this machine: each cell once, nothing lost, nothing taken for something else."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zoo.core import errors
from zoo.core.errors import UserError
from zoo.grid import trainings, worker
from zoo.grid.engines.local import _Pool
from zoo.grid.store import Store
from zoo.studies import run
from zoo.studies.study import Study
from zoo.text import load_corpus
from zoo.training.cell import make_model
from zoo.training.run import Run
from zoo.training.settings import CellFailed


def ran(study: Study) -> run.Plan:
    planned = run.plan(study)
    run.run_plan(planned)
    return planned


def test_a_failed_cell_is_tried_once_a_run_whoever_tries_it(small, monkeypatch) -> None:
    """Two workers, one after the other, share what is pending; the next run tries again."""
    tried = []

    def fails(head, *arguments, **options):
        tried.append(head.id)
        raise CellFailed("the loss is nan")

    monkeypatch.setattr(trainings, "train_cell", fails)
    planned = run.plan(small({"seeds": [0, 1]}))
    events = []
    for _ in range(2):
        worker.work(planned.jobs, planned.places, events.append, planned.pending)
    assert len(tried) == 2
    assert [event[0] for event in events].count("failed") == 2
    again = run.plan(small({"seeds": [0, 1]}))
    assert set(again.pending) == set(tried)
    worker.work(again.jobs, again.places, events.append, again.pending)
    assert len(tried) == 4


def test_a_bug_in_one_cell_is_recorded_with_its_traceback(small, monkeypatch) -> None:
    monkeypatch.setattr(trainings, "train_cell", lambda *a, **k: 1 / 0)
    planned = ran(small())
    (failed,) = [result for result in run.results_of(planned) if not result.done]
    assert failed.reason == "ZeroDivisionError: division by zero"
    assert "Traceback" in failed.traceback
    assert failed.made_by["version"]


def test_a_cell_that_a_dead_worker_had_finished_is_not_lost(small) -> None:
    """It was written, but its worker died before it could tell."""
    planned = run.plan(small())
    events = []
    pool = _Pool(planned.jobs, planned.places, events.append, planned.pending)
    worker.work(planned.jobs, planned.places, lambda event: None, planned.pending)
    number = next(n for n, job in enumerate(planned.jobs) if not job.is_reference)
    pool._record_lost([number])
    assert [event[0] for event in events] == ["done"]
    assert all(result.done for result in run.results_of(planned))


def test_a_cell_that_another_worker_has_taken_over_is_not_recorded_as_lost(small) -> None:
    planned = run.plan(small())
    events = []
    pool = _Pool(planned.jobs, planned.places, events.append, planned.pending)
    store = Store(planned.places.out)
    with store.claim(planned.jobs[0].id):
        pool._record_lost([0])
    assert events == []
    assert run.results_of(planned) == []
    pool._record_lost([0])
    assert [event[0] for event in events] == ["failed"]
    (lost,) = run.results_of(planned)
    assert "its worker process died" in lost.reason


def test_results_of_another_kind_of_processor_count_and_are_told_of_once(small, capsys) -> None:
    planned = ran(small({"seeds": [0, 1]}))
    store = Store(planned.places.out)
    foreign = next(result for result in store.cells() if result.cell.arch != "-")
    store.write(replace(foreign, machine=replace(foreign.machine, processor="SSE")))
    capsys.readouterr()
    again = ran(small({"seeds": [0, 1]}))
    assert again.pending == {}
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "1 finished cells were made on another kind of processor" in told[0]
    anew = ran(small({"seeds": [0, 1]}, rerun_foreign=True))
    assert set(anew.pending) == {foreign.id}
    assert store.read(foreign.id).machine.processor == foreign.machine.processor


def test_a_result_of_another_kind_of_processor_outlives_a_failure_here(
    small, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(ran(small()).places.out)
    (foreign,) = (result for result in store.cells() if result.cell.arch != "-")
    store.write(replace(foreign, machine=replace(foreign.machine, processor="SSE")))

    def broken(*arguments: object, **options: object) -> None:
        raise CellFailed("out of memory")

    monkeypatch.setattr(trainings, "train_cell", broken)
    planned = ran(small(rerun_foreign=True))
    assert set(planned.pending) == {foreign.id}
    assert "failed: out of memory" in capsys.readouterr().err
    assert store.read(foreign.id).machine.processor == "SSE"
    planned = run.plan(small(rerun_foreign=True))
    events = list[Any]()
    _Pool(planned.jobs, planned.places, events.append, planned.pending)._record_lost([1])
    assert [event[0] for event in events] == ["failed"]
    assert store.read(foreign.id).machine.processor == "SSE"


def test_a_file_of_vectors_names_a_cell_by_its_content(small, films: Path, tmp_path: Path) -> None:
    def names(path: Path) -> set[str]:
        jobs = run.plan(small(changes={"vectors": str(path)})).jobs
        return {job.id for job in jobs if not job.is_reference}

    files = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
    for path, value in zip(files, (1, 1, 2), strict=True):
        path.write_text(
            "\n".join(f"{word} " + " ".join([str(value)] * 8) for word in ("good", "bad", "film"))
        )
    one, same, other = map(names, files)
    assert one == same != other
    assert one != names_of_random(small)


def names_of_random(small) -> set[str]:
    return {job.id for job in run.plan(small()).jobs if not job.is_reference}


def test_the_weights_that_are_kept_give_the_predictions_of_the_result(small) -> None:
    files = pytest.importorskip("safetensors.torch")
    planned = ran(small({"recipes": ["uegr"]}, keep_weights=True))
    (job,) = [job for job in planned.jobs if not job.is_reference]
    corpus = load_corpus(job.source, job.settings.text, planned.places.data, planned.places.cache)
    trained = Run(
        make_model("textcnn", 1, job.settings, corpus, None), 0, job.settings, corpus, torch.device("cpu")
    )
    trained.model.load_state_dict(files.load_file(planned.places.weights(job.id)))
    _, predictions = Store(planned.places.out).read(job.id).classes()
    assert np.array_equal(trained.predict(corpus.test).predictions, predictions)
    assert len(list(Store(planned.places.out).cells())) == 2, "the weights are no result"


def test_portable_cells_are_run_by_a_process_that_was_started_so(small) -> None:
    planned = ran(small(portable=True))
    cells = [result for result in run.results_of(planned) if result.cell.arch != "-"]
    assert [cell.done for cell in cells] == [True], cells
    assert cells[0].machine.processor is not None
    assert cells[0].machine.processor.endswith("(portable)")
    again = run.plan(small(portable=True))
    assert (again.pending, again.foreign) == ({}, 0)


def test_two_corpora_of_one_name_are_refused_before_any_text_is_read(
    small, films: Path, tmp_path: Path
) -> None:
    twin = tmp_path / "films.csv"
    twin.write_bytes(films.read_bytes())
    with pytest.raises(
        UserError, match=r"have one name, films: .*expected files or folders of different names"
    ):
        run.plan(small({"corpora": [str(films), str(twin)]}))


def test_a_corpus_of_the_same_name_as_one_of_the_folders_is_refused_before_training(
    small, films: Path, tmp_path: Path, monkeypatch
) -> None:
    """An edited file, or another one of its name: no report could tell their cells apart."""
    (tmp_path / "twin").mkdir()
    twin = tmp_path / "twin" / "films.csv"
    twin.write_text(films.read_text().replace("number", "count"))
    (first,) = [job for job in ran(small()).jobs if not job.is_reference]
    said = rf"{tmp_path}/out: has films-.*-s0-\w+, .* from other data than {twin}; expected --out"
    with pytest.raises(UserError, match=said):
        run.plan(small({"corpora": [str(twin)]}))
    # Other seeds, folders and settings are no twins, nor is what a cell itself has left.
    assert len(run.plan(small({"seeds": [1]})).pending) == 1
    assert run.plan(small({"corpora": [str(twin)]}, out=str(tmp_path / "other"))).pending
    (job,) = [job for job in run.jobs_of(small({"corpora": [str(twin)]})) if not job.is_reference]
    other = run.jobs_of(small({"corpora": [str(twin)]}, changes={"filters": 5}))
    assert run.of_jobs(small(), [one for one in other if not one.is_reference]).pending
    Store(tmp_path / "out").write(replace(first.head, id=job.id, status="failed", reason="x"))
    assert set(run.of_jobs(small(), [job, first]).pending) == {job.id}, "its own failure is tried again"


@pytest.mark.parametrize(
    ("axes", "changes", "said"),
    [
        ({"corpora": ["bbc_news", "nowhere.csv"]}, {}, "nowhere.csv"),
        ({}, {"vectors": "fasttext"}, "vectors 'fasttext': no such kind or file"),
        (
            {},
            {"filters": 10_000, "widths": [100], "embedding": 10_000},
            r"parameters: training needs [\d,]+ GiB",
        ),
    ],
)
def test_what_cannot_run_is_refused_before_any_text_is_read(small, axes, changes, said, monkeypatch) -> None:
    monkeypatch.setattr(run, "plan_jobs", lambda *a: pytest.fail("a corpus was prepared"))
    with pytest.raises(UserError, match=said):
        run.plan(small(axes, changes))


def test_the_study_lies_beside_the_results_and_reads_back(small, tmp_path: Path) -> None:
    study = small()
    path = study.write(tmp_path / "out")
    ran(study)
    assert Study.read(path) == study
    assert study.write(tmp_path / "out") == path
    assert len(list(Store(tmp_path / "out").cells())) == 2
    assert json.loads(path.read_text())["changes"]["filters"] == 4


def test_a_full_disk_leaves_no_half_of_a_study(
    small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(errors.os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
        small().write(tmp_path)
    assert list((tmp_path / "studies").iterdir()) == []
