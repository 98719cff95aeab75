"""The exercises: made from the reference, accepted with its bodies, refused with each planted error."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, settings

from other_answers import filled
from uegr_ref.learn import earlier, exercises
from uegr_ref.learn.__main__ import main
from uegr_ref.learn.grading import LAWS, grade
from uegr_ref.learn.steps import STEPS, owner

sys.path.insert(0, str(Path(__file__).parents[1]))
import mutants

# Generation alone: whether an answer is refused, and not the smallest example on which it is wrong.
QUICK = settings(max_examples=15, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
# Step 12 leaves these settings at their defaults, so what they do is not graded.
NOT_ASKED_FOR = {
    "pgd in Algorithm 1: the gradient of the clean point at every step",
    "statistics: previous_step uses this step's norms",
    "running saliency: of this batch alone",
    "epoch: a new mask at every step",
    "mask on the first moment: the second sees it too",
}
steps = pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])


def run(text: str, name: str) -> dict:
    namespace: dict = {}
    exec(compile(text, name, "exec"), namespace)
    return namespace


@pytest.fixture
def quick(monkeypatch):
    """Few examples, and floating-point warnings as the grader's child has them: none."""
    before = settings._current_profile
    settings.register_profile("quick", QUICK)
    settings.load_profile("quick")
    with np.errstate(all="ignore"):
        yield
    settings.load_profile(before)


@cache
def wrong_answers() -> list:
    """(step, planted error, text) for every planted error that changes a step's functions."""
    found = []
    for mutant in mutants.read("reference"):
        module = ".".join(Path(mutant.file).with_suffix("").parts[1:])
        text = exercises.source_of(module).replace(mutant.old, mutant.new) if "__init__" not in module else ""
        for step in STEPS:
            if any(name.rpartition(".")[0] == module for name in step.functions):
                answer = exercises.text(step, True, {module: text})
                if answer != exercises.text(step, True):
                    found.append((step, mutant.name, answer))
    return found


@pytest.mark.usefixtures("quick")
@steps
def test_the_reference_passes_every_step(step):
    functions = run(exercises.text(step, True), step.file)
    assert [one.words for one in grade(step, functions) if not one.passed] == []


@pytest.mark.usefixtures("quick")
@steps
def test_other_right_answers_pass_with_what_an_exercise_imports(step):
    assert [one.words for one in grade(step, run(filled(step), step.file)) if not one.passed] == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("step", "name", "text"), wrong_answers(), ids=[f"{s.number} {name}" for s, name, _ in wrong_answers()]
)
def test_a_planted_error_is_refused(step, name, text):
    if name in NOT_ASKED_FOR:
        pytest.skip("an option that the step does not ask for")
    verdict = next(one for one in grade(step, run(text, step.file)) if not one.passed)
    assert not verdict.empty
    assert len(verdict.words) > 10


def test_there_are_wrong_answers_for_every_step_and_only_options_are_left_out():
    assert {step.number for step, _, _ in wrong_answers()} == {step.number for step in STEPS}
    assert {name for step, name, _ in wrong_answers() if step.number == 12} >= NOT_ASKED_FOR
    assert len(wrong_answers()) > 55


@steps
def test_an_exercise_is_the_reference_without_its_bodies(step):
    text = exercises.text(step)
    functions = {n.name: n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)}
    assert tuple(functions) == step.names
    loaded = run(text, step.file)
    for name in step.functions:
        module, _, short = name.rpartition(".")
        original = getattr(importlib.import_module(f"uegr_ref.{module}"), short)
        assert inspect.signature(loaded[short]) == inspect.signature(original)
        assert loaded[short].__doc__ == original.__doc__
        assert getattr(loaded[short], "__contract__", None) == getattr(original, "__contract__", None)
        assert isinstance(functions[short].body[-1], ast.Raise)
        own = ast.unparse(ast.parse(inspect.getsource(inspect.unwrap(original))).body[0].body[-1])
        assert own not in ast.unparse(functions[short])  # the last line of the answer is not given away
    assert importlib.import_module(f"uegr_ref.{step.functions[-1].rpartition('.')[0]}").__doc__ in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.usefixtures("quick")
@steps
def test_an_empty_exercise_is_empty_and_not_wrong(step):
    verdicts = list(grade(step, run(exercises.text(step), step.file)))
    assert any(one.empty for one in verdicts)
    # What the contract above a body says is there already: bad input is refused.
    assert all(one.empty or one.law.endswith("refused") for one in verdicts), verdicts


def test_every_step_has_laws_and_every_function_belongs_to_one_step():
    assert sorted(LAWS) == [step.number for step in STEPS]
    for step in STEPS:
        assert {n for _, names, _ in LAWS[step.number] for n in names.split()} == set(step.names)
        assert all(owner(name) is step for name in step.names)
        assert all(law.says for law, _, _ in LAWS[step.number])


def test_the_tests_run_every_law_that_grades():
    """One set of properties: what the grader runs on a learner's functions runs on the reference in tests."""
    texts = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_ref_*.py"))
    for graded in LAWS.values():
        for law, _, _ in graded:
            assert f"laws.{law.name}(" in texts, law.name


# --- the command, in a learner's folder


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


def test_the_learners_own_function_is_what_a_later_step_gets(folder, monkeypatch):
    own = run(exercises.text(STEPS[1], True), "own")
    monkeypatch.setattr(earlier, "own", own)
    assert run(exercises.text(STEPS[2]), "exercise")["log_softmax"] is own["log_softmax"]
    monkeypatch.setattr(earlier, "own", {})
    assert run(exercises.text(STEPS[2]), "exercise")["log_softmax"] is earlier.reference("log_softmax")


ENDLESS = "def bernoulli_mask(p, rng):\n    while True:\n        pass\n"
CRASH = "import os, signal\ndef bernoulli_mask(p, rng):\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
GREEDY = "import numpy as np\ndef bernoulli_mask(p, rng):\n    return np.ones(10**11)\n"


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
    """A learner's fgsm that counts its calls: those of the training are among them, 4 epochs of 30 steps."""
    text = exercises.text(STEPS[0], True)
    text = text.replace('"""Step 1', 'import atexit\ncalls = []\n"""Step 1').replace(
        "    g = _real(gradient, mask)\n    usable",
        "    calls.append(1)\n    g = _real(gradient, mask)\n    usable",
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
    assert int(log.read_text()) >= 4 * 30
    losses = [row["loss"] for row in result["training"]]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 4


def test_hints_come_one_by_one(folder, capsys):
    capsys.readouterr()
    for number in (1, 2, 3, 3):
        assert main(["hint", str(folder), "3", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["hints"] == list(STEPS[2].hints[:number])


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
