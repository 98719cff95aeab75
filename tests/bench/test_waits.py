"""What a user waits for: measured from processes of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import waits
from zoo.core.errors import UserError
from zoo.studies.study import Study, Where


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    folder = tmp_path / "moods"
    folder.mkdir()
    rows = [
        {"text": f"the day was {'good' if i % 2 else 'bad'}, number {i}", "label": i % 2} for i in range(60)
    ]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(folder)


def test_a_corpus_is_prepared_once(corpus: str) -> None:
    found = waits._corpus(corpus, None, lambda text: None)
    assert found["rows"] == 60
    assert found["again_seconds"] > 0
    assert found["first_seconds"] > 0


def test_a_corpus_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        waits._corpus(str(tmp_path / "nowhere"), None, lambda text: None)


def test_the_share_of_evaluation_in_each_cell_of_a_study(corpus: str, tmp_path: Path) -> None:
    places = Where(out=str(tmp_path / "out"), cache=str(tmp_path / "cache"), device="cpu", jobs=1)
    axes = {"corpora": [corpus], "archs": ["textcnn"], "recipes": ["standard", "at"]}
    study = Study.of("demo", axes, changes={"epochs": 1}, places=places)
    rows = waits._evaluation(study, lambda text: None)
    assert [(row["arch"], row["recipe"]) for row in rows] == [("textcnn", "standard"), ("textcnn", "at")]
    assert all(0 < row["share"] < 1 and row["total"] > 0 for row in rows)


def test_starts_are_timed() -> None:
    found = waits._start(["-c", "pass"], 2, lambda text: None)
    assert found["command"] == "python -c pass"
    assert 0 < found["seconds"] <= found["longest"]
