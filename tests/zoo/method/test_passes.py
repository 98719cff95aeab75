"""A recipe says how many forward-backward passes its step needs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tiny
from zoo.method.recipe import Recipe
from zoo.method.step import prepare
from zoo.recipes import RECIPES

CASES: dict[str, Recipe] = {
    **RECIPES,
    "five passes": RECIPES["uegr"].changed(adversarial=5),
    "PGD": RECIPES["uegr"].changed(attack_steps=4),
    "PGD of nothing": RECIPES["dropout"].changed(attack_steps=4),
    "FreeLB of three": RECIPES["freelb"].changed(ascent_steps=3),
}


@pytest.mark.parametrize("name", CASES)
def test_the_passes_that_a_step_needs_are_those_that_it_takes(name: str) -> None:
    """Counted in rows that the model classifies, without the ways to share a part of a pass."""
    model = tiny.model("bilstm").train()
    trainee = prepare(model, CASES[name], torch.Generator().manual_seed(0))
    trainee.shares_trunk = trainee.sites.repeats = False
    rows: list[int] = []
    classify = model.classify

    def counted(vectors: Tensor, mask: Tensor) -> Tensor:
        rows.append(len(vectors))
        return classify(vectors, mask)

    model.classify = counted  # type: ignore[method-assign]
    batch = tiny.batch()
    trainee.forward.gradients(trainee, batch)
    assert sum(rows) == CASES[name].passes * len(batch)
