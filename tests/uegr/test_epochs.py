"""What changes once an epoch changes once an epoch: by `new_epoch` in a loop, by the event in a Trainer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import uegr
import uegr.hf
from bench.tiny_families import texts, tiny
from toys import adamw, batch, same, toy, train

BY_EPOCH = uegr.recipe("dropout", dropout="mean", update="selective").changed(resample="epoch")


def rows() -> list[dict[str, Tensor]]:
    """Two batches an epoch."""
    found = texts("bert", rows=8)
    return [{key: value[i] for key, value in found.items()} for i in range(8)]


class Stream(torch.utils.data.IterableDataset[dict[str, Tensor]]):
    """The same rows, and no length."""

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return iter(rows())


class Heard:
    """What each step of a training had for its mask, and how many epochs began."""

    def __init__(self, how: str, data: Any, folder: Path, **changes: Any) -> None:
        transformers = pytest.importorskip("transformers", reason="the extra hf")
        pytest.importorskip("accelerate", reason="the extra hf")
        heard = self

        class Counts(transformers.TrainerCallback):  # type: ignore[misc]
            def on_epoch_begin(self, *_: Any, **__: Any) -> None:
                heard.epochs += 1

            def on_step_end(self, *_: Any, **__: Any) -> None:
                own = heard.trainer if how == "trainer" else heard.callback
                heard.masks.append(own.method.stage.fixed[0].clone())

        given: dict[str, Any] = {
            "output_dir": str(folder), "per_device_train_batch_size": 4, "max_steps": 6, "report_to": [],
            "disable_tqdm": True, "use_cpu": True, "save_strategy": "no", "logging_strategy": "no", "seed": 3,
        } | changes  # fmt: skip
        arguments = transformers.TrainingArguments(**given)
        self.epochs, self.masks, self.model = 0, list[Tensor](), tiny("bert", num_hidden_layers=1)
        if how == "trainer":
            self.trainer = uegr.hf.Trainer(
                self.model, arguments, train_dataset=data, recipe=BY_EPOCH, callbacks=[Counts()]
            )
        else:
            self.callback = uegr.hf.Callback(BY_EPOCH)
            self.trainer = transformers.Trainer(
                self.model, arguments, train_dataset=data, callbacks=[self.callback, Counts()]
            )

    def train(self, *args: Any) -> Heard:
        self.trainer.train(*args)
        return self

    @property
    def changes(self) -> list[bool]:
        """Whether each step had another mask than the one before."""
        return [not torch.equal(*pair) for pair in zip(self.masks, self.masks[1:], strict=False)]


@pytest.mark.parametrize("how", ["trainer", "callback"])
@pytest.mark.parametrize("data", [rows(), Stream()], ids=["rows", "stream"])
def test_an_epoch_of_a_trainer_has_one_mask(how: str, data: Any, tmp_path: Path) -> None:
    """Also where data without a length begins again, which no whole number of epochs tells."""
    heard = Heard(how, data, tmp_path).train()
    # Of data without a length the Trainer learns that it is over when it asks for more.
    assert heard.epochs == 3
    assert heard.changes == [False, True, False, True, False]


@pytest.mark.parametrize("how", ["trainer", "callback"])
@pytest.mark.parametrize(("stop", "first"), [(3, True), (4, False)], ids=["amid", "at the end"])
def test_an_epoch_that_is_resumed_keeps_its_mask(how: str, stop: int, first: bool, tmp_path: Path) -> None:
    whole = Heard(how, rows(), tmp_path, save_strategy="steps", save_steps=stop).train()
    again = Heard(how, rows(), tmp_path).train(str(tmp_path / f"checkpoint-{stop}"))
    assert torch.equal(whole.masks[stop - 1], again.masks[0]) == first
    assert len(again.masks) == 6 - stop
    assert all(torch.equal(*pair) for pair in zip(whole.masks[stop:], again.masks, strict=True))
    assert same(whole.model, again.model)


@pytest.mark.parametrize("how", ["trainer", "callback"])
def test_a_stream_that_is_resumed_amid_its_first_epoch_keeps_its_mask(how: str, tmp_path: Path) -> None:
    whole = Heard(how, Stream(), tmp_path, save_strategy="steps", save_steps=1).train()
    again = Heard(how, Stream(), tmp_path).train(str(tmp_path / "checkpoint-1"))
    assert torch.equal(whole.masks[0], again.masks[0])
    assert again.changes == [True, False, True, False]


WORDS = {
    "resample by epoch": {"resample": "epoch"},
    "saliency by epoch": {"saliency": "epoch"},
    "resample and saliency by epoch": {"resample": "epoch", "saliency": "epoch"},
}


@pytest.mark.parametrize("words", WORDS)
def test_a_loop_that_says_nothing_of_its_epochs_is_told(words: str) -> None:
    model = toy()
    method = uegr.attach(model, adamw(model), uegr.recipe("uegr", **WORDS[words]))
    note = f"{words}: nothing changes until method.new_epoch() is called"
    assert note in " ".join(method.describe().split())
    with pytest.warns(UserWarning, match=note.replace("(", r"\(").replace(")", r"\)")):
        method.backward(batch())
    method.new_epoch()
    assert method.describe().endswith("nothing")


def test_a_loop_that_says_when_an_epoch_begins_is_told_nothing() -> None:
    """Nor is one that goes on inside of an epoch, or whose recipe reads no saliency."""
    state: dict[str, Any] = {}
    for begin in (True, False):
        model: nn.Module = toy()
        method = uegr.attach(model, adamw(model), BY_EPOCH)
        if begin:
            method.new_epoch()
        else:
            method.load_state_dict(state)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            train(method, range(2))
        state = method.state_dict()
        assert state["epochs"] == 1
        method.remove()
    # A constant does not read it, so that `uegr.recipe` would refuse it.
    constant = uegr.recipe("uegr", keep="constant").changed(saliency="epoch")
    assert uegr.attach(model, adamw(model), constant).describe().endswith("nothing")
