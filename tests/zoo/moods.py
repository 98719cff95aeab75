"""A problem of words that a small network learns in a second, and how it is trained."""

from __future__ import annotations

from typing import Any

import numpy as np

SMALL: dict[str, Any] = {
    "epochs": 3, "batch_size": 16, "learning_rate": 0.03, "max_length": 12,
    "settings": {"embedding": 8, "filters": 4, "widths": (1, 2)},
}  # fmt: skip
TONES = {
    "bad": ("awful", "dull", "broken"),
    "fine": ("good", "bright", "lovely"),
    "so": ("plain", "usual", "some"),
}


def moods(rows: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Texts of three classes, in turn, each told by one word among others."""
    rng = np.random.default_rng(seed)
    labels = [list(TONES)[i % 3] for i in range(rows)]
    texts = [f"text {rng.integers(50)} was {TONES[y][rng.integers(3)]} to {rng.integers(50)}" for y in labels]
    return texts, labels
