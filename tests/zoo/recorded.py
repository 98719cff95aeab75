"""What recorded steps are tested on: every recipe that can be recorded, options of them, a split of texts."""

from __future__ import annotations

import numpy as np

import tiny
from zoo.recipes import RECIPES
from zoo.text import Split
from zoo.training.graphs import why_not_recorded
from zoo.training.settings import TrainSettings

SETTINGS = TrainSettings(learning_rate=0.01, epochs=2, batch_size=4)

RECORDED = {name: recipe for name, recipe in RECIPES.items() if why_not_recorded(recipe) is None}
OPTIONS = {
    "table attack": RECIPES["r_at"].changed(attack="fgm", attack_scope="table"),
    "pgd": RECIPES["at"].changed(attack_steps=3),
    "min-max": RECIPES["uegr"].changed(normalise="minmax"),
    "log min-max": RECIPES["uegr"].changed(normalise="log_minmax"),
    "ema saliency": RECIPES["uegr"].changed(saliency="ema"),
    "by tensor": RECIPES["uegr"].changed(normalise_scope="tensor"),
    "encoder": RECIPES["uegr"].changed(update_scope="encoder"),
    "layer dropout": RECIPES["uegr"].changed(dropout="layer"),
    "rank dropout": RECIPES["uegr"].changed(dropout="rank"),
    "logistic dropout": RECIPES["uegr"].changed(dropout="logistic"),
    "by example": RECIPES["uegr"].changed(statistic_scope="example"),
    "moving statistics": RECIPES["uegr"].changed(statistics="ema"),
    "masked update": RECIPES["uegr"].changed(mask_on="update"),
}


def split(texts: int = 26, seed: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 30, texts)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    starts = rng.random(offsets[-1]) < 0.3
    starts[offsets[:-1]] = True
    ids = rng.integers(1, tiny.WORDS, offsets[-1]).astype(np.int32)
    return Split(ids, offsets, rng.integers(0, tiny.CLASSES, texts), starts)


def line(arch: str) -> int:
    return tiny.LINE if arch == "han" else 0
