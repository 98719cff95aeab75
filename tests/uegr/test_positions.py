"""Which positions of the states count at a dropout site, and where positions stand in the place of units."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import uegr
from toys import WORDS, adamw, batch, toy

RECIPES: dict[str, dict[str, Any]] = {
    "by unit": {},
    "by layer": {"dropout": "layer"},
    "by example": {"statistic_scope": "example"},
    "of two passes": {"clean": 2},
    "nothing is attacked": {"adversarial": 0, "clean": 2},
}


def padded(own: dict[str, Tensor], more: int) -> dict[str, Tensor]:
    return {key: F.pad(value, (0, more)) if value.dim() == 2 else value for key, value in own.items()}


def pair(own: dict[str, Tensor]) -> tuple[tuple[Tensor, Tensor], Tensor]:
    return (own["input_ids"], own["attention_mask"]), own["labels"]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("form", ["attention mask", "mask=", "padding_idx"])
@pytest.mark.parametrize("at_once", [True, False])
def test_padding_does_not_count(
    recipe: str, form: str, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same texts padded further have the same statistics, on the same masks of dropout."""
    monkeypatch.setattr("zoo.method.dropout.uniform", lambda shape, like, _: like.new_full(shape, 0.5))
    options = {"mask": lambda inputs: inputs[1]} if form == "mask=" else {}
    found: list[dict[str, Tensor]] = []
    for more in (0, 5, 60):
        model = toy(rate=0.3)
        method = uegr.attach(
            model, adamw(model), uegr.recipe("uegr", **RECIPES[recipe]), passes_at_once=at_once, **options
        )
        own = padded(batch(rows=8), more)
        method.backward(own if form == "attention mask" else pair(own))
        found.append({name: watch.latest for name, watch in method.sites.watches.items()})
    assert list(found[0]) == ["early", "late"]
    unknown = form == "padding_idx" and recipe == "nothing is attacked"  # no ids to tell padding by
    for name, norms in found[0].items():
        for other in found[1:]:
            alike = torch.allclose(norms, other[name], rtol=1e-9, atol=0)
            assert alike != (unknown and name == "early"), name
        assert bool(norms.any())


def test_states_of_another_length_count_as_a_whole() -> None:
    """As where a layer pools its positions: the mask of the texts is not theirs."""

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.drop = nn.Embedding(WORDS, 8, padding_idx=0), nn.Dropout(0.2)
            self.last = nn.Linear(8, 3)

        def forward(self, ids: Tensor) -> Tensor:
            h = F.avg_pool1d(self.words(ids).transpose(1, 2), 2).transpose(1, 2)
            return self.last(self.drop(h).sum(1))

    model = Pooled()
    method = uegr.attach(model, adamw(model), "uegr")
    own = batch()
    method.backward((own["input_ids"], own["labels"]))
    assert bool(method.sites.watches["drop"].latest.all())


class Convolved(nn.Module):
    """Dropout on what a convolution gives."""

    def __init__(self, turned: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.convolution, self.drop = nn.Conv1d(8, 6, 3), nn.Dropout(0.2)
        self.last, self.turned = nn.Linear(6, 2), turned

    def forward(self, ids: Tensor) -> Tensor:
        h = self.convolution(F.pad(self.words(ids).transpose(1, 2), (1, 1) if ids.shape[1] < 9 else (0, 0)))
        h = self.drop(h) if self.turned else self.drop(h.transpose(1, 2)).transpose(1, 2)
        return self.last(h.amax(2))


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("lengths", [(5, 7), (9, 10, 11, 12)], ids=["as the texts", "shorter"])
def test_positions_in_the_place_of_units_are_told_once(turned: bool, lengths: tuple[int, ...]) -> None:
    model = Convolved(turned)
    method = uegr.attach(model, adamw(model), "uegr")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for length in lengths:
            ids = torch.randint(1, WORDS, (4, length))
            method.backward((ids, ids[:, 0] % 2))
    said = [str(warning.message) for warning in told]
    shape = (4, 6, 5) if lengths[0] == 5 else (4, 6, 9)  # the first of its length, the third of others
    assert len(said) == turned
    assert all(f"dropout drop: the last axis of {shape} seems to be positions" in text for text in said)
    words = " ".join(method.describe().split())
    assert ("Seem to have positions for units: drop" in words) == turned
