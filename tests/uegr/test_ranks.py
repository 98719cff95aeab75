"""Two processes with half a batch each train as one with the whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import uegr
from one_of_two import STEPS, recipe, spare
from toys import batch


@pytest.mark.filterwarnings("ignore:.*the divergence is 0")
def test_two_processes_are_one(tmp_path: Path) -> None:
    script = str(Path(__file__).with_name("one_of_two.py"))
    running = [subprocess.Popen([sys.executable, script, str(rank), str(tmp_path)]) for rank in (0, 1)]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    parts, others = (found.pop("a part of a step") for found in (first, second))
    assert torch.equal(parts["weights"], others["weights"])
    assert parts["said"] == others["said"]
    (said,) = parts["said"]
    assert said.startswith("optimizer.step() after 2 of 4 batches: gradients that each process has")
    for name, weights in first.items():
        assert all(torch.equal(weights[key], second[name][key]) for key in weights), name

    model = spare()
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    torch.manual_seed(10)  # the seed of the first process is that of the mask
    method = uegr.attach(model, optimizer, recipe(), accumulate=4)
    for step in range(STEPS):
        for part in range(4):
            model.used = part < 2
            method.backward(batch(4 * step + part))
        optimizer.step()
        optimizer.zero_grad()
    for key, value in model.state_dict().items():
        torch.testing.assert_close(first["spare"][key], value, rtol=0, atol=1e-12)
