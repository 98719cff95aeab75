"""Made-up results, so that every number of a table can be worked out by hand; one thread for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch

from zoo.core.identity import cell_id
from zoo.core.result import Cell, CorpusInfo, Machine, Result, encode_classes
from zoo.models import ARCHS

NOTES = {"ag_news": ("partial: 45,746 of 120,000 training rows",), "iflytek": ("fraction 0.1",)}
RECIPE = {"forward": {"kind": "bi_stage", "alpha": 0.5}, "dropout": None, "backward": None}
CURVE = (
    {"epoch": 1, "loss": 0.7, "kept_share": 0.4, "drop_rate": {"embedding": 0.2, "head": 0.21}},
    {"epoch": 2, "loss": 0.512345, "kept_share": 0.41, "drop_rate": {"embedding": 0.2, "head": 0.2}},
)


@pytest.fixture
def result() -> Callable[..., Result]:
    """A maker of one cell's result in which exactly the examples `wrong` are misclassified."""

    def make(
        recipe: str,
        corpus: str = "imdb",
        arch: str = "texthan",
        seed: int = 0,
        fold: int | None = None,
        *,
        n: int = 100,
        wrong: range | list[int] = range(0),
        step: float = 0.010,
        truth_shift: int = 0,
        alpha: float = 0.5,
        train: dict[str, Any] | None = None,
        processor: str | None = None,
        measures: dict[str, float] | None = None,
        **changes: Any,
    ) -> Result:
        cell = Cell(corpus, arch, recipe, seed, fold)
        settings = {
            "recipe": RECIPE | {"forward": {"kind": "bi_stage", "alpha": alpha}},
            "train": {"epochs": 2, "batch_size": 16, **(train or {})},
            "text": {"max_length": 64, "fold": fold or 0},
        }
        truth = (np.arange(n) + truth_shift) % 2
        predictions = truth.copy()
        predictions[list(wrong)] = 1 - truth[list(wrong)]
        accuracy = float((truth == predictions).mean())
        made = Result(
            id=cell_id(asdict(cell), settings, f"{n}{truth_shift}"),
            cell=cell,
            status="done",
            settings=settings,
            corpus=CorpusInfo(corpus, "en", "f" * 16, 2, 1000, 50, n, 99, NOTES.get(corpus, ())),
            measures={"accuracy": accuracy, "macro_f1": accuracy, **(measures or {})},
            validation_accuracy=accuracy,
            best_epoch=2,
            curve=CURVE,
            predictions=encode_classes(predictions),
            truth=encode_classes(truth),
            parameters=1234,
            machine=Machine("cpu", processor, threads=1),
            seconds={"total": 3.0, "train": 2.5, "evaluate": 0.5},
            step_seconds=2 * step,
            step_cpu_seconds=step,
            made_by={"version": "1.0", "commit": "abc1234"},
        )
        return replace(made, **changes)

    return make


@pytest.fixture
def failed(result: Callable[..., Result]) -> Callable[..., Result]:
    """A maker of a failed cell's result."""

    def make(*cell: Any, reason: str = "NaN", **names: Any) -> Result:
        nothing = {"measures": {}, "validation_accuracy": None, "best_epoch": None, "curve": ()}
        made = result(*cell, **names)
        return replace(made, status="failed", reason=reason, predictions="", truth="", seconds={}, **nothing)

    return make


@pytest.fixture(params=ARCHS)
def arch(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
