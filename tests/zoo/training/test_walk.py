"""The walk of one batch, from the cell to the weight update: at most ten files stand on it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import tiny
import zoo
from zoo.core.batch import Batch
from zoo.models.textcnn import TextCNN

PACKAGE = Path(zoo.__file__).parent


def test_a_batch_meets_at_most_ten_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files of ours on the stack when a batch is made, read, differentiated and stepped on."""
    met: dict[str, set[str]] = {}

    def note(event: str) -> None:
        frame, paths, evaluating = sys._getframe(2), set(), False
        while frame is not None:
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(PACKAGE):
                paths.add(str(path.relative_to(PACKAGE)))
                evaluating |= frame.f_code.co_name in ("predict", "attacked")
            frame = frame.f_back
        if not evaluating:
            met.setdefault(event, set()).update(paths)

    def watched(event: str, original):
        def call(*arguments, **options):
            note(event)
            return original(*arguments, **options)

        return call

    monkeypatch.setattr(Batch, "__init__", watched("made", Batch.__init__))
    monkeypatch.setattr(TextCNN, "trunk", watched("read", TextCNN.trunk))
    monkeypatch.setattr(torch.Tensor, "backward", watched("differentiated", torch.Tensor.backward))
    # The step of an optimizer is wrapped by torch for each instance, so what it calls is watched.
    monkeypatch.setattr(torch.optim.AdamW, "_init_group", watched("stepped", torch.optim.AdamW._init_group))
    tiny.run_cell("uegr", epochs=1)
    assert set(met) == {"made", "read", "differentiated", "stepped"}
    everything = set().union(*met.values())
    assert "method/trainee.py" in met["stepped"]
    assert "text/batching.py" in met["made"]
    assert len(everything) <= 10, sorted(everything)
