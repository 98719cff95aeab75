"""What a user waits for: measured from processes of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import waits
from zoo.core.errors import UserError


def test_a_corpus_is_prepared_once(tmp_path: Path) -> None:
    folder = tmp_path / "moods"
    folder.mkdir()
    rows = [
        {"text": f"the day was {'good' if i % 2 else 'bad'}, number {i}", "label": i % 2} for i in range(60)
    ]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = waits._corpus(str(folder), None, lambda text: None)
    assert found["rows"] == 60
    assert found["again_seconds"] > 0
    assert found["first_seconds"] > 0


def test_a_corpus_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        waits._corpus(str(tmp_path / "nowhere"), None, lambda text: None)


def test_starts_are_timed() -> None:
    found = waits._start(["-c", "pass"], 2, lambda text: None)
    assert found["command"] == "python -c pass"
    assert 0 < found["seconds"] <= found["longest"]
