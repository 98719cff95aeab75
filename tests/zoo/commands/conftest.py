"""A small corpus of our own."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

SMALL = ["--epochs", "1", "--set", "embedding=8", "filters=4", "widths=1,2", "max_length=12"]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of our own in the simple layout: the class is the tone of the words, with some noise."""
    folder = tmp_path_factory.mktemp("corpora") / "moods"
    folder.mkdir()
    (folder / "labels.txt").write_text("bad\ngood\n")
    words = {"bad": ["awful", "dull", "broken", "never"], "good": ["lovely", "bright", "fine", "always"]}
    for split, rows in (("train", 160), ("dev", 40), ("test", 40)):
        lines = []
        for i in range(rows):
            label = ("bad", "good")[i % 2]
            tone = words[label if i % 7 else ("good", "bad")[i % 2]]
            text = f"text {split} {i} is {tone[i % 4]} and {tone[(i // 4) % 4]} to number {i * 7 % 50}"
            lines.append(json.dumps({"text": text, "label": label}))
        with gzip.open(folder / f"{split}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def base(corpus: Path, tmp_path: Path) -> list[str]:
    return [
        "--corpus", str(corpus), "--arch", "textcnn", "--cache-dir", str(corpus.parent / "cache"),
        "--out", str(tmp_path / "out"), "--no-portable", "--device", "cpu", *SMALL,
    ]  # fmt: skip
