"""The search for settings: on validation, one setting at a time, then the best ones together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from corpora import write_films

from zoo import tune
from zoo.core.errors import UserError
from zoo.grid import trainings
from zoo.grid.store import Store
from zoo.settings import PRESETS
from zoo.studies import run
from zoo.studies.study import Study
from zoo.training.cell import train_cell
from zoo.training.settings import CellFailed

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def films(tmp_path: Path) -> list[str]:
    """The options of a search over a small corpus of our own."""
    films = write_films(tmp_path)
    sizes = ["--set", "embedding=8", "filters=4", "widths=1,2"]
    return [
        "--preset", "demo", "--epochs", "1", "--jobs", "1", "--corpus", str(films),
        "--cache-dir", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), "--no-portable", *sizes,
    ]  # fmt: skip


def scored(monkeypatch: pytest.MonkeyPatch, gains: Mapping[str, float | None]) -> None:
    """Made-up scores: each setting adds its own part to 0.5; None: its cells failed."""

    def validation(search: tune.Search, settings: list[tune.Setting]) -> tune.Scores:
        parts = {s: [gains.get(f"{k}={v}", 0.0) for k, v in s] for s in settings}
        parts = {s: [*found, gains.get("default", 0.0)] if not s else found for s, found in parts.items()}
        return {s: None if None in found else 0.5 + sum(found) for s, found in parts.items()}

    monkeypatch.setattr(tune, "_validation", validation)
    monkeypatch.setattr(run, "check_here", lambda study, places: None)


def test_what_is_varied_fits_the_recipe() -> None:
    assert set(tune.grid_of("standard")) == {"learning_rate"}
    assert set(tune.grid_of("dropout")) == {"learning_rate", "base_rates"}
    assert set(tune.grid_of("r_at")) == {"learning_rate", "base_rates", "epsilon", "alpha"}
    assert set(tune.grid_of("uegr")) == set(tune.GRID)


def test_what_the_study_makes_a_recipe_read_can_be_varied() -> None:
    study = Study.of("quick", {"recipes": ("dropout",)}, changes={"dropout": "rank"})
    (search,) = tune._searches(study, ["q_max=0.8"])
    assert search.grid == {"q_max": ("0.8",)}
    assert tune.grid_of("dropout", ["q_max=0.8"]) == {}


def test_what_no_method_reads_is_not_ignored() -> None:
    """Nothing would be varied, and the table would have the default alone."""
    study = Study.of("quick", {"recipes": ("dropout", "standard")})
    with pytest.raises(UserError, match=r"--vary alpha: none of .*\(dropout, standard\) reads it"):
        tune._searches(study, ["learning_rate=0.1", "alpha=1,2"])
    two = tune._searches(Study.of("quick", {"recipes": ("dropout", "uegr")}), ["alpha=1,2"])
    assert [search.grid for search in two] == [{}, {"alpha": ("1", "2")}]


def test_a_value_may_have_commas_of_its_own() -> None:
    assert tune.grid_of("dropout", ["epochs=2,3"]) == {"epochs": ("2", "3")}
    assert tune.grid_of("dropout", ["sites=pooled;embedding,pooled"]) == {
        "sites": ("pooled", "embedding,pooled")
    }
    assert tune.grid_of("dropout", ["sites=embedding,pooled;"]) == {"sites": ("embedding,pooled",)}
    with pytest.raises(UserError, match=r"--vary sites=pooled;;: expected NAME=VALUE"):
        tune.grid_of("dropout", ["sites=pooled;;"])


def test_the_best_is_chosen_by_validation_and_combined(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Each setting adds its own part, so the best ones together must win."""
    scored(monkeypatch, {"learning_rate=1e-2": 0.02, "base_rates=0.4": 0.01, "base_rates=0.1": -0.01})
    assert tune.main(["--recipe", "dropout", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["dropout"]
    assert found["best"] == {"learning_rate": "1e-2", "base_rates": "0.4"}
    assert max(row["validation"] for row in found["settings"]) == pytest.approx(0.53)
    assert set(found["settings"][0]) == {"setting", "validation", "difference"}


def test_a_setting_whose_cells_failed_has_no_score_and_the_command_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    scored(monkeypatch, {"learning_rate=3e-2": None, "base_rates=0.4": 0.01})
    assert tune.main(["--recipe", "dropout"]) == 1
    out = capsys.readouterr().out
    assert " 0.00 " not in out
    (line,) = [line for line in out.splitlines() if "learning_rate=3e-2" in line]
    assert line.split() == ["learning_rate=3e-2", "failed"]
    scored(monkeypatch, {"default": None, "base_rates=0.4": 0.01})
    assert tune.main(["--recipe", "dropout", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["dropout"]
    assert found["best"] is not None, "another setting can be chosen where the default failed"
    assert {row["difference"] for row in found["settings"]} == {None}


def test_where_every_setting_failed_nothing_is_chosen_nor_trained(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    names = [f"{name}={value}" for name in ("learning_rate", "base_rates") for value in tune.GRID[name]]
    scored(monkeypatch, dict.fromkeys([*names, "default"]))
    monkeypatch.setattr(tune, "_train_best", lambda *a: pytest.fail("nothing was chosen"))
    assert tune.main(["--recipe", "dropout", "--best-out", str(tmp_path / "best")]) == 1
    assert "nothing to choose from" in capsys.readouterr().out


def test_only_what_is_asked_for_is_varied() -> None:
    assert tune.grid_of("uegr", ["learning_rate=1,2", "alpha=3"]) == {
        "learning_rate": ("1", "2"), "alpha": ("3",),
    }  # fmt: skip
    assert tune.grid_of("dropout", ["learning_rate=1,2", "alpha=3"]) == {"learning_rate": ("1", "2")}
    with pytest.raises(UserError, match="--vary alpha"):
        tune.grid_of("uegr", ["alpha"])


def test_it_runs_on_a_corpus(films: list[str], tmp_path: Path, capsys: Capture) -> None:
    search = [*films, "--recipe", "r_drop", "--vary", "learning_rate=3e-2", "alpha=4"]
    assert tune.main([*search, "--best-out", str(tmp_path / "best"), "--best-seeds", "3"]) == 0
    captured = capsys.readouterr()
    assert "<- best" in captured.out
    lines = [line for line in captured.err.splitlines() if "films textcnn r_drop s100" in line]
    assert len({line.split("] ")[1] for line in lines}) == len(lines), "lines of settings look alike"
    assert any("s100 learning_rate=3e-2 " in line for line in lines)
    assert any("s100 default " in line for line in lines)
    cells = [r for r in Store(tmp_path / "best").cells() if r.cell.arch != "-"]
    assert [r.cell.seed for r in cells] == [3]
    searched = list(Store(tmp_path / "out").cells())
    assert {r.cell.arch for r in searched} == {"textcnn"}
    assert all(r.settings["train"]["epochs"] == 1 for r in searched)
    assert all(r.settings["model"]["filters"] == 4 for r in searched), "--set must reach the search"


def test_failed_cells_of_a_real_search(
    films: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_at_high_rates(head, settings, *arguments, **options):
        if settings.train.learning_rate > 0.5:
            raise CellFailed("the loss is nan")
        return train_cell(head, settings, *arguments, **options)

    monkeypatch.setattr(trainings, "train_cell", fails_at_high_rates)
    assert tune.main([*films, "--recipe", "standard", "--vary", "learning_rate=1e-2,1"]) == 1
    out = capsys.readouterr().out
    assert "learning_rate=1 " in out
    assert out.count("failed") == 1


def test_the_choice_reads_no_test_result(films: list[str], capsys: Capture, monkeypatch) -> None:
    """With every measure on the test part made up, the same settings are chosen."""
    import dataclasses

    search = [*films, "--recipe", "standard", "--json"]
    assert tune.main(search) == 0
    chosen = json.loads(capsys.readouterr().out)

    def blind(planned: run.Plan) -> list:
        kept = [Store(planned.places.out).read(job.id) for job in planned.jobs]
        return [dataclasses.replace(r, measures={}, predictions="", truth="", attacked=None) for r in kept]

    monkeypatch.setattr(run, "results_of", blind)
    assert tune.main(search) == 0
    assert json.loads(capsys.readouterr().out) == chosen


def made_up(monkeypatch: pytest.MonkeyPatch, scores: Mapping[tuple[str, int], float | None]) -> None:
    """Nothing is trained: validation as said for each (learning rate, seed), test the other way round.

    None: the cell failed, and its last epoch's accuracy is still there.
    """

    def results(planned: run.Plan) -> list:
        found = []
        for job in planned.jobs:
            rate = "" if job.is_reference else f"{job.settings.train.learning_rate:g}"
            score = 0.99 if job.is_reference else scores[rate, job.cell.seed]
            status = "failed" if score is None else "done"
            value = 0.99 if score is None else score
            found.append(
                replace(job.head, status=status, validation_accuracy=value, measures={"accuracy": 1 - value})
            )
        return found

    monkeypatch.setattr(run, "run_plan", lambda planned: None)
    monkeypatch.setattr(run, "results_of", results)


def searched(films: list[str], capsys: Capture, code: int = 0) -> tuple[object, dict[str, float | None]]:
    search = [*films, "--recipe", "standard", "--seeds", "7", "8", "--json"]
    assert tune.main([*search, "--vary", "learning_rate=0.02,0.05"]) == code
    found = json.loads(capsys.readouterr().out)["standard"]
    rows = {row["setting"].get("learning_rate", "default"): row["validation"] for row in found["settings"]}
    return found["best"], rows


DEFAULT = f"{PRESETS['demo']['train']['learning_rate']:g}"


def test_a_score_is_the_mean_on_validation_over_all_seeds(
    films: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the first seed, by the better of two parts, or with the reference row, another would be chosen."""
    scores = {(DEFAULT, 7): 0.5, (DEFAULT, 8): 0.5, ("0.02", 7): 0.9, ("0.02", 8): 0.2}
    made_up(monkeypatch, {**scores, ("0.05", 7): 0.6, ("0.05", 8): 0.7})
    best, rows = searched(films, capsys)
    assert rows == pytest.approx({"default": 0.5, "0.02": 0.55, "0.05": 0.65})
    assert best == {"learning_rate": "0.05"}


def test_a_setting_with_one_failed_seed_has_no_score(
    films: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {(DEFAULT, 7): 0.5, (DEFAULT, 8): 0.5, ("0.02", 7): 0.9, ("0.02", 8): None}
    made_up(monkeypatch, {**scores, ("0.05", 7): 0.4, ("0.05", 8): 0.4})
    best, rows = searched(films, capsys, code=1)
    assert rows == {"default": 0.5, "0.02": None, "0.05": 0.4}
    assert best == {}, "the default is the best of those that have a score"


def test_differences_are_to_the_default(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    scored(monkeypatch, {"learning_rate=1e-2": 0.02, "base_rates=0.1": -0.01})
    assert tune.main(["--recipe", "dropout", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["dropout"]["settings"]
    found = {tuple(row["setting"].items()): row["difference"] for row in rows}
    assert found[()] == 0
    assert found[("learning_rate", "1e-2"),] == pytest.approx(0.02)
    assert found[("base_rates", "0.1"),] == pytest.approx(-0.01)


def test_what_does_not_help_is_not_put_together(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    gains = {f"{name}={value}": -0.1 for name in tune.GRID for value in tune.GRID[name]}
    scored(monkeypatch, gains)
    assert tune.main(["--recipe", "dropout", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["dropout"]
    assert found["best"] == {}
    assert all(len(row["setting"]) <= 1 for row in found["settings"])
    scored(monkeypatch, {**gains, "base_rates=0.4": 0.1})
    assert tune.main(["--recipe", "dropout", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dropout"]["best"] == {"base_rates": "0.4"}


def test_the_best_is_trained_at_its_setting_with_new_seeds(
    films: list[str], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {DEFAULT: 0.5, "0.02": 0.6, "0.05": 0.4}
    made_up(monkeypatch, {(rate, seed): score for rate, score in rates.items() for seed in (3, 4, 7)})
    plans: list[run.Plan] = []
    monkeypatch.setattr(run, "run_plan", plans.append)
    search = [*films, "--recipe", "standard", "--seeds", "7", "--vary", "learning_rate=0.02,0.05"]
    assert tune.main([*search, "--best-out", str(tmp_path / "best"), "--best-seeds", "3", "4"]) == 0
    networks = [job for job in plans[-1].jobs if not job.is_reference]
    assert {(job.cell.seed, job.settings.train.learning_rate) for job in networks} == {(3, 0.02), (4, 0.02)}
    assert plans[-1].places.out == tmp_path / "best"
    assert all(job.cell.seed == 7 for plan in plans[:-1] for job in plan.jobs)
    assert tune.main([*search, "--best-out", str(tmp_path / "more"), "--best-seeds", "3", "7"]) == 2
    assert "--best-seeds 7: also a seed of the search" in capsys.readouterr().err
