"""What of a batch is repeated for the K passes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import uegr
from toys import CLASSES, WORDS, adamw, batch
from uegr.batches import repeated, shared_of


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
