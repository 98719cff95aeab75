"""`uegr.hf.Trainer` on two processes of torchrun trains as it does in one with the same batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="the extra hf")
pytest.importorskip("accelerate", reason="the extra hf")

from one_of_torchrun import STEPS, model_of, trained

pytestmark = pytest.mark.filterwarnings("ignore:.*the divergence is 0")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes of torchrun has found."""
    folder = tmp_path_factory.mktemp("torchrun")
    script = str(Path(__file__).with_name("one_of_torchrun.py"))
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script]
    done = subprocess.run(
        [*line, str(folder)], capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("case", ["without dropout", "uegr"])
def test_the_processes_are_equal_and_reduce_once_a_step(case: str, both: list[dict[str, Any]]) -> None:
    """Weights bit for bit, so masks too; whatever the number of passes and of micro-batches."""
    first, second = (found[case] for found in both)
    assert all(torch.equal(first["weights"][key], second["weights"][key]) for key in first["weights"])
    assert first["kept"]
    assert first["kept"] == second["kept"]
    assert (first["ours"], first["torchs"]) == (first["steps"], 0)
    assert first["steps"] == STEPS // (2 if case == "uegr" else 1)


def test_two_processes_are_one_with_the_same_batches(both: list[dict[str, Any]], tmp_path: Path) -> None:
    found, whole = both[0]["without dropout"], trained("without dropout", tmp_path, 4, 1)
    assert whole["steps"] == found["steps"] == STEPS
    begun = model_of("without dropout").state_dict()
    for key, value in whole["weights"].items():
        torch.testing.assert_close(found["weights"][key], value, rtol=0, atol=1e-6)
    assert any(not torch.allclose(found["weights"][key], begun[key], atol=1e-4) for key in begun)
    assert found["kept"] == pytest.approx(whole["kept"], abs=1e-3)
