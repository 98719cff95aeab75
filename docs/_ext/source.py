"""The files of the reference as the site reads them: docstrings apart from code, piece by piece."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

from docstring import Block, Equation, Equations, Symbol, Symbols, blocks

# The order of the paper, then Theorem 1 and what Section V-A says of the penalty; then what puts it together.
ORDER = (
    "perturb", "losses", "divergence", "dropout", "saliency", "mask", "theorem1", "theorem1.sampling",
    "penalty", "model", "settings", "stages", "optimizer", "algorithm1", "gradcheck",
)  # fmt: skip
DEFINITIONS = ast.FunctionDef | ast.ClassDef


class Item(NamedTuple):
    """A piece of a file: lines `start` .. `end` (from 1), less those of its docstring."""

    name: str  # "" for what is neither function nor class
    start: int
    end: int
    doc: str
    doc_lines: tuple[int, int]  # (0, 0) where there is none


class Module(NamedTuple):
    """A file of the reference."""

    name: str  # below the package, as `theorem1.sampling`
    path: str  # in the repository
    lines: tuple[str, ...]
    doc: str
    doc_ends: int
    items: tuple[Item, ...]

    @property
    def blocks(self) -> list[Block]:
        """Those of its docstring."""
        return blocks(self.doc)

    @property
    def equations(self) -> list[Equation]:
        """Those of its docstring, in order."""
        return [row for block in self.blocks if isinstance(block, Equations) for row in block.rows]

    @property
    def symbols(self) -> list[Symbol]:
        """Those of its docstring, in order."""
        return [row for block in self.blocks if isinstance(block, Symbols) for row in block.rows]

    @property
    def page(self) -> str:
        """The name of its page."""
        return self.name.replace(".", "_")


def read(root: Path, name: str) -> Module:
    """A module of `root`/uegr_ref by its name below the package."""
    path = root.joinpath("uegr_ref", *name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return parsed(name, path.relative_to(root).as_posix(), path.read_text("utf-8"))


def parsed(name: str, path: str, text: str) -> Module:
    """A module from its source."""
    tree = ast.parse(text)
    first = tree.body[0]
    doc_ends = first.end_lineno or 0
    items: list[Item] = []
    before = doc_ends
    for node in tree.body[1:]:
        end = node.end_lineno or node.lineno
        named = isinstance(node, DEFINITIONS)
        if items and not named and not items[-1].name:
            items[-1] = items[-1]._replace(end=end)
        else:
            documented = named and ast.get_docstring(node) is not None
            at = node.body[0] if documented else None
            lines = (at.lineno, at.end_lineno or 0) if at else (0, 0)
            doc = (ast.get_docstring(node) or "") if documented else ""
            items.append(Item(node.name if named else "", before + 1, end, doc, lines))
        before = end
    return Module(name, path, tuple(text.splitlines()), ast.get_docstring(tree) or "", doc_ends, tuple(items))


def code_of(module: Module, item: Item) -> list[str]:
    """The lines of an item without its docstring and without empty lines around it."""
    low, high = item.doc_lines
    high += bool(high) and not module.lines[high].strip()  # the empty line below it too
    lines = [module.lines[n - 1] for n in range(item.start, item.end + 1) if not low <= n <= high]
    return "\n".join(lines).strip("\n").splitlines()
