"""What a batch may be: types of a user's, and inputs that have no row an example."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

import uegr
from toys import Toy, adamw, batch, same, toy


class Inputs(NamedTuple):
    input_ids: Tensor
    attention_mask: Tensor


class Attributes(dict[str, Any]):
    def __getattr__(self, name: str) -> Any:
        return self[name]


class Odd(Mapping[str, Any]):
    """A mapping that no dict makes."""

    def __init__(self, own: dict[str, Any], /, again: None) -> None:
        self.own = own

    def __getitem__(self, key: str) -> Any:
        return self.own[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.own)

    def __len__(self) -> int:
        return len(self.own)


def encoding(own: dict[str, Tensor]) -> Any:
    return pytest.importorskip("transformers", reason="the extra hf").BatchEncoding(own)


def by_attribute(model: Any, inputs: Any) -> Any:
    return model(inputs.input_ids, inputs.attention_mask)


CASES: dict[str, tuple[Callable[[dict[str, Tensor]], Any], Any]] = {
    "a named tuple": (lambda own: (Inputs(own["input_ids"], own["attention_mask"]), own["labels"]), None),
    "a named tuple, by attribute": (
        lambda own: (Inputs(own["input_ids"], own["attention_mask"]), own["labels"]), by_attribute,
    ),
    "an encoding": (encoding, None),
    "an encoding, by attribute": (encoding, by_attribute),
    "a dict, by attribute": (Attributes, by_attribute),
    "a mapping that no dict makes": (lambda own: Odd(own, None), None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_batch_keeps_the_type_that_it_has(case: str) -> None:
    """Also where its rows come once for each pass."""
    form, forward = CASES[case]
    ours, theirs = toy(), toy()
    options = {"mask": lambda inputs: inputs[1]} if "tuple" in case else {}
    for model, own, call, more in (
        (ours, form(batch()), forward, options),
        (theirs, batch(), None, {}),
    ):
        method = uegr.attach(model, adamw(model), "uegr", forward=call, seed=1, **more)
        torch.manual_seed(1)
        method.backward(own)
        method.optimizer.step()
    assert same(ours, theirs)


class Placed(Toy):
    """Adds a vector of each position, which it is given as (T,)."""

    def forward(self, input_ids: Tensor, places: Any) -> Any:
        assert places["at"][0].shape == input_ids.shape[1:]
        h = self.words(input_ids) + 0.1 * places["at"][0][None, :, None]
        return self.vectors_to_logits(h, torch.ones_like(input_ids))


@pytest.mark.parametrize("adapted", [False, True])
def test_positions_are_no_rows_though_there_be_as_many(adapted: bool) -> None:
    """Known from a batch of another number of rows."""
    model = Placed()
    method = uegr.attach(model, adamw(model), "uegr")
    seen = uegr.adapt(model)
    for rows in (4, 7):
        ids = torch.randint(1, 20, (rows, 7))
        inputs = {"input_ids": ids, "places": {"at": [torch.arange(7.0)]}}
        if adapted:
            vectors = seen.embed(inputs)
            assert len(seen.classify(torch.cat([vectors, vectors]), inputs)) == 2 * rows
        else:
            method.backward(inputs | {"labels": ids[:, 0] % 3})
