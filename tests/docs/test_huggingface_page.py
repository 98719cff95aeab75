"""Every block of docs/huggingface.md runs; so does the example of a model of one's own."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of PEFT, Fabric, transformers
def test_its_examples_run() -> None:
    for name in ("transformers", "accelerate", "lightning_fabric", "peft"):
        pytest.importorskip(name, reason="the extras hf and dev")
    page = str(ROOT / "docs" / "huggingface.md")
    result = doctest.testfile(page, module_relative=False, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 30
    assert result.failed == 0


def test_a_model_of_ones_own_learns() -> None:
    path = ROOT / "docs" / "examples" / "own_model.py"
    assert len(path.read_text().splitlines()) <= 40
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    accuracy = re.search(r"accuracy (\S+)", done.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.8
    assert "missing  nothing" in done.stdout
