"""The search for settings: on validation, one setting at a time, then the best ones together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo import tune
from zoo.core.errors import UserError
from zoo.grid.store import Store


def test_what_is_varied_fits_the_recipe() -> None:
    assert set(tune.grid_of("standard")) == {"learning_rate"}
    assert set(tune.grid_of("dropout")) == {"learning_rate", "base_rates"}
    assert set(tune.grid_of("r_at")) == {"learning_rate", "base_rates", "epsilon", "alpha"}
    assert set(tune.grid_of("uegr")) == set(tune.GRID)


def test_the_best_is_chosen_by_validation_and_combined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made-up scores: each setting adds its own part, so the best ones together must win."""
    gains = {"learning_rate=1e-2": 0.02, "base_rates=0.4": 0.01, "base_rates=0.1": -0.01}

    def validation(options, recipe, settings):
        return {s: 0.5 + sum(gains.get(f"{k}={v}", 0.0) for k, v in s) for s in settings}

    monkeypatch.setattr(tune, "_validation", validation)
    assert tune.main(["--recipe", "dropout", "--json", "--out", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)["dropout"]
    assert found["best"] == {"learning_rate": "1e-2", "base_rates": "0.4"}
    assert max(row["validation"] for row in found["settings"]) == pytest.approx(0.53)
    assert {"test_accuracy"}.isdisjoint(found["settings"][0])


def test_only_what_is_asked_for_is_varied() -> None:
    assert tune.grid_of("uegr", ["learning_rate=1,2", "alpha=3"]) == {
        "learning_rate": ("1", "2"), "alpha": ("3",),
    }  # fmt: skip
    assert tune.grid_of("dropout", ["learning_rate=1,2", "alpha=3"]) == {"learning_rate": ("1", "2")}
    with pytest.raises(UserError, match="--vary alpha"):
        tune.grid_of("uegr", ["alpha"])


def test_it_runs_on_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{'good' if i % 2 else 'bad'} film number {i},{'pos' if i % 2 else 'neg'}" for i in range(120)]
    (tmp_path / "films.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    options = ["--preset", "demo", "--epochs", "1", "--jobs", "1", "--corpus", str(tmp_path / "films.csv")]
    best = ["--best-out", str(tmp_path / "best"), "--best-seeds", "3"]
    code = tune.main([*options, "--recipe", "standard", "--out", str(tmp_path / "out"), *best])
    cells = [r for r in Store(tmp_path / "best").cells() if r["cell"]["arch"] != "-"]
    assert [r["cell"]["seed"] for r in cells] == [3]
    assert (
        tune.main([*options, "--recipe", "standard", "--out", str(tmp_path / "out"), *best[:3], "100"]) == 2
    )
    assert "--best-seeds 100" in capsys.readouterr().err
    assert tune.main([*options, "--recipe", "standard", "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert code == 0
    assert "learning_rate=1e-2" in out
    assert "<- best" in out
    assert tune.main([*options, "--recipe", "standart"]) == 2
    assert "did you mean 'standard'" in capsys.readouterr().err
