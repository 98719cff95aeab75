"""`zoo.fit` and `zoo.predict`: from a table to a folder, from lines to classes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from moods import moods
from uegr import TextClassifier
from zoo import ablate, fit, predict
from zoo.core import command
from zoo.training import turns

TRAINING = ["--set", "epochs=2", "batch_size=16", "learning_rate=0.03", "max_length=12"]
SMALL = [*TRAINING, "embedding=8", "filters=4", "widths=1,2"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path) -> Run:
    """Run a command where the files are; what is on standard input comes as bytes."""
    monkeypatch.chdir(place)

    def go(main: Callable[[Sequence[str]], int], *words: str, given: bytes = b"") -> tuple[int, str, str]:
        out, into = os.pipe()
        os.write(into, given)
        os.close(into)
        with os.fdopen(out, "rb") as stream:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))
            code = main(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return go


def table(path: Path, texts: Sequence[str], labels: Sequence[str], names: tuple[str, str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *zip(texts, labels, strict=True)])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables, a folder of parts, files that are none, and a model that was fitted by the command."""
    folder = tmp_path_factory.mktemp("place")
    table(folder / "moods.csv", *moods(150), ("text", "label"))
    table(folder / "named.csv", *moods(60, seed=1), ("what was said", "mood"))
    table(folder / "strange.csv", ["good", "bad"] * 20, ["fine", "cross"] * 20, ("text", "label"))
    (folder / "parts").mkdir()
    for part, rows, seed in (("train", 90, 0), ("dev", 30, 2), ("test", 45, 1)):
        pairs = zip(*moods(rows, seed), strict=True)
        lines = [json.dumps({"text": text, "label": label}) for text, label in pairs]
        (folder / "parts" / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "lines.txt").write_text("good day\n\nsome day\n")
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("mine")
    (folder / "file").write_text("")
    assert fit.main([str(folder / "moods.csv"), "--out", str(folder / "model"), *SMALL]) == 0
    return folder


# --- fit --------------------------------------------------------------------------------------------------


def test_fit_says_what_was_made_and_how_to_use_it(run: Run) -> None:
    code, out, err = run(fit.main, "moods.csv", "--out", "again", *SMALL)
    assert code == 0
    lines = out.splitlines()
    assert re.fullmatch(r"TextCNN with UEGR: 3 classes, 135 training texts, epoch [12] of 2", lines[0])
    assert re.fullmatch(
        r"validation accuracy [\d.]+ % of 15 texts \(the epoch was chosen by them\)", lines[1]
    )
    assert lines[-1].endswith("To use it: python -m zoo.predict again < texts")
    assert "textcnn with uegr: 135 texts to train on, 15 to validate" in err
    assert max(map(len, (*lines, *err.splitlines()))) <= 80


def test_fit_is_the_estimators_fit(run: Run, place: Path) -> None:
    texts, labels = moods(150)
    settings = {"embedding": 8, "filters": 4, "widths": (1, 2)}
    made = TextClassifier(epochs=2, batch_size=16, learning_rate=0.03, max_length=12, settings=settings)
    ours = made.fit(texts, labels).predict_proba(texts)
    assert np.array_equal(TextClassifier.load(place / "model").predict_proba(texts), ours)


def test_the_working_folder_may_get_the_model(run: Run, place: Path, monkeypatch: Any) -> None:
    """It has no name where it is called "."; the state of a training lies beside it, under its own."""
    (place / "here").mkdir()
    monkeypatch.chdir(place / "here")
    assert run(fit.main, "../moods.csv", "--out", ".", *SMALL)[0] == 0
    monkeypatch.chdir(place)
    assert run(predict.main, "here", given=b"good")[0] == 0


def test_a_folder_of_parts_is_read_as_the_comparison_reads_it(run: Run, place: Path) -> None:
    """The validation part is the published one, and the test part is read once, at the end."""
    code, out, _ = run(fit.main, "parts", "--out", "of-parts", "--json", *SMALL)
    assert code == 0
    found = json.loads(out)
    assert (found["train_rows"], found["validation_rows"], found["test_rows"]) == (90, 30, 45)
    texts, labels = moods(45, seed=1)
    assert found["test_accuracy"] == TextClassifier.load(place / "of-parts").score(texts, labels)
    assert found["classes"] == ["bad", "fine", "so"]


def test_a_dev_part_without_a_test_part_chooses_the_epoch(run: Run, place: Path, tmp_path: Path) -> None:
    """No test part is made up; a file named by --validation is said to stand in its place."""
    shutil.copytree(place / "parts", tmp_path / "two")
    (tmp_path / "two" / "test.jsonl").unlink()
    words = [str(tmp_path / "two"), "--out", str(tmp_path / "m"), "--json", *SMALL]
    found = json.loads(run(fit.main, *words)[1])
    assert (found["train_rows"], found["validation_rows"], found["test_rows"]) == (90, 30, 0)
    assert found["test_accuracy"] is None
    assert found["notes"] == []
    found = json.loads(run(fit.main, *words, "--validation", "moods.csv")[1])
    assert (found["train_rows"], found["validation_rows"], found["test_rows"]) == (90, 150, 0)
    assert "validation: the 30 rows of the corpus not read, those of --validation are" in found["notes"]


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (["moods.csv", "--validation", "0.4"], (90, 60)),
        (["moods.csv", "--validation", "0"], (150, 0)),
        (["moods.csv", "--validation", "parts"], (150, 165)),
        (["named.csv", "--text-column", "what was said", "--label-column", "mood"], (54, 6)),
        (["moods.csv", "--arch", "texthan", "--recipe", "dropout", "--seed", "3"], (135, 15)),
    ],
)
def test_options_of_fit(options: list[str], rows: tuple[int, int], run: Run, tmp_path: Path) -> None:
    own = [*TRAINING, "embedding=8", "hidden=4"] if "--arch" in options else SMALL
    code, out, err = run(fit.main, *options, "--out", str(tmp_path / "m"), "--json", *own)
    assert code == 0, err
    found = json.loads(out)
    assert (found["train_rows"], found["validation_rows"]) == rows
    made = TextClassifier.load(tmp_path / "m")
    if "--arch" in options:
        assert (made.arch, made.recipe, made.random_state) == ("texthan", "dropout", 3)


# --- predict ----------------------------------------------------------------------------------------------


def test_a_line_in_is_a_line_out(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "AT_ONCE", 2)
    texts = ["some day\r", "", "was awful, was dull", "good\u2028day", "z" * 5_000]
    code, out, err = run(predict.main, "model", given="\n".join(texts).encode())
    assert (code, err) == (0, "")
    asked = [text.rstrip("\r") for text in texts]
    assert out.splitlines() == TextClassifier.load(place / "model").predict(asked).tolist()


def test_json_has_every_probability(run: Run, place: Path) -> None:
    code, out, _ = run(predict.main, "model", "--json", given=b"good day\ndull\n")
    assert code == 0
    wanted = TextClassifier.load(place / "model").predict_proba(["good day", "dull"])
    for line, row in zip(out.splitlines(), wanted, strict=True):
        answer = json.loads(line)
        assert answer["probabilities"] == dict(zip(["bad", "fine", "so"], row.tolist(), strict=True))
        assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)


def test_a_class_of_half_a_character_is_said_as_json_says_it() -> None:
    """Files with one are refused, but an estimator may have been given it."""
    network: Any = SimpleNamespace(classes=np.array(["ä", "b\ud83d"]))
    said = predict._Answers(network, as_json=True).to(np.array([[0.25, 0.75]]), None)
    assert json.loads(said.encode()) == {"label": "b\ud83d", "probabilities": {"ä": 0.25, "b\ud83d": 0.75}}
    assert "ä" in said


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["--input", "named.csv", "--text-column", "what was said"], moods(60, seed=1)[0]),
        (["--input", "parts/test.jsonl"], moods(45, seed=1)[0]),
        (["--input", "lines.txt"], ["good day", "", "some day"]),
    ],
)
def test_a_file_is_read_in_order(options: list[str], texts: list[str], run: Run, place: Path) -> None:
    code, out, err = run(predict.main, "model", *options)
    assert (code, err) == (0, "")
    assert out.splitlines() == TextClassifier.load(place / "model").predict(texts).tolist()


def test_labels_give_the_accuracy(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "AT_ONCE", 7)
    options = ["--input", "named.csv", "--text-column", "what was said", "--label-column", "mood"]
    code, out, err = run(predict.main, "model", *options)
    accuracy = TextClassifier.load(place / "model").score(*moods(60, seed=1))
    assert (code, err) == (0, f"accuracy {100 * accuracy:.1f} % of 60 texts\n")
    assert len(out.splitlines()) == 60


def test_an_answer_comes_before_the_next_text_is_known(place: Path) -> None:
    root = str(Path(predict.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo.predict", "model"], cwd=place, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    for text in (b"awful dull\n", b"good bright\n"):
        process.stdin.write(text)
        process.stdin.flush()
        assert process.stdout.readline().strip() in (b"bad", b"fine", b"so")
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    process.stdout.close()


# --- cells of a comparison --------------------------------------------------------------------------------


def test_a_cell_of_a_comparison_can_be_used(run: Run, place: Path, tmp_path: Path) -> None:
    """--save-models keeps each network; it says of the test part what the result says."""
    from zoo.grid.store import Store
    from zoo.text import TextSettings, load_texts

    base = [
        "--corpus", "parts", "--arch", "textcnn", "--recipe", "uegr", "--jobs", "1", "--no-portable",
        "--device", "cpu", "--out", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache"), *SMALL,
    ]  # fmt: skip
    assert run(ablate.main, *base)[0] == 0
    code, _, err = run(ablate.main, *base, "--save-models")
    assert (code, "1 finished cells were run without --save-models and have no saved" in err) == (0, True)
    code, _, err = run(ablate.main, *base, "--keep-weights")
    assert (code, "1 finished cells were run without --keep-weights and have no kept" in err) == (0, True)
    shutil.rmtree(tmp_path / "out")
    code, _, err = run(ablate.main, *base, "--save-models", "--keep-weights")
    assert (code, "without" in err) == (0, False)
    assert "without" not in run(ablate.main, *base, "--keep-weights")[2]
    (folder,) = (tmp_path / "out" / "models").iterdir()
    result = Store(tmp_path / "out").read(folder.name)
    texts = load_texts("parts", TextSettings(), cache_dir=tmp_path / "cache")["test"].texts
    code, out, _ = run(predict.main, str(folder), given="\n".join(texts).encode())
    assert code == 0
    names = ["bad", "fine", "so"]
    assert [names.index(line) for line in out.splitlines()] == result.classes()[1].tolist()
    weights = tmp_path / "out" / "weights" / f"{folder.name}.safetensors"
    assert weights.read_bytes() == (folder / "weights.safetensors").read_bytes()
    loaded = TextClassifier.load(folder)
    assert (loaded.arch, loaded.recipe, loaded.random_state) == ("textcnn", "uegr", 0)
    again = loaded.fit(*moods(90)).network_.about.settings
    assert again == json.loads((folder / "model.json").read_text())["settings"]


# --- bad input --------------------------------------------------------------------------------------------

FIT = ["--out", "new"]
ROWS: list[tuple[Any, list[str], bytes, str]] = [
    (fit.main, ["moods.csv"], b"", "the following arguments are required: --out"),
    (fit.main, ["nowhere.csv", *FIT], b"", "corpus 'nowhere.csv': no such corpus or path"),
    (fit.main, ["named.csv", *FIT], b"", "expected text and label, or named.csv with"),
    (fit.main, ["moods.csv", "--out", "mine"], b"", "mine: holds notes.txt and is kept"),
    (fit.main, ["moods.csv", "--out", "file"], b"", "file: is a file; expected a new folder"),
    (fit.main, ["moods.csv", "--out", "file/below"], b"", "file/below: cannot be made in"),
    (fit.main, ["moods.csv", *FIT, "--arch", "textcn"], b"", "unknown arch 'textcn'"),
    (fit.main, ["moods.csv", *FIT, "--arch", "hf:./nowhere"], b"", "arch hf:./nowhere: no such folder"),
    (fit.main, ["moods.csv", *FIT, "--recipe", "uge"], b"", "unknown recipe 'uge'"),
    (fit.main, ["moods.csv", *FIT, "--set", "alpha"], b"", "--set alpha: expected NAME=VALUE"),
    (fit.main, ["moods.csv", *FIT, "--set", "alhpa=1"], b"", "unknown setting 'alhpa'"),
    (fit.main, ["moods.csv", *FIT, "--set", "fraction=0.5"], b"", "setting fraction: not one"),
    (fit.main, ["moods.csv", *FIT, "--validation", "1.5"], b"", "validation_fraction=1.5: expected a number"),
    (fit.main, ["moods.csv", *FIT, "--validation", "nan"], b"", "validation_fraction=nan: expected a number"),
    (fit.main, ["moods.csv", *FIT, "--validation", "no.csv"], b"", "corpus 'no.csv': no such corpus"),
    (fit.main, ["moods.csv", *FIT, "--validation", "strange.csv"], b"", "strange.csv: label 'cross'"),
    (fit.main, ["moods.csv", *FIT, "--language", "fr"], b"", "language='fr'"),
    (fit.main, ["moods.csv", *FIT, "--threads", "0"], b"", "n_jobs=0"),
    (predict.main, ["nowhere"], b"", "nowhere: no such folder; expected a folder that"),
    (predict.main, ["parts"], b"", "parts: holds no model.json"),
    (predict.main, ["model"], b"good\nb\xff\n", r"standard input, line 2: byte 2 \(0xff\) is not UTF-8"),
    (predict.main, ["model", "--text-column", "x"], b"", "column 'x': lines of text have no columns"),
    (predict.main, ["model", "--input", "lines.txt", "--label-column", "x"], b"", "column 'x': lines"),
    (predict.main, ["model", "--input", "no.csv"], b"", "no.csv: no such file"),
    (predict.main, ["model", "--input", "parts"], b"", "parts: not a file of rows"),
    (predict.main, ["model", "--input", "file"], b"", "file: unknown kind of file"),
    (predict.main, ["model", "--input", "named.csv"], b"", "expected text, or --text-column NAME"),
    (predict.main, ["model", "--input", "named.csv", "--text-column", "x"], b"", "no column 'x'"),
    (
        predict.main, ["model", "--input", "strange.csv", "--label-column", "label"], b"",
        "row 2: label 'cross' is unknown; the model has bad, fine, so",
    ),
    (predict.main, ["model", "--device", "tpu"], b"", "device='tpu'"),
]  # fmt: skip


@pytest.mark.parametrize(("main", "words", "given", "message"), ROWS, ids=[" ".join(row[1]) for row in ROWS])
def test_bad_input_is_one_line(
    main: Any, words: list[str], given: bytes, message: str, run: Run, place: Path
) -> None:
    code, out, err = run(main, *words, given=given)
    last = err.splitlines()[-1]
    assert code == 2, err
    assert re.search(message, last), last
    assert last.startswith(("zoo.fit: ", "zoo.predict: "))
    assert out.count("\n") == given[:5].count(b"\n"), "the lines before it are answered"
    assert not (place / "new").exists()


@pytest.mark.parametrize("main", [fit.main, predict.main])
def test_help_fits_a_terminal(main: Any, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


# --- in turns ---------------------------------------------------------------------------------------------


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


@pytest.mark.parametrize("more", [[], ["members=2"]])
def test_a_training_in_turns_is_the_one_in_one(
    more: list[str], run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended by the clock again and again, the same command ends with the same network, bit for bit."""
    options = ["moods.csv", *(word.replace("epochs=2", "epochs=6") for word in SMALL), *more]
    assert run(fit.main, *options, "--out", "whole")[0] == 0
    now = [0.0]

    def monotonic() -> float:
        now[0] += 1.0
        return now[0]

    for module in (command, turns):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=monotonic))
    codes, said = [], ""
    while 0 not in codes:
        code, _, err = run(fit.main, *options, "--out", "turns", "--minutes", "0.5")
        codes.append(code)
        said += err
        assert len(codes) < 50
    assert set(codes) == {0, 3}
    assert "the time is over; the same command goes on where it was" in said
    assert re.search(r"goes on at [1-9]\d? % of the training", said)
    found, whole = weights(place / "turns"), weights(place / "whole")
    assert all(torch.equal(found[name], whole[name]) for name in whole)
    assert not (place / ".turns.begun").exists(), "a kept model leaves no state"
    about = [json.loads((place / name / "model.json").read_text()) for name in ("turns", "whole")]
    assert about[0]["curve"] == about[1]["curve"]


def test_another_training_does_not_go_on_from_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other rows, another seed or other settings in the same place: it begins anew."""
    monkeypatch.setattr(turns, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(turns, "SHARE", 1e9)
    monkeypatch.setattr("zoo.training.turns.forget", lambda *_: None)
    options = ["moods.csv", *SMALL, "--out", "begun"]
    assert "goes on" not in run(fit.main, *options)[2]
    assert "goes on at" in run(fit.main, *options)[2]
    for other in (["--seed", "1"], ["--recipe", "dropout"], ["--validation", "0.3"]):
        assert "goes on" not in run(fit.main, *options, *other)[2]
        run(fit.main, *options)


def test_ctrl_c_says_where_it_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SAVE_EVERY", 0.0)

    def interrupted(self: turns.Turn, state: Callable[[], turns.State]) -> None:
        self.save(state())
        raise KeyboardInterrupt

    monkeypatch.setattr(turns.Turn, "keep", interrupted)
    code, _, err = run(fit.main, "moods.csv", *SMALL, "--out", "stopped")
    assert code == 130
    assert err.splitlines()[-2:] == [
        "the same command goes on from its last full minute", "zoo.fit: interrupted",
    ]  # fmt: skip
