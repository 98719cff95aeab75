"""The cells of a study: each named by all that it is made of, and run where the study says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from zoo.core.errors import UserError
from zoo.core.names import NO_ARCH
from zoo.grid import worker
from zoo.grid.engines.local import Local
from zoo.grid.jobs import Job, Places
from zoo.grid.plan import plan_jobs
from zoo.grid.store import Store
from zoo.settings import PRESETS
from zoo.studies import run
from zoo.text.settings import silent


def jobs_of(study) -> list[Job]:
    return list(run.plan(study, silent).jobs)


def ids(study) -> set[str]:
    return {job.id for job in jobs_of(study)}


def words(path: Path, *names: str) -> str:
    """A file of vectors of 8 dimensions."""
    path.write_text("".join(f"{name} {' '.join(['0.5'] * 8)}\n" for name in names))
    return str(path)


def test_a_cell_is_named_by_its_data(small, films: Path, tmp_path: Path) -> None:
    """The same file elsewhere: the same cells. One word of one text, or one label, more: others."""
    copy = tmp_path / "films.csv"
    axes = {"corpora": [str(copy)]}
    copy.write_text(films.read_text())
    assert ids(small(axes)) == ids(small())
    for old, new in (("bad film number 2,", "bad films number 2,"), ("number 4,neg", "number 4,pos")):
        copy.write_text(films.read_text().replace(old, new))
        assert not ids(small(axes)) & ids(small())


def test_every_fold_has_cells_and_texts_of_its_own(small) -> None:
    jobs = jobs_of(small({"folds": 3}))
    assert len({job.id for job in jobs}) == len(jobs) == 6
    for reference in (False, True):
        own = [job for job in jobs if job.is_reference is reference]
        assert [job.cell.fold for job in own] == [0, 1, 2]
        assert [job.settings.text.fold for job in own] == [0, 1, 2]
        assert len({job.corpus.fingerprint for job in own}) == 3
    assert {job.cell.fold for job in jobs_of(small())} == {None}


def test_cost_is_passes_by_tokens_by_epochs(small) -> None:
    jobs = jobs_of(small({"recipes": ["standard", "uegr"]}, {"epochs": 2}))
    reference, plain, uegr = sorted(jobs, key=lambda job: job.units)
    assert (reference.cell.arch, reference.units) == (NO_ARCH, 0)
    assert uegr.units == 3 * plain.units
    once = next(job for job in jobs_of(small({"recipes": ["standard"]})) if not job.is_reference)
    assert plain.units == 2 * once.units >= 2 * once.corpus.train_rows


def test_vectors_are_tried_on_every_corpus_before_any_cell_runs(small, films: Path, tmp_path: Path) -> None:
    other = tmp_path / "vehicles.csv"
    rows = [f"{'fast' if i % 2 else 'slow'} car {i},{i % 2}" for i in range(60)]
    other.write_text("\n".join(["text,label", *rows]))
    file = words(tmp_path / "v.txt", "good", "bad", "film")
    with pytest.raises(UserError, match=r"has none of the .* words of vehicles"):
        run.plan(small({"corpora": [str(films), str(other)]}, {"vectors": file}), silent)


def test_vectors_of_another_size_are_refused_before_any_cell_runs(small, tmp_path: Path) -> None:
    file = words(tmp_path / "v.txt", "good", "bad")
    with pytest.raises(UserError, match="of 8 dimensions; expected 9"):
        run.plan(small(changes={"vectors": file, "embedding": 9}), silent)


def test_two_corpora_of_one_name_have_no_cells(small, films: Path, tmp_path: Path) -> None:
    """Also where nobody has looked before."""
    twin = tmp_path / "films.csv"
    twin.write_text(films.read_text().replace("number", "no."))
    study = small({"corpora": [str(films), str(twin)]})
    with pytest.raises(UserError, match="have one name, films"):
        plan_jobs(study, Places(tmp_path, cache=films.parent / "cache"), silent)


def test_a_corpus_that_has_changed_since_is_not_trained_on(small, films: Path, tmp_path: Path) -> None:
    copy = tmp_path / "films.csv"
    copy.write_text(films.read_text())
    planned = run.plan(small({"corpora": [str(copy)]}), silent)
    copy.write_text(films.read_text().replace("film number 7,", "play number 7,"))
    with pytest.raises(UserError, match="has changed since the run began; run again"):
        worker.work(planned.jobs, planned.places, lambda event: None, planned.pending)
    assert run.results_of(planned) == []


def test_everything_prepared_goes_to_the_studys_cache(
    small, films: Path, tmp_path: Path, monkeypatch
) -> None:
    cache, usual = tmp_path / "cache", tmp_path / "usual"
    monkeypatch.setenv("UEGR_CACHE", str(usual))
    planned = run.plan(small(changes={"vectors": "word2vec"}, cache=str(cache)), silent)
    run.run_plan(planned)
    assert all(result.done for result in run.results_of(planned))
    assert {path.name for path in cache.iterdir()} >= {"prepared", "vectors"}
    assert not usual.exists()


def test_a_study_has_its_own_results_alone(small) -> None:
    """Of a folder with the results of another one, too."""
    first = run.plan(small(), silent)
    run.run_plan(first)
    second = run.plan(small({"recipes": ["standard"]}), silent)
    assert [result.cell.arch for result in run.results_of(second)] == [NO_ARCH]
    run.run_plan(second)
    assert {result.id for result in run.results_of(second)} == {job.id for job in second.jobs}
    assert len(list(Store(first.places.out).cells())) == 3


def test_places_are_those_of_the_study(small, tmp_path: Path, monkeypatch) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    places = run.places_of(small(data=str(data), cache=str(cache), graphs=False, keep_weights=True))
    assert (places.data, places.cache, places.graphs, places.keep_weights) == (data, cache, False, True)
    assert run.places_of(small(data="", cache="")).cache is None
    assert run.workers_of(small(jobs=3), places) == 3
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cuda = replace(places, device="cuda")
    for given, workers in (({}, 2), ({"cells_per_gpu": 3}, 2), ({"cells_per_gpu": 3, "mps": True}, 6)):
        assert run.workers_of(small(jobs=0, **given), cuda) == workers
    monkeypatch.setattr(Local, "device", lambda self, asked: "cuda")
    for given, lanes in (({}, 1), ({"cells_per_gpu": 3}, 3), ({"cells_per_gpu": 3, "mps": True}, 1)):
        assert run.places_of(small(jobs=0, **given)).lanes == lanes


@pytest.mark.parametrize(("cells", "said"), [(0, []), (1, []), (2, ["2 at once"])])
def test_how_cells_share_a_gpu_is_said(
    cells: int, said: list[str], small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Local, "device", lambda self, asked: "cuda")
    monkeypatch.setattr(run, "how_shared", lambda cells, mps: f"{cells} at once")
    monkeypatch.setattr(run, "plan_jobs", lambda *_: [])
    lines: list[str] = []
    run.jobs_of(small(jobs=0, cells_per_gpu=cells), lines.append)
    assert lines == said


def test_a_result_that_no_report_could_read_is_found_out_first(small, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(run, "plan_jobs", lambda *a: pytest.fail("a corpus was prepared"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.json").write_text("{}")
    with pytest.raises(UserError, match=r"mine.json"):
        run.plan(small(), silent)


def test_a_corpus_that_a_preset_trains_otherwise(small, films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = PRESETS["demo"] | {"train_by_corpus": {str(films): {"learning_rate": 0.5}}}
    monkeypatch.setitem(PRESETS, "demo", rows)
    (job,) = (job for job in jobs_of(small()) if not job.is_reference)
    assert job.settings.train.learning_rate == 0.5
