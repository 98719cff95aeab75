"""A model is one file and one line of the table: what CONTRIBUTING.md says of it holds for a made-up one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

import tiny
from zoo import models
from zoo.core.records import Settings, setting
from zoo.method.contract import TextClassifier
from zoo.method.dropout import AdaptiveDropout
from zoo.method.step import prepare, train_step
from zoo.recipes import RECIPES
from zoo.training.optim import make_optimizer
from zoo.training.settings import TrainSettings


@dataclass(frozen=True)
class MeanSizes(Settings):
    what: ClassVar[str] = "model setting"
    embedding: int = setting(8, low=1)


class MeanOfWords(TextClassifier):
    Sizes = MeanSizes

    def __init__(self, vocabulary: int, classes: int, sizes: MeanSizes) -> None:
        super().__init__(vocabulary, sizes.embedding)
        self.sites["pooled"] = AdaptiveDropout(sizes.embedding)
        self.classifier = nn.Linear(sizes.embedding, classes)

    def trunk(self, vectors: Tensor, mask: Tensor) -> Tensor:
        return (vectors * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)

    def head(self, features: Tensor) -> Tensor:
        return self.classifier(self.sites["pooled"](features))


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_it(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "made_up", SimpleNamespace(MeanOfWords=MeanOfWords))
    monkeypatch.setitem(models._CLASSES, "mean", "made_up:MeanOfWords")
    monkeypatch.setitem(
        sys.modules, __name__, sys.modules.get(__name__) or sys.modules[MeanOfWords.__module__]
    )
    assert "mean" in models.MODELS
    model = models.build_model("mean", tiny.WORDS, tiny.CLASSES, models.MODELS["mean"].Sizes(embedding=6), 0)
    trainee = prepare(model.train(), RECIPES[recipe], torch.Generator().manual_seed(0))
    optimizer = make_optimizer(model, TrainSettings(learning_rate=0.05))
    problem = tiny.batch((4, 3, 5, 4, 3, 5, 4, 3))
    losses = []
    for _ in range(60):
        record = train_step(trainee, problem, optimizer)
        losses.append(float(record.get("loss_clean", record["loss"])))
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
