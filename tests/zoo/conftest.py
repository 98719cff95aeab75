"""Made-up results, so that every number of a table can be worked out by hand; one thread for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from zoo.grid.store import cell_id, encode_classes
from zoo.settings import ARCHS

Result = dict[str, Any]
NOTES = {"ag_news": ["partial: 45,746 of 120,000 training rows"], "iflytek": ["fraction 0.1"]}


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
        **changes: Any,
    ) -> Result:
        cell = {"corpus": corpus, "arch": arch, "recipe": recipe, "seed": seed, "fold": fold}
        settings = {"text": {"max_length": 64}, "train": {"epochs": 2}, "recipe": {"alpha": 0.5}}
        truth = (np.arange(n) + truth_shift) % 2
        predictions = truth.copy()
        predictions[list(wrong)] = 1 - truth[list(wrong)]
        accuracy = float((truth == predictions).mean())
        notes = NOTES.get(corpus, [])
        return {
            "id": cell_id(cell, settings, "f" * 16),
            "cell": cell,
            "settings": settings,
            "status": "done",
            "corpus": {
                "name": corpus,
                "train_rows": 1000,
                "validation_rows": 50,
                "test_rows": n,
                "notes": notes,
            },
            "device": "cpu",
            "threads": 1,
            "seconds": {"total": 3.0, "train": 2.5, "evaluate": 0.5},
            "step_seconds": 2 * step,
            "step_cpu_seconds": step,
            "parameters": 1234,
            "curve": [
                {"epoch": 1, "loss": 0.7, "kept_share": 0.4, "drop_rate": {"embedding": 0.2, "head": 0.21}},
                {
                    "epoch": 2,
                    "loss": 0.512345,
                    "kept_share": 0.41,
                    "drop_rate": {"embedding": 0.2, "head": 0.2},
                },
            ],
            "best_epoch": 2,
            "validation_accuracy": accuracy,
            "test_accuracy": accuracy,
            "test_macro_f1": accuracy,
            "predictions": encode_classes(predictions),
            "truth": encode_classes(truth),
            **changes,
        }

    return make


@pytest.fixture(params=ARCHS)
def arch(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
