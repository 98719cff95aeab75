"""Malformed input at every command line: exit code 2, one line that says what, where, what was expected."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench import command as bench
from zoo import ablate, tune
from zoo.__main__ import main as zoo
from zoo.core.result import Cell, Result
from zoo.grid.store import Store

MAINS: dict[str, Callable[[Sequence[str]], int]] = {
    "ablate": ablate.main,
    "tune": tune.main,
    "bench": bench.main,
    "zoo": zoo,
}
HEAD = "text,label\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of many kinds, most of them unfit for what they are named as."""
    folder = tmp_path_factory.mktemp("place")
    texts = {
        "file": "",
        "empty.csv": "",
        "head.csv": HEAD,
        "good.csv": HEAD + "".join(f"words of row {i},{'ab'[i % 2]}\n" for i in range(60)),
        "twin/good.csv": HEAD + "".join(f"other words of row {i},{'ab'[i % 2]}\n" for i in range(60)),
        "one_label.csv": HEAD + "".join(f"row {i},a\n" for i in range(60)),
        "columns.csv": "first,second\n1,2\n",
        "rows.jsonl": '{"text": "a"\n',
        "study.json": json.dumps({"axes": {"corpora": ["good.csv"], "archs": ["textcnn"]}}),
        "bad_study.json": json.dumps({"axes": {"seeds": ["zero"]}}),
        "broken_study.json": "{",
        "large_study.json": f'{{"changes": {{"alpha": 1{"0" * 400}}}}}',
        "null_study.json": json.dumps({"places": {"out": "a\0b"}}),
        "vectors.txt": "good 1 2\nbad 1\n",
        "half/a-b.json": '{"id": "a-b", "cell"',
        "other/a-b.json": "[1, 2]",
        "old/a-b.json": json.dumps({"id": "a-b", "cell": {}, "status": "done", "test_accuracy": 0.5}),
        "newer/a-b.json": json.dumps({"schema": 99, "id": "a-b", "cell": {}, "status": "done"}),
        "odd/a-b.json": json.dumps({"schema": 2, "id": "a-b", "cell": "imdb", "status": "done"}),
        "misnamed/a-b.json": json.dumps(
            {
                "schema": 2,
                "id": "c-d",
                "cell": {"corpus": "c", "arch": "a", "recipe": "r", "seed": 0},
                "status": "failed",
            }
        ),
        "empty/.keep": "",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for recipe in ("at", "uegr"):
        result = Result(
            f"c-a-{recipe}", Cell("c", "a", recipe, 0), "failed", reason="x", made_by={"version": "1"}
        )
        Store(folder / "two").write(result)
    os.mkfifo(folder / "pipe.csv")
    return folder


GOOD = "--corpus good.csv --arch textcnn"
LONG = "x" * 300
ROWS = [
    # names
    ("ablate", "--arch texthann", "unknown arch 'texthann': expected one of .*did you mean 'texthan'"),
    ("ablate", "--arch all texthann", "unknown arch 'texthann'"),
    ("ablate", "--arch", "argument --arch: expected at least one argument"),
    ("ablate", "--recipe uergr", "unknown recipe 'uergr'.*did you mean 'uegr'"),
    ("ablate", "--recipe all", "unknown recipe 'all'"),
    ("ablate", "--preset demmo", "unknown preset 'demmo'.*did you mean 'demo'"),
    (
        "ablate",
        "--recipe-preset rat",
        "unknown recipe preset 'rat': expected one of default, pretrained, paper",
    ),
    ("ablate", "--tokeniser spaces", "tokeniser"),
    ("ablate", "--device tpu", "device='tpu': expected one of auto, cpu, cuda"),
    ("ablate", "--device cuda", "torch sees no GPU here; expected cpu or auto"),
    ("ablate", "--frobnicate", "unrecognized arguments: --frobnicate"),
    ("ablate", "--corpora imdb", "unrecognized arguments: --corpora imdb; did you mean --corpus"),
    ("ablate", "--learning-rate 1", "--learning-rate 1; as a setting: --set learning_rate=VALUE"),
    ("ablate", "--see 1", "unrecognized arguments: --see"),
    ("ablate", "run", "unrecognized arguments: run"),
    ("ablate", "--arch texthan --seed", "unrecognized arguments: --seed"),
    # numbers
    ("ablate", "--seeds -1", "axis seeds=-1: expected a number at least 0"),
    ("ablate", "--seeds 99999999999", "axis seeds=99999999999: expected a number"),
    ("ablate", "--seeds a", "argument --seeds: invalid int value: 'a'"),
    ("ablate", "--seeds 0.5", "invalid int value: '0.5'"),
    ("ablate", "--epochs 0", "epochs=0: expected a number at least 1"),
    ("ablate", "--epochs three", "invalid int value: 'three'"),
    ("ablate", "--epochs 1000000000", "epochs=1000000000: expected a number at least 1 and at most"),
    ("ablate", "--batch 0", "batch_size=0: expected a number at least 1"),
    ("ablate", "--batch 1000000", "batch_size=1000000: expected a number"),
    ("ablate", "--fraction 1.5", "fraction.*1.5"),
    ("ablate", "--fraction 0", "fraction.*0"),
    ("ablate", "--fraction -0.1", "fraction.*-0.1"),
    ("ablate", "--fraction nan", "fraction.*nan"),
    ("ablate", "--folds 1", "folds is 1; expected 0"),
    ("ablate", "--folds -3", "folds=-3"),
    ("ablate", "--folds 100000", "folds=100000: expected a number at least 0 and at most"),
    ("ablate", "--jobs 0", "--jobs 0: expected at least 1"),
    ("ablate", "--jobs -2", "--jobs -2: expected at least 1"),
    ("ablate", "--cells-per-gpu 0", "--cells-per-gpu 0: expected at least 1"),
    ("ablate", "--cells-per-gpu 2 --device cpu", "--cells-per-gpu 2: the device is cpu, expected a GPU"),
    ("ablate", "--cells-per-gpu 2 --jobs 2", "--jobs and --cells-per-gpu: expected one of them"),
    ("ablate", "--mps --device cpu", "--mps: one cell at a time shares no GPU; expected --cells-per-gpu 2"),
    # settings
    ("ablate", "--set alhpa=1", "unknown setting 'alhpa'.*did you mean 'alpha'"),
    ("ablate", "--set alpha", "--set alpha: expected NAME=VALUE"),
    ("ablate", "--set =1", "--set =1: expected NAME=VALUE"),
    ("ablate", "--set alpha=", "alpha=''.*expected"),
    ("ablate", "--set alpha=one", "alpha='one': expected"),
    ("ablate", "--set alpha=nan", "alpha='nan': expected a finite number"),
    ("ablate", "--set alpha=inf", "alpha='inf': expected a finite number"),
    ("ablate", "--set alpha=-1", "alpha=-1.0: expected a number"),
    ("ablate", "--set alpha=1 alpha=2", "--set alpha=2: alpha is 1 already; expected one value"),
    ("ablate", "--set alpha=1 --set alpha=2", "--set alpha=2: alpha is 1 already; expected one value"),
    ("ablate", "--set epsilon=-1", "epsilon=-1.0: expected a number"),
    ("ablate", "--set adversarial=1.5", "adversarial='1.5': expected"),
    ("ablate", "--set adversarial=1000000", "adversarial=1000000: expected a number"),
    ("ablate", "--set attack=pgd", "attack='pgd': expected one of fgsm"),
    ("ablate", "--set divergence=kl", "divergence='kl': expected one of"),
    ("ablate", "--set dropout=strong", "dropout='strong': expected one of none, uniform"),
    ("ablate", "--set update=some", "update='some': expected one of all, selective"),
    ("ablate", "--set base_rates=1", "base_rates.*1.0"),
    ("ablate", "--set base_rates=a,b", "base_rates='a,b': expected"),
    ("ablate", "--set base_rates=", "base_rates"),
    ("ablate", "--set sites=poled", "sites.*poled"),
    ("ablate", "--set q_min=0.9 q_max=0.1", "q_min"),
    ("ablate", "--set threshold=x", "threshold='x': expected"),
    ("ablate", "--set rescale=maybe", "rescale='maybe': expected on or off"),
    ("ablate", "--set learning_rate=-1", "learning_rate=-1.0: expected a number above 0"),
    ("ablate", "--set weight_decay=-1", "weight_decay=-1.0: expected a number"),
    ("ablate", "--set warmup=5", "warmup=5.0: expected a number"),
    ("ablate", "--set beta1=2", "beta1=2.0: expected a number at least 0 and below 1"),
    ("ablate", "--set beta2=1", "beta2=1.0: expected a number"),
    ("ablate", "--set adam_epsilon=-1", "adam_epsilon=-1.0: expected a number"),
    ("ablate", "--set selection=foo", "selection='foo': expected one of best, last"),
    ("ablate", "--set hidden=0", "hidden=0: expected a number at least 1"),
    ("ablate", "--set hidden=-5", "hidden=-5: expected a number at least 1"),
    ("ablate", "--set hidden=1000000", "hidden=1000000: expected a number"),
    ("ablate", "--set layers=0", "layers=0: expected a number at least 1"),
    ("ablate", "--arch textcnn --set widths=", r"widths=\(\): expected at least one width"),
    ("ablate", "--arch textcnn --set widths=0", "widths=0: expected a number at least 1"),
    (
        "ablate",
        "--arch textcnn --set filters=10000 widths=100 embedding=10000",
        r"needs [\d,]+ GiB, this machine",
    ),
    (
        "ablate",
        "--arch textcnn --set hidden=4",
        r"hidden: none of the models of this run \(textcnn\) reads it",
    ),
    ("ablate", "--recipe dropout --set epsilon=1", "epsilon: none of the methods of this run .*reads it"),
    ("ablate", "--set max_length=0", "max_length"),
    ("ablate", "--set min_count=0", "min_count"),
    ("ablate", "--set max_vocabulary=0", "max_vocabulary"),
    ("ablate", "--set split_seed=-1", "split_seed"),
    ("ablate", "--set folds=3", "unknown setting 'folds'"),
    ("ablate", "--epochs 3 --set epochs=5", "--epochs 3 and --set epochs=5: expected one of them"),
    ("ablate", "--vectors fasttext", "vectors 'fasttext': no such kind or file"),
    ("ablate", "--vectors empty", "vectors 'empty': no such kind or file"),
    # corpora and places
    ("ablate", "--corpus imbd", "imbd.*did you mean imdb"),
    ("ablate", "--corpus nowhere.csv", "corpus 'nowhere.csv': no such corpus or path"),
    ("ablate", "--corpus empty.csv", "empty.csv"),
    ("ablate", "--corpus head.csv", "head.csv"),
    ("ablate", "--corpus one_label.csv", "one_label.csv"),
    ("ablate", "--corpus columns.csv", "columns.csv.*expected text and label"),
    ("ablate", "--corpus rows.jsonl", "rows.jsonl"),
    ("ablate", "--corpus pipe.csv", "pipe.csv: neither a file nor a folder"),
    ("ablate", "--corpus empty", "empty: no training part"),
    ("ablate", "--corpus ''", "axis corpora is empty or has an empty name"),
    ("ablate", "--corpus good.csv twin/good.csv", "good.csv and twin/good.csv have one name, good"),
    ("ablate", "--corpus good.csv --text-column body", "body"),
    ("ablate", "--corpus good.csv --label-column text", "text"),
    ("ablate", "--corpus bbc_news --text-column body", "column 'body': bbc_news has its own columns"),
    ("ablate", "--corpus imdb --data-dir nowhere", "nowhere: no such folder"),
    ("ablate", "--corpus imdb --data-dir file", "file: is a file; expected a folder"),
    ("ablate", "--corpus imdb --data-dir empty", "empty: imdb is not there"),
    ("ablate", f"{GOOD} --cache-dir file", "file: is a file; expected a folder"),
    ("ablate", f"{GOOD} --out file", "file: the results folder is a file"),
    ("ablate", f"{GOOD} --out file/below", "file/below: file: the results folder is a file"),
    ("ablate", f"{GOOD} --out old", "old/a-b.json: .*python -m zoo.ablate convert old"),
    ("ablate", f"{GOOD} --out half", "half/a-b.json, line 1: broken JSON"),
    ("ablate", f"{GOOD} --out ''", "--out: an empty name; expected a folder"),
    ("ablate", f"{GOOD} --vectors vectors.txt --set embedding=2", "vectors.txt"),
    # the same with --dry-run
    ("ablate", "--dry-run --seeds -1", "axis seeds=-1"),
    ("ablate", "--dry-run --set hidden=0", "hidden=0"),
    ("ablate", f"{GOOD} --dry-run --out file", "file: the results folder is a file"),
    # studies
    ("ablate", "--study nowhere.json", r"nowhere.json: cannot be read \(No such file"),
    ("ablate", "--study empty", r"empty: cannot be read \(Is a directory"),
    ("ablate", "--study broken_study.json", "broken_study.json: not JSON"),
    ("ablate", "--study bad_study.json", "bad_study.json: axis seeds=.*expected a whole number"),
    ("ablate", "--study large_study.json", "large_study.json: forward setting alpha=inf: expected a finite"),
    ("ablate", "--study null_study.json", r"null_study.json: place out='a\\x00b': expected a text without a"),
    (
        "ablate",
        "--study study.json --epochs 3",
        "--study study.json with --epochs: the file says what is run",
    ),
    ("ablate", "--study study.json --set alpha=1", "with --set: the file says"),
    ("ablate", "--study study.json --jobs 0", "--jobs 0: expected at least 1"),
    # names that no file can have
    ("ablate", f"{GOOD} --out {LONG}", "x: File name too long; expected another"),
    ("ablate", f"{GOOD} --data-dir {LONG}", "x: File name too long; expected another"),
    ("ablate", f"{GOOD} --cache-dir {LONG}", "x: File name too long; expected another"),
    ("ablate", f"{GOOD} --vectors {LONG}", "x: File name too long; expected another"),
    ("ablate", f"report --out {LONG}", "x: File name too long; expected another"),
    # reading results
    ("ablate", "report --out nowhere", "nowhere: holds no results"),
    ("ablate", "report --out empty", "empty: holds no results"),
    ("ablate", "report --out file", "file: the results folder is a file"),
    ("ablate", "report --out half", "half/a-b.json, line 1: broken JSON"),
    ("ablate", "report --out other", "other/a-b.json: not the result of a cell"),
    ("ablate", "report --out old", "old/a-b.json: .*python -m zoo.ablate convert old"),
    ("ablate", "report --out newer", "newer/a-b.json: schema is 99, expected 2 .*update it"),
    ("ablate", "report --out odd", "odd/a-b.json: cell is 'imdb', expected an object"),
    ("ablate", "report --out misnamed", "misnamed/a-b.json: holds the cell 'c-d'"),
    ("ablate", "report more", "unrecognized arguments: more"),
    ("ablate", "show", "required: cell"),
    (
        "ablate",
        "show nothing --out two",
        "two: expected one cell that begins with 'nothing', found 0; there are c-a",
    ),
    (
        "ablate",
        "show c --out two",
        "two: expected one cell that begins with 'c', found 2; they are c-a-at, c-a-uegr",
    ),
    ("ablate", "show c --out nowhere", "nowhere: expected one cell that begins with 'c', found 0"),
    ("ablate", "show a --out half", "half/a-b.json, line 1: broken JSON"),
    ("ablate", "show a --out odd", "odd/a-b.json: cell is 'imdb'"),
    ("ablate", "convert", "required: folder"),
    ("ablate", "convert nowhere", "nowhere: no such folder"),
    ("ablate", "convert file", "file: no such folder"),
    ("ablate", "convert half", "half/a-b.json: not the result of a cell"),
    ("ablate", "convert old", "old/a-b.json: not a result of schema 1"),
    # the search
    ("tune", "--recipe standart", "unknown recipe 'standart'.*did you mean 'standard'"),
    ("tune", "--arch textcnn bilstm", "--arch textcnn bilstm: expected one model"),
    ("tune", "--arch all", "expected one model"),
    ("tune", "--vary alpha", "--vary alpha: expected NAME=VALUE,VALUE"),
    ("tune", "--vary alpha=", "--vary alpha=: expected NAME=VALUE,VALUE"),
    ("tune", "--vary alpha=1,,2", "--vary alpha=1,,2: expected NAME=VALUE,VALUE"),
    ("tune", "--vary alhpa=1,2", "unknown setting 'alhpa'"),
    ("tune", "--vary alpha=1,x", "alpha='x': expected"),
    ("tune", "--vary learning_rate=-1", "learning_rate=-1.0: expected a number above 0"),
    ("tune", "--vary alpha=1 alpha=2", "--vary alpha=2: alpha is varied already"),
    ("tune", "--vary hidden=4 --arch textcnn", "hidden: none of the models"),
    ("tune", "--vary alpha=1,2 --recipe dropout", r"--vary alpha: none of the methods of this run \(dropout"),
    ("tune", "--seeds 0 --best-out best", "--best-seeds 0: also a seed of the search"),
    ("tune", "--best-seeds 3", "--best-seeds without --best-out"),
    ("tune", "--best-out best --best-seeds -1", "seeds=-1"),
    ("tune", "--best-out file --corpus good.csv", "file: the results folder is a file"),
    ("tune", "--jobs 0", "--jobs 0: expected at least 1"),
    ("tune", "--device tpu", "device='tpu'"),
    ("tune", "--set alhpa=1", "unknown setting 'alhpa'"),
    ("tune", "--out file --corpus good.csv", "file: the results folder is a file"),
    ("tune", "--corpus nowhere.csv", "corpus 'nowhere.csv': no such corpus or path"),
    ("tune", "--study bad_study.json", "bad_study.json: axis seeds"),
    # the doors
    ("zoo", "ablate", "unrecognized arguments: ablate"),
    ("zoo", "--frobnicate", "unrecognized arguments: --frobnicate"),
    ("bench", "--arch texthann", "texthann"),
    ("bench", "--recipe uergr", "uergr"),
    ("bench", "--length 0", "length"),
    ("bench", "--threads 0", "threads"),
    ("bench", "--sizes huge", "huge"),
    ("bench", "--frobnicate", "unrecognized arguments: --frobnicate"),
    ("bench", "--quick --out empty", "empty"),
]


@pytest.mark.parametrize(
    ("name", "line", "said"), ROWS, ids=[f"{name} {line}"[:100] for name, line, _ in ROWS]
)
def test_one_line_and_exit_code_2(
    name: str, line: str, said: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    import torch

    if "cuda" in line and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.chdir(place)
    monkeypatch.setenv("UEGR_CACHE", str(place.parent / "cache"))
    monkeypatch.delenv("UEGR_DATA", raising=False)
    before = sorted(place.rglob("*"))
    code = MAINS[name](shlex.split(line))
    captured = capsys.readouterr()
    assert code == 2, captured
    assert captured.out == ""
    # What was read before the mistake was found may be told of; the complaint is the last line.
    *told, complaint = captured.err.strip().splitlines()
    assert re.search(said, complaint), captured.err
    assert complaint.startswith("zoo")
    assert "Traceback" not in captured.err
    assert all(text.startswith("not as the preset") or "tokenised" in text for text in told), told
    assert sorted(place.rglob("*")) == before, "something was written"
