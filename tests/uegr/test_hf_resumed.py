"""Trainings by Hugging Face's Trainer that stop and go on, wherever their checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from torch import nn

import uegr
import uegr.hf
from toys import adamw, refused, same, toy
from trainers import arguments, bert, trainer, with_callback
from uegr.hf import checkpoints

transformers = pytest.importorskip("transformers", reason="the extra hf")
pytest.importorskip("accelerate", reason="the extra hf")

STEPS: dict[str, Any] = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 3}


def test_a_folder_may_be_a_path(tmp_path: Path) -> None:
    """As transformers takes it: with the method's state."""
    whole = trainer(tmp_path, **STEPS)
    whole.train()
    again = trainer(tmp_path / "again", model=bert(seed=1), **STEPS)
    again.train(resume_from_checkpoint=tmp_path / "checkpoint-3")
    assert same(whole.model, again.model)


def old_bert(folder: Path) -> nn.Module:
    """A model whose file has the names LayerNorm.gamma and .beta, as that of bert-base-uncased."""
    bert().save_pretrained(folder)
    names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    kept = load_file(folder / "model.safetensors")
    for new, old in names.items():
        kept = {name.replace(new, old): value for name, value in kept.items()}
    assert any(name.endswith("LayerNorm.gamma") for name in kept)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    model: nn.Module = transformers.BertForSequenceClassification.from_pretrained(folder)
    assert same(model, bert())
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.2
    return model


def test_a_model_of_a_file_with_old_names_resumes_bit_for_bit(tmp_path: Path) -> None:
    """A Trainer's checkpoint has the names of the model, and what the user keeps those of the file."""
    whole = trainer(tmp_path, model=old_bert(tmp_path / "file"), **STEPS)
    whole.train()
    whole.save_model(str(tmp_path / "kept"))
    again = trainer(tmp_path / "again", model=old_bert(tmp_path / "file"), **STEPS)
    again.train(str(tmp_path / "checkpoint-3"))
    assert same(whole.model, again.model)
    norm = "bert.embeddings.LayerNorm"
    for folder, name in (("checkpoint-3", "weight"), ("kept", "gamma")):
        assert f"{norm}.{name}" in load_file(tmp_path / folder / "model.safetensors"), folder


def test_a_process_may_save_before_the_model_is(tmp_path: Path) -> None:
    """Under DistributedDataParallel one that does not save it makes the folder where it is the first."""
    model = toy()
    args = arguments(tmp_path)
    folder = tmp_path / "node" / "checkpoint-1"
    method = uegr.attach(model, adamw(model), "uegr")
    for _ in range(2):
        checkpoints.save(method, folder, args)
    checkpoints.load(method, folder, args)


# --- the callback -----------------------------------------------------------------------------------------


class Stops(transformers.TrainerCallback):
    """Ctrl-C in the forward pass of the second step."""

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.global_step == 1:
            self.handle = model.dropout.register_forward_pre_hook(self.stop)

    def stop(self, *_: Any) -> None:
        self.handle.remove()
        raise KeyboardInterrupt


def test_a_training_that_was_interrupted_begins_anew(tmp_path: Path) -> None:
    ours, whole = (with_callback(tmp_path, uegr.hf.Callback(), max_steps=2) for _ in range(2))
    whole.train()
    stops = Stops()
    ours.add_callback(stops)
    with pytest.raises(KeyboardInterrupt):
        ours.train()
    ours.remove_callback(stops)
    ours.model.load_state_dict(bert().state_dict())
    ours.optimizer = ours.lr_scheduler = None
    ours.train()
    assert same(ours.model, whole.model)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in ours.model.modules())


def test_a_callback_is_told_the_folder_that_is_resumed(tmp_path: Path) -> None:
    whole = with_callback(tmp_path, uegr.hf.Callback(), **STEPS)
    whole.train()
    folder = tmp_path / "checkpoint-3"
    again = with_callback(tmp_path / "again", uegr.hf.Callback(resume_from=folder), bert(1), **STEPS)
    again.train(resume_from_checkpoint=str(folder))
    assert same(whole.model, again.model)
    other = with_callback(tmp_path / "other", uegr.hf.Callback(), bert(1), **STEPS)
    refused(lambda: other.train(resume_from_checkpoint=str(folder)), "expected Callback(resume_from=")


def test_a_callback_leaves_no_folder_of_its_own_in_a_search(tmp_path: Path) -> None:
    """There the Trainer's checkpoints lie in a folder a trial, which a callback does not hear of."""
    ours = with_callback(tmp_path, callback := uegr.hf.Callback(), max_steps=1)
    ours.train()
    for search in (True, False):
        ours.state.is_hyper_param_search = search
        callback.on_save(ours.args, ours.state, ours.control)
        assert (tmp_path / "checkpoint-1").exists() != search
