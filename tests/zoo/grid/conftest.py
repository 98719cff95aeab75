"""Made-up results of today's form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from zoo.core.identity import cell_id
from zoo.core.result import Cell, CorpusInfo, Machine, Result, encode_classes


@pytest.fixture
def made() -> Callable[..., Result]:
    """A maker of the result of one cell of 4 texts and 2 classes, one of them misclassified."""

    def make(recipe: str = "uegr", seed: int = 0, **changes: Any) -> Result:
        cell = Cell("imdb", "texthan", recipe, seed)
        truth, predictions = np.array([0, 1, 0, 1]), np.array([0, 1, 0, 0])
        values: dict[str, Any] = {
            "id": cell_id(vars(cell), {}, "f" * 16),
            "cell": cell,
            "status": "done",
            "settings": {"train": {"epochs": 2}},
            "corpus": CorpusInfo("imdb", "en", "f" * 16, 2, 100, 20, 4, 50, ("a note",)),
            "measures": {"accuracy": 0.75, "macro_f1": 0.7333, "attacked_accuracy": 0.5},
            "validation_accuracy": 0.8,
            "best_epoch": 2,
            "curve": ({"epoch": 1, "loss": 0.7, "drop_rate": {"pooled": 0.2}}, {"epoch": 2, "loss": None}),
            "predictions": encode_classes(predictions),
            "truth": encode_classes(truth),
            "attacked": {
                "attack": "fgsm",
                "rows": 2,
                "predictions": encode_classes(np.array([0, 1])),
                "truth": encode_classes(np.array([0, 0])),
            },
            "parameters": 1234,
            "vectors": {"kind": "random", "coverage": 0.0},
            "machine": Machine("cpu (x86_64)", "AVX2", "MKL", ("oneDNN products",), 1),
            "seconds": {"total": 3.0, "train": 2.5},
            "step_seconds": 0.02,
            "peak_memory_mb": 300.0,
            "made_by": {"version": "0.1.0", "commit": None},
            "versions": {"torch": "2.4"},
        }
        return Result(**values | changes)

    return make
