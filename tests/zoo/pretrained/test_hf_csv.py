"""The example docs/examples/hf_csv.py: a csv in, a model of Hugging Face out."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("accelerate", reason="the extra hf")

ROOT = Path(__file__).resolve().parents[3]


def test_a_csv_becomes_a_model_that_transformers_loads(tiny_bert: Path, tmp_path: Path) -> None:
    import transformers

    script = ROOT / "docs" / "examples" / "hf_csv.py"
    assert len(script.read_text().splitlines()) <= 40
    table, out = tmp_path / "films.csv", tmp_path / "my-model"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "text"])
        rows.writerows([name, f"the {word} was {name}"] for word in ("film", "plot", "cat", "dog", "film")
                       for name in ("good", "bad"))  # fmt: skip
    places = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, str(script), str(table), str(out), str(tiny_bert)],
        capture_output=True, text=True, check=False,
        env=os.environ | places | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = re.search(r"^accuracy (\S+) on 2 held-out texts$", done.stdout, re.MULTILINE)
    assert said is not None, done.stdout
    assert float(said[1]) in (0.0, 0.5, 1.0)

    model = transformers.AutoModelForSequenceClassification.from_pretrained(out)
    assert model.config.id2label == {0: "bad", 1: "good"}
    before = transformers.AutoModel.from_pretrained(tiny_bert).state_dict()
    after = model.bert.state_dict()
    assert before.keys() == after.keys()
    assert not torch.equal(*(w["encoder.layer.0.output.dense.weight"] for w in (before, after)))
    words = transformers.AutoTokenizer.from_pretrained(out)("the film was good", return_tensors="pt")
    assert model(**words).logits.shape == (1, 2)
