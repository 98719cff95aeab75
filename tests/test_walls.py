"""The plan of the house: what may import what. Imports under TYPE_CHECKING and inside functions count too."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Floors from the ground up: a room may import its own floor's room itself, and rooms of lower floors.
FLOORS = (
    ("zoo.core",),
    ("zoo.fast",),
    ("zoo.method",),
    ("zoo.models", "zoo.text", "zoo.recipes"),
    ("zoo.training", "zoo.settings", "zoo.changes", "zoo.pretrained.settings", "uegr"),
    ("zoo.pretrained",),
    ("zoo.classifier",),
    ("zoo.robustness",),
    ("zoo.grid", "zoo.evidence", "zoo.probes"),
    ("zoo.studies", "zoo.report"),
    (
        "zoo.ablate",
        "zoo.fit",
        "zoo.predict",
        "zoo.robust",
        "zoo.study",
        "zoo.tune",
        "zoo.bench",
        "zoo.__main__",
    ),
    ("bench",),
)
# What a room must never see, although it lies above it or beside it in no order.
NEVER = {
    "zoo.method": (
        "zoo.text",
        "zoo.models",
        "zoo.recipes",
    ),  # the method knows no corpus and no table of models
    "zoo.training": ("zoo.report", "zoo.evidence", "zoo.grid", "zoo.recipes"),  # training knows no report
    "zoo.probes": ("zoo.report", "zoo.evidence", "zoo.grid", "zoo.recipes"),  # nor do measurements
    "zoo.robustness": ("zoo.report", "zoo.evidence", "zoo.grid", "zoo.recipes"),
    "zoo.evidence": ("zoo.text", "zoo.training", "zoo.method", "zoo.grid", "zoo.recipes"),
    "zoo.report": ("zoo.text", "zoo.training", "zoo.method", "zoo.recipes"),
    "zoo.pretrained": ("zoo.report", "zoo.evidence", "zoo.grid", "zoo.recipes", "zoo.models"),
    "zoo": ("uegr_ref", "uegr", "bench", "tests"),
    # The door serves models of any kind: it knows none of ours, and no corpus.
    "uegr": ("zoo.text", "zoo.models", "zoo.training", "zoo.classifier", "uegr_ref", "bench"),
}
# The front door alone names the classifier to keep, which stands floors above it: a line of its lazy table.
FRONT_DOOR = {"uegr": {"zoo.classifier.estimator"}, "zoo.bench": {"bench.command"}}


@cache
def modules() -> dict[str, Path]:
    """Every module of the four packages by its name."""
    found = {}
    for package in ("uegr", "uegr_ref", "zoo", "bench"):
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(name: str) -> frozenset[str]:
    """The modules of ours that a module imports, and all others by their first name."""
    path, found = modules()[name], set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from package import module` imports the module; `from module import name` the module.
            found |= {whole if (whole := f"{base}.{a.name}") in modules() else base for a in node.names}
    return frozenset(found - {name})


def rooms_of(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def floor(name: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if rooms_of(name, rooms))


ZOO = sorted(name for name in modules() if name.startswith(("zoo.", "uegr.", "bench")) or name == "uegr")


@pytest.mark.parametrize("name", ZOO)
def test_nothing_imports_upwards(name: str) -> None:
    up = {other for other in imports(name) if other in modules() and other != "zoo"}
    up -= FRONT_DOOR.get(name, set())
    assert {other for other in up if not other.startswith("uegr_ref") and floor(other) > floor(name)} == set()


@pytest.mark.parametrize("name", ZOO)
def test_no_room_sees_what_it_must_not(name: str) -> None:
    for room, never in NEVER.items():
        if rooms_of(name, (room,)) and not name.startswith("bench"):
            allowed = FRONT_DOOR.get(name, set())
            if rooms_of(name, ("zoo.pretrained",)):  # it trains through the door that users take
                allowed = {other for other in modules() if rooms_of(other, ("uegr",))}
            assert {o for o in imports(name) if rooms_of(o, never)} <= allowed


def test_a_measurement_parses_no_command_line() -> None:
    """Only what a user starts reads argv; no command calls another through its own."""
    commands = {"zoo.ablate", "zoo.fit", "zoo.predict", "zoo.study", "zoo.tune", "bench.command"}
    commands |= {"zoo.__main__", "zoo.robust"}
    shared = {"zoo.core.command", "zoo.studies.options"}
    parsing = {
        name for name in modules() if "argparse" in imports(name) and name.startswith(("zoo", "bench"))
    }
    assert {name for name in parsing if not name.startswith("zoo.report")} <= commands | shared
    for name in commands & set(modules()):
        called = imports(name) & commands
        assert called == set() or name == "zoo.__main__", f"{name} imports {called}"


def test_the_reference_imports_numpy_alone() -> None:
    import sys

    for name in modules():
        if name.startswith("uegr_ref"):
            # The properties, and the grader that runs them, draw their input with hypothesis.
            drawing = {"hypothesis"} if name.startswith("uegr_ref.learn") else set()
            others = {o.split(".")[0] for o in imports(name)} - {"uegr_ref", "numpy", "__future__"} - drawing
            assert others <= set(sys.stdlib_module_names), name


def test_the_method_knows_nothing_of_the_exercises() -> None:
    for name in modules():
        if name.startswith("uegr_ref") and not name.startswith("uegr_ref.learn"):
            assert not any(other.startswith("uegr_ref.learn") for other in imports(name)), name


def test_there_is_no_circle() -> None:
    """Depth first over all imports; a circle is printed as its path."""
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        for other in sorted(imports(name)):
            if other in modules():
                walk(other, (*path, name))
        done.add(name)

    for name in sorted(modules()):
        walk(name, ())


def test_files_stay_small() -> None:
    long = {name: n for name, path in modules().items() if (n := len(path.read_text().splitlines())) > 330}
    assert long == {}


def test_no_name_of_a_module_is_given_twice() -> None:
    """Outside branches a second value, function or class of one name hides the first, which is then dead."""
    for name, path in modules().items():
        seen: set[str] = set()
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                own = set() if node.decorator_list else {node.name}  # an overload, a registered case
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                own = {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
            else:
                continue
            assert not own & seen, f"{name}: {own & seen}"
            seen |= own
