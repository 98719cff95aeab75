"""What a batch may be: types of a user's, inputs that have no row an example, and lists that have one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import uegr
from toys import CLASSES, WORDS, Toy, adamw, batch, same, toy
from uegr.batches import repeated, shared_of


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


def test_lists_of_numbers_or_strings_with_a_row_an_example_are_repeated() -> None:
    ids = torch.arange(3)
    inputs = {"ids": ids, "lengths": [2, 1, 3], "texts": ("a", "b", "c"), "sizes": [5, 5], "how": "max"}
    found = repeated(inputs, 3, 2)
    assert found["lengths"] == [2, 1, 3, 2, 1, 3]
    assert found["texts"] == ("a", "b", "c", "a", "b", "c")
    assert (found["sizes"], found["how"]) == ([5, 5], "max")
    assert found["ids"].tolist() == [0, 1, 2, 0, 1, 2]
    nested = repeated([ids, [[1, 2, 3], "x"]], 3, 2)
    assert nested[1] == [[1, 2, 3, 1, 2, 3], "x"]


def test_a_list_that_once_had_other_rows_is_no_column() -> None:
    """Three kernel sizes stay three where a batch has three rows by chance."""
    sizes = {"sizes": [3, 4, 5], "ids": torch.zeros(4, 2)}
    shared = shared_of(sizes, 4)
    assert shared == {("sizes",)}
    assert repeated(sizes | {"ids": torch.zeros(3, 2)}, 3, 2, shared)["sizes"] == [3, 4, 5]


class Packed(nn.Module):
    """An LSTM over packed texts, whose lengths come as a list."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8, padding_idx=0)
        self.layer = nn.LSTM(8, 8, batch_first=True)
        self.last = nn.Linear(8, CLASSES)

    def forward(self, ids: Tensor, lengths: list[int]) -> Tensor:
        packed = pack_padded_sequence(self.words(ids), lengths, batch_first=True, enforce_sorted=False)
        logits: Tensor = self.last(self.layer(packed)[1][0][-1])
        return logits


def test_lengths_as_a_list_give_the_passes_that_are_made_one_by_one() -> None:
    given = batch(rows=6)
    inputs = {"ids": given["input_ids"], "lengths": given["attention_mask"].sum(1).tolist()}
    found = []
    for at_once in (True, False):
        torch.manual_seed(0)
        model = Packed().double()
        recipe = uegr.recipe("at", adversarial=3)
        method = uegr.attach(model, adamw(model), recipe, passes_at_once=at_once)
        loss = method.backward((inputs, given["labels"]))
        found.append([loss, *(p.grad for p in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
