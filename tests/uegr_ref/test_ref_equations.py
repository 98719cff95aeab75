from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from equations import EQUATIONS, main, page, paths_of_tests

paths_of_tests.__test__ = False  # a function of that file, not a test
REPOSITORY = Path(__file__).parents[2]
rows = pytest.mark.parametrize("row", EQUATIONS, ids=[f"{row.number} {row.says}" for row in EQUATIONS])


def test_every_equation_and_the_theorem_has_a_row():
    numbers = [row.number for row in EQUATIONS]
    assert [n for n in numbers if n.isdigit()] == [str(n) for n in range(1, 20)]
    assert "Theorem 1" in numbers
    assert "Algorithm 1" in numbers


@rows
def test_every_function_named_exists(row):
    for name in row.functions.split():
        module, function = name.rsplit(".", 1)
        assert callable(getattr(importlib.import_module(f"uegr_ref.{module}"), function))


@rows
def test_every_test_named_exists(row):
    assert paths_of_tests(row)
    for file, name in paths_of_tests(row):
        tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_committed_page_is_what_the_code_makes():
    committed = REPOSITORY / "docs" / "equations.md"
    if not committed.parent.is_dir():
        pytest.skip("no docs/ here: this is a copy of the package and its tests alone")
    assert committed.read_text(encoding="utf-8") == page()


def test_the_command_writes_prints_and_refuses(tmp_path, capsys):
    assert main([str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page()
    capsys.readouterr()
    assert main(["-"]) == 0
    assert capsys.readouterr().out == page()
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "no" / "page.md")])
