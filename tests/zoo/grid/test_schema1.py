"""Results of the first form are brought into today's under today's names, and none is lost on the way."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.core.errors import UserError
from zoo.core.result import encode_classes
from zoo.grid.schema1 import convert, from_schema1
from zoo.grid.store import Store

RECIPE = {
    "clean": 1, "adversarial": 2, "divergence": "js", "dropout": "mean", "update": "selective",
    "step": "bi_stage", "alpha": 0.5, "divergence_reduction": "mean", "adversarial_reduction": "mean",
    "attack": "fgsm", "attack_scope": "example", "attack_steps": 1, "epsilon": 0.1, "epsilon_unit": "rms",
    "base_rates": [0.2], "sites": [], "gamma": 1.0, "q_min": 0.0, "q_max": 0.95, "statistic": "gradient",
    "statistic_scope": "batch", "statistics": "same_step", "statistics_decay": 0.9,
    "clean_dropout": "adaptive", "keep": "saliency", "keep_constant": 0.5, "saliency": "batch",
    "saliency_decay": 0.9, "normalise": "rank", "normalise_scope": "global", "threshold": 0.6,
    "sharpness": 1.0, "p_floor": 0.0, "rescale": True, "resample": "step", "update_scope": "all",
    "mask_on": "gradient", "ascent_steps": 2, "ascent_rate": 0.1, "initial_magnitude": 0.1,
    "maximum_norm": 0.3,
}  # fmt: skip
MODEL = {
    "embedding": 64, "hidden": 32, "layers": 1, "filters": 32, "widths": [2, 3, 4], "han_hidden": 24,
    "words_per_sentence": 30,
}  # fmt: skip
TRAIN = {
    "epochs": 6, "batch_size": 16, "learning_rate": 0.003, "weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999,
    "adam_epsilon": 1e-08, "warmup": 0.06, "bucketed": True, "vectors": "random", "selection": "best",
}  # fmt: skip
TEXT = {
    "tokeniser": "auto", "max_length": 64, "max_vocabulary": 8000, "min_count": 1, "fraction": 1.0,
    "folds": 0, "fold": 0, "split_seed": 0,
}  # fmt: skip


def old(arch: str = "texthan", recipe: str = "uegr", seed: int = 0, **changes: Any) -> dict[str, Any]:
    """A finished cell as the first form had it."""
    truth, predictions = np.array([0, 1, 0, 1]), np.array([0, 1, 0, 0])
    values: dict[str, Any] = {
        "id": f"bbc_news-{arch}-{recipe}-s{seed}-5258584a",
        "cell": {"corpus": "bbc_news", "arch": arch, "recipe": recipe, "seed": seed, "fold": None},
        "settings": {"recipe": dict(RECIPE), "model": dict(MODEL), "train": dict(TRAIN), "text": dict(TEXT)},
        "corpus": {
            "name": "bbc_news", "language": "en", "fingerprint": "6b8d95a36f03737c", "labels": 2,
            "train_rows": 1485, "validation_rows": 212, "test_rows": 4, "words": 8002, "notes": ["demo"],
        },
        "status": "done",
        "curve": [{"epoch": 1, "loss": 0.5, "drop_rate": {"pooled": 0.2}}],
        "best_epoch": 1,
        "validation_accuracy": 0.8,
        "test_accuracy": 0.75,
        "test_macro_f1": 0.7333,
        "attacked": {"attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms", "rows": 4, "accuracy": 0.25},
        "predictions": encode_classes(predictions),
        "truth": encode_classes(truth),
        "parameters": 10,
        "vectors": {"kind": "random", "coverage": 0.0},
        "device": "cpu (x86_64)",
        "threads": 1,
        "recorded": False,
        "seconds": {"total": 3.0, "train": 2.0, "evaluate": 1.0},
        "step_seconds": 0.02,
        "step_cpu_seconds": 0.02,
        "peak_memory_mb": 300.0,
        "versions": {"uegr": "0.1.0", "python": "3.11.7", "torch": "2.4", "numpy": "2.0"},
    }  # fmt: skip
    return values | changes


def write(folder: Path, *results: dict[str, Any]) -> None:
    for result in results:
        (folder / f"{result['id']}.json").write_text(json.dumps(result))


def test_everything_that_was_measured_is_there_and_what_was_not_is_empty() -> None:
    result = from_schema1(old(), "a.json")
    assert result.measures == {"accuracy": 0.75, "macro_f1": 0.7333, "attacked_accuracy": 0.25}
    assert result.attacked == {"attack": "fgsm", "epsilon": 0.1, "epsilon_unit": "rms", "rows": 4}
    assert (result.machine.device, result.machine.threads) == ("cpu (x86_64)", 1)
    assert (result.machine.processor, result.made_by) == (None, {"version": "0.1.0", "commit": None})
    assert result.versions == {"python": "3.11.7", "torch": "2.4", "numpy": "2.0"}
    same = ("curve", "best_epoch", "validation_accuracy", "predictions", "truth", "seconds", "parameters")
    for name in same:
        value = getattr(result, name)
        assert (list(value) if isinstance(value, tuple) else value) == old()[name], name
    assert result.id.startswith("bbc_news-texthan-uegr-s0-")
    assert set(result.settings["model"]) == {"embedding", "hidden", "layers"}
    assert set(result.settings["recipe"]) == {"forward", "dropout", "backward"}


def test_a_name_does_not_hang_on_what_the_cell_does_not_read() -> None:
    """The first form named a cell by the sizes of all models and the settings of all methods."""
    settings = old()["settings"]
    name = from_schema1(old(), "").id
    unread = [("recipe", "ascent_rate", 0.7), ("recipe", "keep_constant", 0.9), ("model", "filters", 7)]
    read = [
        ("recipe", "alpha", 0.7),
        ("recipe", "threshold", 0.9),
        ("model", "hidden", 7),
        ("train", "epochs", 7),
    ]
    for part, key, value in unread + read:
        changed = {**settings, part: {**settings[part], key: value}}
        same = from_schema1(old(settings=changed), "").id == name
        assert same == ((part, key, value) in unread), key


def test_a_folder_is_converted_once_and_for_all(tmp_path: Path) -> None:
    failed = {key: old(recipe="at")[key] for key in ("id", "cell", "settings", "corpus")}
    write(tmp_path, old(), old(seed=1), {**failed, "status": "failed", "reason": "the loss is nan"})
    with pytest.raises(UserError, match=f"python -m zoo.ablate convert {tmp_path}"):
        list(Store(tmp_path).cells())
    lines: list[str] = []
    assert convert(tmp_path, lines.append) == 3
    assert len(lines) == 3
    results = list(Store(tmp_path).cells())
    assert [(r.cell.recipe, r.cell.seed, r.status) for r in results] == [
        ("at", 0, "failed"), ("uegr", 0, "done"), ("uegr", 1, "done"),
    ]  # fmt: skip
    assert len(list(tmp_path.glob("*.json"))) == 3
    before = {path: path.read_bytes() for path in tmp_path.glob("*.json")}
    assert convert(tmp_path, lines.append) == 0
    assert {path: path.read_bytes() for path in tmp_path.glob("*.json")} == before


def test_an_interrupted_conversion_goes_on(tmp_path: Path) -> None:
    write(tmp_path, old(), old(seed=1))

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(tmp_path, stop)
    assert convert(tmp_path, lambda line: None) == 1
    assert len(list(Store(tmp_path).cells())) == 2


def test_a_conversion_that_is_killed_between_two_files_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file is written and the old one not removed yet."""
    write(tmp_path, old())

    def killed(path: Path, missing_ok: bool = False) -> None:
        if path.parent == tmp_path:
            raise KeyboardInterrupt
        os.unlink(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            convert(tmp_path, lambda line: None)
    assert len(list(tmp_path.glob("*.json"))) == 2
    assert convert(tmp_path, lambda line: None) == 1
    (result,) = Store(tmp_path).cells()
    assert result == from_schema1(old(), "")


def test_a_disk_that_fills_up_loses_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, old())
    before = {path: path.read_bytes() for path in tmp_path.glob("*.json")}

    def full(store: Store, result: object) -> None:
        raise UserError("no space left")

    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(UserError, match="no space left"):
        convert(tmp_path, lambda line: None)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.json")} == before


def test_two_results_that_are_one_cell_today_are_not_chosen_between(tmp_path: Path) -> None:
    twin = old(settings={**old()["settings"], "model": {**MODEL, "filters": 7}})
    write(tmp_path, old(), {**twin, "id": "bbc_news-texthan-uegr-s0-ffffffff", "best_epoch": 2})
    with pytest.raises(UserError, match=r"which .* has already; expected one of them"):
        convert(tmp_path, lambda line: None)
    assert len(list(tmp_path.glob("*.json"))) == 2, "none is lost"


@pytest.mark.parametrize("part", ["cell", "settings", "corpus"])
def test_what_lacks_a_part_is_named(part: str) -> None:
    broken = old()
    broken[part] = {}
    with pytest.raises(UserError, match=r"^a.json: not a result of schema 1"):
        from_schema1(broken, "a.json")
