from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import subprocess
import sys

import pytest

import uegr_ref

MODULES = sorted(
    module.name for module in pkgutil.iter_modules(uegr_ref.__path__) if module.name != "__main__"
)


def python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_true(name):
    assert doctest.testmod(importlib.import_module(f"uegr_ref.{name}")).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_module_and_every_public_function_says_what_it_is(name):
    module = importlib.import_module(f"uegr_ref.{name}")
    assert module.__doc__
    for label, value in vars(module).items():
        if (
            not label.startswith("_")
            and getattr(value, "__module__", None) == module.__name__
            and callable(value)
        ):
            assert value.__doc__, f"{name}.{label}"


def test_the_exported_names_exist_and_no_others():
    assert sorted(set(uegr_ref.__all__)) == list(uegr_ref.__all__)
    for name in uegr_ref.__all__:
        assert callable(getattr(uegr_ref, name))
    with pytest.raises(AttributeError, match="fgsn"):
        uegr_ref.fgsn  # noqa: B018


def test_numpy_is_all_it_needs():
    code = (
        "import sys, uegr_ref, pkgutil, importlib\n"
        "for m in pkgutil.iter_modules(uegr_ref.__path__):\n"
        "    if m.name != '__main__': importlib.import_module('uegr_ref.' + m.name)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = set(python("-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}").split())
    own = {
        name for name in loaded - set(sys.stdlib_module_names) if "cython" not in name
    }  # numpy's own runtime
    assert own - {"__main__"} <= {"numpy", "uegr_ref"}


def test_importing_it_adds_less_than_30_ms_to_numpy():
    code = (
        "import time, numpy, numpy.random\n"
        "start = time.process_time(); import uegr_ref; print(time.process_time() - start)"
    )
    assert min(float(python("-c", code)) for _ in range(5)) < 0.030


def test_the_demo_prints_a_table_and_the_same_as_json():
    options = ["-m", "uegr_ref", "--epochs", "2", "--language", "english", "--seed", "1"]
    result = json.loads(python(*options, "--json"))
    assert [(run["language"], run["method"]) for run in result["runs"]] == [
        ("english", "plain"),
        ("english", "uegr"),
    ]
    plain, uegr = (run["epochs"][-1] for run in result["runs"])
    assert plain["loss_adversarial"] is None
    assert plain["kept_share"] == 1
    assert 0.4 < uegr["kept_share"] < 0.5
    assert uegr["loss"] > uegr["loss_clean"] + uegr["loss_adversarial"] - 1e-9
    assert uegr["drop_rate"]["hidden"]["mean"] == pytest.approx(0.1)
    assert 0.5 < plain["test_accuracy"] < 1
    text = python(*options)
    assert f"{uegr['test_accuracy']:.1%}" in text
    assert f"{plain['attacked_accuracy']:.1%}" in text


def test_the_verification_of_theorem_1_holds_and_says_so():
    result = json.loads(python("-m", "uegr_ref.theorem1", "--json"))
    assert result["holds"] is True
    assert result["enumeration_max_abs_error"] < 1e-12
    assert result["bound_violations"] == result["below_unmasked"] == result["monte_carlo_alarms"] == 0
    assert result["false_alarm_rate"] <= 1e-9
    assert 0 < result["monte_carlo_max_z"] < 10
    assert result["adamw_bias"] < -0.5
    for row in result["adamw"]:
        assert row["adamw"] == pytest.approx(row["sqrt_p"], rel=0.1)
        assert row["adamw_without_rescaling"] == pytest.approx(row["adamw"], rel=1e-3)
        assert row["sgd"] == pytest.approx(1, rel=0.05)
    text = python("-m", "uegr_ref.theorem1")
    assert "The theorem holds" in text
    assert f"{result['monte_carlo_max_z']:.2f} standard errors" in text


def test_wrong_options_end_in_one_line_and_exit_code_2():
    for module, options in (("uegr_ref", ["--epochs", "0"]), ("uegr_ref.theorem1", ["--seed", "-1"])):
        done = subprocess.run(
            [sys.executable, "-m", module, *options], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_gets_no_traceback():
    command = f"{sys.executable} -m uegr_ref --epochs 1 | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("UEGR in NumPy")
    assert done.stderr == ""
