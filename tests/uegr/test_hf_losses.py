"""A loss of one's own in `uegr.hf.Trainer`, called as `transformers.Trainer` calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import uegr.hf
from toys import refused, same
from trainers import ROWS, arguments, bert, by_hand, rows, trainer
from uegr.objective import Labelled

transformers = pytest.importorskip("transformers", reason="the extra hf")


def summed(outputs: Any, labels: Tensor, num_items_in_batch: Any) -> Tensor:
    """As transformers' guide has it: it passes the count always, by its name."""
    return nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch


def anything(outputs: Any, labels: Tensor, **counts: Any) -> Tensor:
    return summed(outputs, labels, **counts)


def short(outputs: Any, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs.logits, labels)


@pytest.mark.parametrize("loss", [summed, anything, short])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_loss_is_called_as_transformers_calls_it(loss: Any, parts: int, tmp_path: Path) -> None:
    """A sum by the number of its labels is the mean, whatever passes and micro-batches there are."""
    ours = trainer(tmp_path, "uegr", compute_loss_func=loss, gradient_accumulation_steps=parts)
    ours.train()
    assert same(ours.model, by_hand("uegr", bert(), parts=parts), within=1e-7)


def test_one_output_of_several_labels_has_the_loss_of_transformers() -> None:
    """Binary cross-entropy, not the squared error; and the passes diverge as coins do."""
    labels = torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    data = rows(count=4)
    batch = {key: torch.stack([row[key] for row in data]) for key in data[0]} | {"labels": labels}
    model = bert(
        rate=0.0, outputs=1, problem_type="multi_label_classification", attention_probs_dropout_prob=0.0
    )
    method = uegr.attach(model, torch.optim.SGD(model.parameters(), 0.1), "standard")
    torch.testing.assert_close(method.backward(batch), model(**batch).loss.detach())
    refused(lambda: method.backward(batch | {"labels": labels - 0.5}), "from -0.5 to 0.5: expected several")
    logits = torch.randn(2, 4, 1)
    twice = Labelled().divergence("js", logits.repeat(1, 1, 2), labels.repeat(1, 2))
    torch.testing.assert_close(Labelled(problem="binary").divergence("js", logits, labels), twice)


def test_labels_of_a_loss_are_counted_as_transformers_counts_them(tmp_path: Path) -> None:
    """Of several labels each one, and -100 is none."""
    counts: dict[type, list[int]] = {}
    labels = torch.randint(2, (ROWS, 3)).float()
    labels[:, 0] = -100
    data = [row | {"labels": label} for row, label in zip(rows(), labels, strict=True)]
    for kind in (transformers.Trainer, uegr.hf.Trainer):

        def loss(outputs: Any, labels: Tensor, num_items_in_batch: Any, kind: type = kind) -> Tensor:
            counts.setdefault(kind, []).append(int(num_items_in_batch))
            return outputs.logits.square().mean()

        extra = {} if kind is transformers.Trainer else {"recipe": "dropout"}
        given = arguments(tmp_path, max_steps=2)
        kind(bert(), given, train_dataset=data, compute_loss_func=loss, **extra).train()
    assert counts[transformers.Trainer] == counts[uegr.hf.Trainer] == [8, 8]
