"""From the command line: `python -m zoo.ablate --arch hf:FOLDER`, the same store, the same report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from zoo.ablate import main
from zoo.grid.store import Store
from zoo.studies.study import Study


@pytest.fixture
def command(tiny_bert: Path, data_dir: Path, tmp_path: Path) -> list[str]:
    """Options of a small run; two recipes, two seeds."""
    return [
        "--preset", "minilm", "--arch", f"hf:{tiny_bert}", "--recipe", "dropout", "uegr", "--seeds", "0", "1",
        "--epochs", "1", "--fraction", "1", "--data-dir", str(data_dir),
        "--cache-dir", str(tmp_path / "cache"),
        "--out", str(tmp_path / "out"), "--jobs", "1", "--set", "max_length=16",
    ]  # fmt: skip


def test_pairs_and_scores_through_store_and_report(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--corpus", "glue_rte", "glue_stsb", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["cells"]) == 8
    assert said["reference"] == [], "it reads no pairs"
    (table,) = said["table"]
    assert table["arch"] == "hf:tiny-bert"
    scores = table["rows"][-1]["scores"]
    assert scores["glue_stsb"]["measure"] == "pearson"
    assert scores["glue_rte"]["paired_runs"] == 2
    stored = list(Store(tmp_path / "out").cells())
    assert {r.cell.arch for r in stored} == {"hf:tiny-bert"}
    assert all("partial: 27 of" in " ".join(r.corpus.notes) for r in stored if r.corpus)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")}
    assert main([*command, "--corpus", "glue_rte", "glue_stsb"]) == 0
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")}, "kept"
    text = capsys.readouterr().out
    assert "Test score, %" in text
    assert "Test Pearson correlation, %" in text


def test_the_reference_row_and_the_estimate(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--corpus", "glue_sst2", "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [cell["id"].split("-")[1] for cell in said["cells"]] == ["none", *["hf_tiny_bert"] * 4]
    assert said["estimated_seconds"] > 0
    assert not (tmp_path / "out").exists()


def test_the_weights_name_a_cell(tiny_bert: Path, data_dir: Path, tmp_path: Path) -> None:
    """Wherever the folder lies, and by nothing that such a model does not read."""
    from zoo.studies import run

    other = Path(shutil.copytree(tiny_bert, tmp_path / tiny_bert.name))

    def ids(folder: Path, *others: str, **changes: object) -> list[str]:
        study = Study.of(
            "minilm",
            {"archs": [f"hf:{folder}", *others], "corpora": ["glue_sst2"], "recipes": ["uegr"], "seeds": [0]},
            changes={"max_length": 16, **changes},
        )
        study = Study.from_json(
            {**study.as_json(), "places": {"data": str(data_dir), "cache": str(tmp_path)}}
        )
        jobs = run.jobs_of(study, lambda line: None)
        return [job.id for job in jobs if job.cell.arch.startswith("hf:")]

    first = ids(tiny_bert)
    assert first == ids(other) == ids(tiny_bert, "textcnn", min_count=2) == ids(tiny_bert, pretrained=True)
    assert first != ids(tiny_bert, pretrained=False)
    assert first != ids(tiny_bert, max_length=12)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.2}))
    from zoo.pretrained.folders import fingerprint

    fingerprint.cache_clear()
    assert first != ids(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--arch", "hf:/no/such"], "arch hf:/no/such: no such folder; expected hf:minilm"),
        (["--set", "members=2"], "members=2: hf:.* is trained alone; expected 1"),
        (["--save-models", "--corpus", "glue_rte"], "--save-models: glue_rte has pairs or scores"),
        (["--vectors", "word2vec"], "vectors=word2vec: hf:.* has its own"),
        (["--arch", "textcnn", "--corpus", "glue_rte"], "rows are sentence pairs .*or --arch hf:FOLDER"),
    ],
)
def test_bad_input_is_one_line(
    command: list[str], change: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    assert main([*command, "--corpus", "glue_sst2", *change]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in said if line.startswith("zoo.ablate:")]) == 1
    assert re.search(message, said[-1])
