"""Trainings by Hugging Face's Trainer that stop and go on, wherever their checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from torch import nn

import uegr
import uegr.hf
from toys import adamw, same, toy
from trainers import arguments, bert, trainer
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
