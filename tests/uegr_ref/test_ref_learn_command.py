"""The command of the exercises, in a learner's folder: what it writes, says, keeps and survives."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from other_answers import filled
from uegr_ref.learn import exercises
from uegr_ref.learn.__main__ import main
from uegr_ref.learn.steps import STEPS


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "uegr_ref.learn", *arguments], capture_output=True, text=True, check=False
    )


def check(folder: Path, *steps: int, seconds: int = 60) -> dict:
    numbers = [str(step) for step in steps]
    done = command("check", str(folder), *numbers, "--json", "--seconds", str(seconds), "--examples", "20")
    assert done.stderr == ""
    return json.loads(done.stdout)


def answer(folder: Path, step: int, text: str | None = None) -> Path:
    file = folder / STEPS[step - 1].file
    file.write_text(text or exercises.text(STEPS[step - 1], True), "utf-8")
    return file


@pytest.fixture
def folder(tmp_path):
    assert main(["start", str(tmp_path / "mine")]) == 0
    return tmp_path / "mine"


def test_start_writes_only_what_is_missing(folder, capsys):
    capsys.readouterr()
    names = sorted(path.name for path in folder.iterdir())
    assert names == [step.file for step in STEPS]
    (folder / names[0]).write_text("mine", "utf-8")
    (folder / names[4]).unlink()
    assert main(["start", str(folder), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["written"] == [names[4]]
    assert (folder / names[0]).read_text("utf-8") == "mine"


def test_one_step_alone(tmp_path):
    main(["start", str(tmp_path / "one"), "--step", "3"])
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["step_03_js.py"]


JS_OF_EQUALS = """
from uegr_ref.learn.earlier import log_softmax
import numpy as np
def js(logits):
    p = np.exp(log_softmax(logits))
    return 0.21 + float(np.mean(np.sum(p * (np.log(p) - np.log(p.mean(axis=0))), axis=-1)))
def js_grad(logits):
    print("hello")
    return np.zeros(len(undefined))
"""


def test_a_wrong_answer_is_told_in_words_and_an_exception_by_the_learners_own_line(folder):
    file = answer(folder, 3, JS_OF_EQUALS)
    [result] = check(folder, 3)["steps"]
    first, *others = result["properties"]
    assert first["words"] == "the divergence of one distribution alone should be 0; yours gives 0.21."
    assert first["call"].startswith("js([[[0")
    last = next(one for one in others if one["law"] == "divergence_grads_are_the_gradients")
    assert last["words"] == "NameError: name 'undefined' is not defined"
    assert last["places"] == [f"{file.name}, line 9, in js_grad: return np.zeros(len(undefined))"]
    assert last["printed"] == "hello\n"
    assert not result["passed"]


def test_progress_is_kept_and_later_steps_use_what_passed(folder):
    answer(folder, 2)
    assert check(folder, 2)["passed"] == [2]
    answer(folder, 3)
    first = check(folder, 3)
    assert (first["passed"], first["steps"][0]["own"]) == ([2, 3], [2])
    answer(folder, 2, exercises.text(STEPS[1], True) + "# touched\n")
    second = check(folder, 3)  # step 2 is not known to pass as it is now: the reference stands in
    assert (second["passed"], second["steps"][0]["own"]) == ([3], [])


ENDLESS = "def bernoulli_mask(p, rng):\n    while True:\n        pass\n"
CRASH = "import os, signal\ndef bernoulli_mask(p, rng):\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
# Not touched, so that it costs nothing where there is no limit.
GREEDY = "import numpy as np\ndef bernoulli_mask(p, rng):\n    np.zeros(6 * 10**9 // 8)\n    return p\n"


@pytest.mark.parametrize(
    ("text", "ended", "line"),
    [(ENDLESS, "does a loop never end?", "[23]"), (CRASH, "SIGSEGV", "3")],
    ids=["endless", "crash"],
)
def test_endless_loops_and_crashes_are_survived_and_say_where(folder, text, ended, line):
    file = answer(folder, 9, text)
    [result] = check(folder, 9, seconds=6)["steps"]
    assert ended in result["ended"]
    [place] = result["places"]
    assert re.fullmatch(f"{file.name}, line {line}, in bernoulli_mask", place)
    assert not result["passed"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GREEDY, "MemoryError"),
        ("def bernoulli_mask(p, rng)\n    return p", "SyntaxError: expected ':', step_09_mask.py, line 1"),
        ("def mask(p, rng):\n    return p", "NameError: step_09_mask.py has no function bernoulli_mask"),
        ("def bernoulli_mask(p, rng):\n    return None", "AttributeError: 'NoneType' object has no"),
    ],
)
def test_code_that_does_not_run_is_told_in_a_line(folder, text, words):
    answer(folder, 9, text)
    [result] = check(folder, 9)["steps"]
    assert words in result["properties"][0]["words"]


def test_the_last_step_trains_with_the_learners_functions(folder):
    """A learner's fgm that counts its calls: those of the training are among them, 8 epochs of 30 steps."""
    text = exercises.text(STEPS[0], True)
    text = text.replace('"""Step 1', 'import atexit\ncalls = []\n"""Step 1').replace(
        "    g = _real(gradient, mask)\n    if scope",
        "    calls.append(1)\n    g = _real(gradient, mask)\n    if scope",
    )
    log = folder / "calls.txt"
    text = text.replace("from __future__ import annotations", "") + (
        f"\natexit.register(lambda: open({str(log)!r}, 'w').write(str(len(calls))))\n"
    )
    answer(folder, 1, text)
    answer(folder, 12)
    assert check(folder, 1)["passed"] == [1]
    [result] = check(folder, 12)["steps"]
    assert result["passed"], result
    assert int(log.read_text()) >= 8 * 30
    losses = [row["loss"] for row in result["training"]]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 8
    assert result["training"][-1]["test_accuracy"] > 0.75  # what is rebuilt has learned, and it is seen


def test_what_is_told_is_the_smallest_counterexample(folder):
    """Not the first one found, which has several examples and classes."""
    answer(
        folder, 6, exercises.text(STEPS[5], True).replace("return gradient * gradient", "return 2 * gradient")
    )
    [result] = check(folder, 6)["steps"]
    first = result["properties"][0]
    assert not first["passed"]
    numbers = [abs(float(n)) for n in re.findall(r"-?[\d.]+", first["call"].split("[")[1])]
    assert len(numbers) == 6
    assert sum(n != 0 for n in numbers) == 1


def test_a_child_that_dies_has_not_passed(folder):
    """It ends by itself after the second property, having passed both."""
    text = exercises.text(STEPS[8], True).replace(
        "    return rng",
        "    import os\n    if p.ndim == 1 and p.size == 6:\n        os._exit(0)\n    return rng",
    )
    answer(folder, 9, text)
    result = check(folder, 9)
    assert [one["passed"] for one in result["steps"][0]["properties"]] == [True, True]
    assert result["steps"][0]["ended"]
    assert result["passed"] == []


def test_hints_come_one_by_one_and_a_check_forgets_none(folder, capsys):
    capsys.readouterr()
    for number in (1, 2, 3, 3):
        assert main(["hint", str(folder), "3", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["hints"] == list(STEPS[2].hints[:number])
    answer(folder, 9)
    main(["hint", str(folder), "9"])
    check(folder, 9)
    capsys.readouterr()
    main(["hint", str(folder), "9", "--json"])
    assert len(json.loads(capsys.readouterr().out)["hints"]) == 2


def test_what_is_printed_fits_80_columns(folder):
    answer(folder, 3, JS_OF_EQUALS)
    texts = [command("start", str(folder)).stdout, command("hint", str(folder), "12").stdout]
    done = command("check", str(folder), "3", "9")
    assert done.returncode == 1
    assert "yours gives 0.21" in done.stdout
    for line in "".join([*texts, done.stdout]).replace(str(folder), "my_uegr").splitlines():
        assert sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in line) <= 80, line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "{none}"], "folder: got {none}, wanted one that `start` wrote exercises to"),
        (["start", "{other}"], "folder: got {other}, which holds other files"),
        (["start", "{file}"], "folder: got {file}, a file, wanted a folder"),
        (["check", "{mine}", "13"], "got 13, wanted a step from 1 to 12"),
        (["check", "{broken}"], "progress.json: wanted what `check` wrote"),
    ],
)
def test_wrong_input_ends_in_one_line_and_exit_code_2(tmp_path, arguments, said, capsys):
    paths = {name: str(tmp_path / name) for name in ("none", "other", "file", "mine", "broken")}
    for name in ("mine", "broken"):
        main(["start", paths[name], "--step", "1"])
    Path(paths["broken"], "progress.json").write_text("[", "utf-8")
    Path(paths["other"]).mkdir()
    Path(paths["other"], "letter.txt").touch()
    Path(paths["file"]).touch()
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main([one.format(**paths) for one in arguments])
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert said.format(**paths) in printed.err


def test_a_step_in_part_says_that_it_is_right_so_far_and_what_is_left(folder):
    left = {name: f'raise NotImplementedError("{name}")' for name in ("fgm", "relative_epsilon")}
    answer(folder, 1, filled(STEPS[0], left))
    told = command("check", str(folder), "1", "2", "--examples", "20").stdout.splitlines()
    assert told[0].split()[-1] == told[2].split()[-1] == "empty"
    assert told[1] == "     What is there has its properties; still empty: fgm, relative_epsilon."


def test_without_hypothesis_the_grader_says_what_to_install(folder, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as left:
        main(["check", str(folder), "1"])
    assert left.value.code == 2
    assert "pip install hypothesis (see" in capsys.readouterr().err  # the package itself is not on PyPI


def test_the_page_shows_what_the_command_prints(folder):
    page = Path(__file__).parents[2] / "docs" / "learn.md"
    if not page.is_file():
        pytest.skip("no docs/ here: this is a copy of the package and its tests alone")
    text = page.read_text("utf-8")
    shown = re.search(r"```text\n(.*?)```", text, re.DOTALL)[1]
    answer(folder, 3, JS_OF_EQUALS)
    assert command("check", str(folder), "3").stdout.startswith(shown)
    rows = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    assert rows == [str(step.number) for step in STEPS]
