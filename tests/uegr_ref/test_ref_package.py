from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import uegr_ref

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(uegr_ref.__path__, "uegr_ref.")
    if not module.name.endswith("__main__")
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
    """A contract wraps its function, which `doctest.testmod` takes for another module's: hence by hand."""
    module, finder, runner = importlib.import_module(name), doctest.DocTestFinder(), doctest.DocTestRunner()
    for label, value in vars(module).items():
        if getattr(value, "__module__", None) == name and inspect.isfunction(value):
            examples = finder.find(inspect.unwrap(value), label, module=module, globs=dict(vars(module)))
            for example in examples:
                runner.run(example)
            written = (value.__doc__ or "").count(">>>")
            assert written == sum(len(example.examples) for example in examples)
    assert runner.failures == 0


def test_there_are_examples():
    modules = [importlib.import_module(name) for name in MODULES]
    docs = [value.__doc__ or "" for module in modules for value in vars(module).values() if callable(value)]
    assert sum(">>>" in doc for doc in docs) >= 8


@pytest.mark.parametrize("name", MODULES)
def test_every_module_and_every_public_function_says_what_it_is(name):
    module = importlib.import_module(name)
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
        "for m in pkgutil.walk_packages(uegr_ref.__path__, 'uegr_ref.'):\n"
        "    if not m.name.startswith('uegr_ref.learn.'):\n"
        "        importlib.import_module(m.name)\n"
        "import uegr_ref.learn.exercises, uegr_ref.learn.learner\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = set(python("-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}").split())
    own = {
        name for name in loaded - set(sys.stdlib_module_names) if "cython" not in name
    }  # numpy's own runtime
    assert own - {"__main__"} <= {"numpy", "uegr_ref"}


def imports_of(path: Path, package: str) -> set[str]:
    """The modules of the package that a file imports when it is loaded."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            base = f"{base}.{node.module}" if node.module else base
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def test_no_module_imports_itself_around_a_circle_and_all_imports_stand_at_the_top():
    folder = Path(uegr_ref.__file__).parent
    edges = {}
    for path in sorted(folder.rglob("*.py")):
        parts = ["uegr_ref", *path.relative_to(folder).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        edges[name] = imports_of(path, package) - {name}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom | ast.Import):
                assert node.col_offset == 0, f"{path.name}:{node.lineno}"
    assert len(edges) > 20
    left = {name: targets & set(edges) for name, targets in edges.items()}
    while free := [name for name, targets in left.items() if not targets & set(left)]:
        for name in free:
            del left[name]
    assert not left, f"a circle of imports among {sorted(left)}"


def test_importing_it_takes_a_fraction_of_what_numpy_takes():
    """0.13 of it here; in one process, as a slow machine is slow with both."""
    code = (
        "import time; start = time.process_time(); import numpy, numpy.random; middle = time.process_time()\n"
        "import uegr_ref; print((time.process_time() - middle) / (middle - start))"
    )
    assert min(float(python("-c", code)) for _ in range(5)) < 0.25


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
        for name in ("sgd", "adamw_first_moment", "adamw_update"):
            assert row[name] == pytest.approx(1, rel=0.05)
    text = python("-m", "uegr_ref.theorem1")
    assert "The theorem holds" in text
    assert f"{result['monte_carlo_max_z']:.2f} standard errors" in text


@pytest.mark.parametrize("options", [["uegr_ref", "--epochs", "1"], ["uegr_ref.theorem1"]])
def test_what_the_commands_print_fits_a_terminal_of_80_columns(options):
    def columns(line: str) -> int:
        """A wide character, as of Chinese, takes two."""
        return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in line)

    assert max(map(columns, python("-m", *options).splitlines())) <= 80


@pytest.mark.parametrize(
    ("module", "options", "said"),
    [
        ("uegr_ref", ["--epochs", "0"], "--epochs: got 0, wanted a whole number >= 1"),
        ("uegr_ref", ["--epochs", "two"], "--epochs: got two, wanted a whole number >= 1"),
        ("uegr_ref", ["--seed", "-1"], "--seed: got -1, wanted a whole number >= 0"),
        ("uegr_ref", ["--language", "french"], "--language: invalid choice: 'french'"),
        ("uegr_ref", ["--lines\nof", "--words"], "unrecognized arguments: --lines of --words"),
        ("uegr_ref.theorem1", ["--seed", "-1"], "--seed: got -1, wanted a whole number >= 0"),
        ("uegr_ref.theorem1", ["--seed", "0.5"], "--seed: got 0.5, wanted a whole number >= 0"),
    ],
)
def test_wrong_options_end_in_one_line_and_exit_code_2(module, options, said):
    done = subprocess.run(
        [sys.executable, "-m", module, *options], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"python -m {module}: ")
    assert said in done.stderr


def test_a_reader_that_leaves_early_gets_no_traceback():
    command = f"{sys.executable} -m uegr_ref --epochs 1 | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("UEGR in NumPy")
    assert done.stderr == ""
