"""Trainings by Hugging Face's Trainer that stop and go on, wherever their checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from toys import same
from trainers import bert, trainer

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
