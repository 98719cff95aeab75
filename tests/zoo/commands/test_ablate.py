"""The command line as a user meets it: runs, resumes, survives, and refuses in one line."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from zoo import __version__, ablate
from zoo.__main__ import main as zoo
from zoo.grid.store import Store
from zoo.models import ARCHS
from zoo.studies.options import study_of


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = ablate.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_all_recipes_then_nothing_left_to_do(base: list[str], tmp_path: Path, capsys) -> None:
    code, out, err = run([*base, "--jobs", "1", "--json"], capsys)
    assert code == 0, err
    answer = json.loads(out)
    assert [c["cell"]["recipe"] for c in answer["cells"]] == [
        "standard", "dropout", "at", "r_drop", "r_at", "r_at_su", "uegr",
    ]  # fmt: skip
    assert [c["cell"]["recipe"] for c in answer["reference"]] == ["tfidf_svm"]
    assert answer["seconds"] > 0
    assert len(answer["table"]) == 1
    uegr = answer["cells"][-1]["curve"][0]
    for key in ("loss", "loss_clean", "loss_adversarial", "divergence", "kept_share", "perturbation"):
        assert uegr[key] > 0, key
    assert uegr["drop_rate"] == {"pooled": pytest.approx(0.2, abs=1e-3)}
    assert all(Path(path).exists() for path in answer["written"])

    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*-s0-*.json")}
    code, out, err = run([*base, "--jobs", "1"], capsys)
    assert code == 0
    assert "0 to run" in err
    assert "UEGR" in out
    assert "w/o Dropout" in out
    assert {p: p.stat().st_mtime_ns for p in before} == before, "a second run must leave finished cells alone"


def test_dry_run_lists_the_cells_and_trains_nothing(base: list[str], tmp_path: Path, capsys) -> None:
    code, out, err = run([*base, "--dry-run"], capsys)
    assert code == 0
    assert out.startswith("8 cells, 8 to run, about ")
    assert re.search(r"moods +textcnn +7 of 7 to run", out)
    assert len(out.splitlines()) == 4
    assert "timing moods textcnn standard (1 of 7 kinds of cells)" in err
    assert not (tmp_path / "out").exists()
    assert run([*base, "--dry-run", "--verbose"], capsys)[1].count("missing") == 8
    answer = json.loads(run([*base, "--dry-run", "--json"], capsys)[1])
    assert [cell["done"] for cell in answer["cells"]] == [False] * 8
    study = tmp_path / "study.json"
    study.write_text(json.dumps(answer["study"]))
    again = json.loads(run(["--study", str(study), "--dry-run", "--json"], capsys)[1])
    assert (again["study"], again["cells"]) == (answer["study"], answer["cells"])
    # As it was printed too: `... --dry-run --json > study.json`.
    study.write_text(json.dumps(answer))
    whole = json.loads(run(["--study", str(study), "--dry-run", "--json"], capsys)[1])
    assert (whole["study"], whole["cells"]) == (answer["study"], answer["cells"])


def test_report_and_show_read_the_folder(base: list[str], tmp_path: Path, capsys) -> None:
    run([*base, "--recipe", "dropout", "uegr", "--jobs", "1"], capsys)
    out = str(tmp_path / "out")
    code, text, _ = run(["report", "--out", out], capsys)
    assert code == 0
    assert "UEGR" in text
    assert (tmp_path / "out" / "table.tex").exists()
    assert json.loads(run(["report", "--out", out, "--json"], capsys)[1])["table"]
    code, text, _ = run(["show", "moods-textcnn-uegr", "--out", out], capsys)
    assert code == 0
    assert "kept_share" in text
    code, _, err = run(["show", "nothing", "--out", out], capsys)
    assert code == 2
    assert "expected one cell" in err
    assert "moods-textcnn-uegr-s0" in err, "what there is must be said"


def test_other_settings_leave_what_a_run_made_as_it_was(
    base: list[str], tmp_path: Path, capsys, monkeypatch
) -> None:
    """The commands of the README one after the other: each reads, and none destroys, what others made."""
    monkeypatch.chdir(tmp_path)
    at = base.index("--out")
    base = [*base[:at], *base[at + 2 :], "--jobs", "1"]
    code, out, err = run([*base, "--recipe", "dropout", "uegr", "--seeds", "0", "1"], capsys)
    assert code == 0, err
    (first,) = Path("runs").iterdir()
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert first / "difference.png" in before
    assert f"Written: {first}/table.md, table.tex, table.csv, difference.png" in out

    code, _, err = run([*base, "--set", "alpha=4", "epsilon=0.3", "--recipe", "uegr"], capsys)
    assert code == 0, err
    assert "alpha=4, " in err.splitlines()[0]
    assert "epsilon=0.3" in err.splitlines()[0]
    assert len(list(Path("runs").iterdir())) == 2
    assert {path: path.read_bytes() for path in before} == before

    assert run(["report", "--out", str(first)], capsys)[0] == 0
    assert run(["show", "moods-textcnn-uegr-s0", "--out", str(first)], capsys)[0] == 0
    assert {path: path.read_bytes() for path in before} == before
    # One method of the same settings again: the folder's files still tell of all that is in it.
    assert run([*base, "--recipe", "uegr", "--seeds", "0"], capsys)[0] == 0
    assert {path: path.read_bytes() for path in before} == before


def test_variants_of_one_method_may_share_a_folder(base: list[str], tmp_path: Path, capsys) -> None:
    base = [*base, "--jobs", "1", "--recipe", "r_drop"]
    assert run(base, capsys)[0] == 0
    assert run([*base, "--set", "alpha=4"], capsys)[0] == 0
    assert run(["report", "--out", str(tmp_path / "out")], capsys)[0] == 0
    names = [r.cell.recipe for r in Store(tmp_path / "out").cells()]
    assert names.count("r_drop") == 2
    assert names.count("tfidf_svm") == 1


def test_options_of_several_values_add_up(corpus: Path) -> None:
    several = ["--set", "alpha=1", "--set", "beta1=0.8", "epochs=2", "--seeds", "0", "--seeds", "1"]
    options = ablate.parse([*several, "--arch", "all", "han"])
    study = study_of(options)
    assert study.changes == {"alpha": 1.0, "beta1": 0.8, "epochs": 2}
    assert study.seeds == (0, 1)
    assert set(study.archs) == set(ARCHS)


def test_a_full_disk_is_one_line(base: list[str], tmp_path: Path, capsys, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = run([*base, "--recipe", "dropout", "--jobs", "1"], capsys)
    assert code == 2
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("zoo.ablate: ")
    assert "No space left on device" in err.splitlines()[-1]
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix == ".tmp"]


def test_last_lines_break_between_words(base: list[str], capsys, monkeypatch) -> None:
    """On a terminal of 60 columns no word is cut, and nothing runs over the edge but a path."""
    monkeypatch.setattr("zoo.ablate.terminal_width", lambda: 60)
    _, out, _ = run([*base, "--recipe", "dropout", "--jobs", "1"], capsys)
    end = out[out.index("Written:") :]
    assert "Took" in end
    assert all(len(line) <= 60 or " " not in line.strip() for line in end.splitlines()), end


def test_what_there_is(capsys) -> None:
    assert zoo([]) == 0
    out = capsys.readouterr().out
    for name in ("zoo.ablate", "zoo.tune", "zoo.bench", "--list"):
        assert name in out
    assert max(map(len, out.splitlines())) <= 80
    for main in (zoo, ablate.main):
        with pytest.raises(SystemExit) as end:
            main(["--version"])
        assert end.value.code == 0
        assert capsys.readouterr().out == f"uegr {__version__}\n"
        assert main(["--list"]) == 0
        assert "learning_rate" in capsys.readouterr().out
    assert zoo(["--list", "--json"]) == 0
    assert "uegr" in json.loads(capsys.readouterr().out)["recipes"]


def test_an_unknown_label_names_file_and_line(base: list[str], corpus: Path, tmp_path: Path, capsys) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in corpus.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    with gzip.open(broken / "test.jsonl.gz", "at", encoding="utf-8") as file:
        file.write('{"text": "hm", "label": "ugly"}\n')
    base[base.index("--corpus") + 1] = str(broken)
    code, _, err = run(base, capsys)
    assert code == 2
    assert "test.jsonl.gz" in err
    assert "41" in err
    assert "ugly" in err


def test_help_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from zoo import ablate\n"
        "try: ablate.main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'gensim', 'scipy', 'sklearn', 'matplotlib', 'jieba', 'torchtext', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_folds_make_a_cell_each(base: list[str], tmp_path: Path, capsys) -> None:
    code, _, err = run([*base, "--folds", "3", "--recipe", "dropout", "--jobs", "1"], capsys)
    assert code == 0, err
    folds = [r.cell.fold for r in Store(tmp_path / "out").cells() if r.cell.recipe == "dropout"]
    assert sorted(folds) == [0, 1, 2]


def test_folders_are_merged_and_a_conflict_is_one_line(base: list[str], tmp_path: Path, capsys) -> None:
    at = base.index("--out")
    for name, seeds in (("a", ["0", "1"]), ("b", ["1", "2"])):
        places = [*base[:at], "--out", str(tmp_path / name), *base[at + 2 :], "--jobs", "1"]
        assert run([*places, "--recipe", "dropout", "--seeds", *seeds], capsys)[0] == 0
    folders = [str(tmp_path / name) for name in "ab"]
    code, out, _ = run(["merge", *folders, "--out", str(tmp_path / "c")], capsys)
    assert (code, out) == (0, f"4 cells in {tmp_path}/c/, 4 copied\n")
    answer = json.loads(run(["merge", *folders, "--out", str(tmp_path / "c"), "--json"], capsys)[1])
    assert (answer["cells"], answer["copied"]) == (4, 0)
    (changed,) = (tmp_path / "b").glob("moods-textcnn-dropout-s1-*.json")
    changed.write_text(changed.read_text().replace('"best_epoch": 1', '"best_epoch": 2'))
    code, _, err = run(["merge", *folders, "--out", str(tmp_path / "d")], capsys)
    assert code == 2
    assert changed.stem in err
    assert "(best_epoch)" in err
    assert not (tmp_path / "d").exists()
