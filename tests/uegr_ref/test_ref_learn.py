"""The exercises: made from the reference, accepted with its bodies, refused with each planted error."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, settings

from other_answers import filled, run
from uegr_ref.algorithm1 import Report, State
from uegr_ref.learn import earlier, exercises
from uegr_ref.learn.grading import LAWS, grade
from uegr_ref.learn.properties.law import percent
from uegr_ref.learn.properties.strategies import refused
from uegr_ref.learn.steps import STEPS, owner
from wrong_answers import WRONG

sys.path.insert(0, str(Path(__file__).parents[1]))
import mutants

# Generation alone: whether an answer is refused, and not the smallest example on which it is wrong.
QUICK = settings(max_examples=12, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
# Steps 1 and 12 leave these options at their defaults, so what they do is not graded.
NOT_ASKED_FOR = {
    "fgm by table: one occurrence of a word counts",
    "pgd in Algorithm 1: the gradient of the clean point at every step",
    "statistics: previous_step uses this step's norms",
    "running saliency: of this batch alone",
    "epoch: a new mask at every step",
    "mask on the first moment: the second sees it too",
}
steps = pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])


@pytest.fixture
def quick(request):
    """Few examples, fewer of whole steps; floating-point warnings as the grader's child has them: none."""
    step = request.node.callspec.params.get("step")
    settings.register_profile("quick", QUICK, max_examples=5 if step is STEPS[-1] else 12)
    settings.load_profile("quick")
    with np.errstate(all="ignore"):
        yield
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


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


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("step", "function", "words", "body"),
    [(owner(function), function, words, body) for function, _, words, body in WRONG],
    ids=[f"{function}: {name}" for function, name, _, _ in WRONG],
)
def test_a_learners_wrong_answer_is_refused_in_words(step, function, words, body):
    functions = run(filled(step, {function: body}), step.file)
    first = next(one for one in grade(step, functions) if not one.passed)
    assert words in f"{first.law}: {first.words}"


def test_a_gradient_that_is_far_off_is_told_in_plain_per_cent():
    assert [percent(share) for share in (0.00123, 0.55, 1.1, 23.4)] == ["0.12 %", "55 %", "110 %", "2,340 %"]


def test_the_last_exercise_shows_the_records_that_stand_beside_its_answer():
    text = exercises.text(STEPS[-1])
    for name in (*State._fields, *Report._fields):
        assert re.search(rf"^#     {name}: ", text, re.M), name


def test_there_are_wrong_answers_for_every_step_and_only_options_are_left_out():
    assert {step.number for step, _, _ in wrong_answers()} == {step.number for step in STEPS}
    assert {name for step, name, _ in wrong_answers() if step.number in (1, 12)} >= NOT_ASKED_FOR
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


def test_the_learners_own_function_is_what_a_later_step_gets(monkeypatch):
    own = run(exercises.text(STEPS[1], True), "own")
    monkeypatch.setattr(earlier, "own", own)
    assert run(exercises.text(STEPS[2]), "exercise")["log_softmax"] is own["log_softmax"]
    monkeypatch.setattr(earlier, "own", {})
    assert run(exercises.text(STEPS[2]), "exercise")["log_softmax"] is earlier.reference("log_softmax")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return None", "the perturbation should be [[[0]]]; yours gives nothing (None)."),
        ("return np.zeros(3)", "the shape of the perturbation should be (1, 1, 1); yours gives (3,)."),
        ("return 'up'", "the perturbation should be [[[0]]]; yours gives 'up'."),
    ],
)
def test_an_answer_of_nothing_or_of_another_shape_is_told_so(body, words):
    settings.register_profile("quick", QUICK, phases=[Phase.generate, Phase.shrink])
    settings.load_profile("quick")
    text = exercises.text(STEPS[0]).replace('raise NotImplementedError("fgsm")', body)
    assert next(grade(STEPS[0], run(text, "step"))).words == words


def test_a_refusal_says_what_where_and_what_was_wanted():
    def silent() -> None: ...

    def vague() -> None:
        raise ValueError("p: wrong")

    def clear() -> None:
        raise ValueError("p: got 2, wanted 1")

    refused("p", clear)
    for call in (silent, vague):
        with pytest.raises(AssertionError, match="p should be refused in one line"):
            refused("p", call)
    with pytest.raises(AssertionError, match="q should be refused in one line"):
        refused("q", clear)
