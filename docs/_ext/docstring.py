"""What a docstring of the reference is made of: paragraphs, equations, tables of symbols, lines, examples.

A block is told by its shape. Columns are set apart by two spaces or more:

    (9)  p_i = 1 / (1 + exp(..))    two coefficients stated    number, (name), formula, status
    G    gradient    (B, T, D)      b example, t position      sign, name in code, shape, meaning
"""

from __future__ import annotations

import re
import textwrap
from typing import NamedTuple, TypeAlias


class Equation(NamedTuple):
    """One line of a block of equations. `number` and `name`, of a function, are "" where there is none."""

    number: str
    name: str
    formula: str
    status: str


class Symbol(NamedTuple):
    """One line of a table of symbols."""

    sign: str  # as in the formulas
    names: tuple[str, ...]  # in the code
    shape: str
    meaning: str


class Paragraph(NamedTuple):
    """Text."""

    text: str


class Equations(NamedTuple):
    """A block of equations."""

    rows: tuple[Equation, ...]


class Symbols(NamedTuple):
    """A table of symbols."""

    rows: tuple[Symbol, ...]


class Lines(NamedTuple):
    """Any other table: its rows, cell by cell."""

    rows: tuple[tuple[str, ...], ...]


class Example(NamedTuple):
    """A doctest."""

    text: str


Block: TypeAlias = Paragraph | Equations | Symbols | Lines | Example

NUMBER = re.compile(r"^\((\d+)\)$")
NAME = re.compile(r"^(?:[a-z]\w*[a-z0-9]\w*(?:, [a-z]\w+)*|h|p|-|site \d)$")
NAMES_OF = re.compile(r"^([a-z]\w+(?:, [a-z]\w+)+): (.*)$")
SHAPE = re.compile(r"^\(.*\)|^>=? 0$|^in [\[(]|^any shape")
RELATION = re.compile(r"^(?:=|<-|~|<=|->)(?: |$)")


def blocks(docstring: str) -> list[Block]:
    """The blocks of a docstring, in order."""
    return [_block(text) for text in re.split(r"\n\s*\n", docstring.strip("\n")) if text.strip()]


def _block(text: str) -> Block:
    lines = text.splitlines()
    if lines[0].lstrip().startswith(">>>"):
        return Example(textwrap.dedent(text))
    columns = sum(bool(re.search(r"\S {2,}\S", line)) for line in lines)
    indented = all(line.startswith("    ") for line in lines)
    if not indented and (columns < 2 or columns < len(lines) - 1):
        return Paragraph(" ".join(line.strip() for line in lines))
    rows = [cells(line) for line in textwrap.dedent(text).splitlines()]
    if any(NUMBER.match(row[0]) for row in rows):
        return Equations(tuple(_equation(row) for row in _under(rows)))
    if sum(len(row) > 2 and bool(NAME.match(row[1])) for row in rows) * 2 >= len(rows):
        return Symbols(tuple(_symbol(row) for row in _continued(rows)))
    if indented and all(len(row) == 1 and _is_formula(row[0]) for row in rows):
        return Equations(tuple(Equation("", "", row[0], "") for row in rows))
    if indented and all(_is_formula(row[-1]) or _is_formula(row[0]) for row in rows) and len(rows) < 5:
        return Equations(tuple(_equation(row) for row in _under(rows)))
    return Lines(tuple(map(tuple, _continued(rows))))


def _is_formula(cell: str) -> bool:
    return bool(re.search(r"\S +(?:=|<-|~|<=|->) ", cell))


def cells(line: str) -> list[str]:
    """The columns of a line; what begins with a relation, or follows a comma or a semicolon, is one with it.

    >>> cells("(2)  fgm    delta   = eps * G,   G = 1      stated")
    ['(2)', 'fgm', 'delta = eps * G,  G = 1', 'stated']
    >>> cells("      continued")
    ['', 'continued']
    """
    found: list[str] = [""] if line.startswith("  ") else []
    line = re.sub(r"^(\(\d+\)) (?=\S)", r"\1  ", line)
    for piece in re.split(r" {2,}", line.strip()):
        if found and found[-1] and RELATION.match(piece):
            found[-1] += f" {piece}"
        elif found and re.search(r"[,;:]$", found[-1]) and _is_formula(found[-1]):
            found[-1] += f"  {piece}"
        elif found and found[-1].endswith(" ="):
            found[-1] += f" {piece}"
        else:
            found.append(piece)
    return found


def _continued(rows: list[list[str]]) -> list[list[str]]:
    """Rows whose first cell is empty go on with the row above, column by column."""
    found: list[list[str]] = []
    for row in rows:
        if found and row[0] == "":
            above, more = found[-1], row[1:]
            place = 1 if len(above) > 1 else 0
            for i, cell in enumerate(more):
                target = place + i if i == 0 else len(above) - 1
                above[target] += f" {cell}"
        else:
            found.append(list(row))
    return found


def _under(rows: list[list[str]]) -> list[list[str]]:
    """Rows of equations; one without number stands under the number (or the name) above it."""
    found: list[list[str]] = []
    for row in rows:
        if row[0] == "" and found:
            found.append(
                [found[-1][0] if NUMBER.match(found[-1][0]) or NAME.match(found[-1][0]) else "", *row[1:]]
            )
        else:
            found.append(row)
    return found


def _equation(row: list[str]) -> Equation:
    number = NUMBER.match(row[0])
    rest = row[1:] if number or row[0] == "" else row
    name = ""
    if len(rest) > 1 and NAME.match(rest[0]) and not _is_formula(rest[0]):
        name, rest = rest[0], rest[1:]
    return Equation(number[1] if number else "", name, rest[0].rstrip(";"), "  ".join(rest[1:]))


def _symbol(row: list[str]) -> Symbol:
    sign, *rest = row
    names: tuple[str, ...] = ()
    shape = ""
    if rest and NAME.match(rest[0]):
        names = tuple(name for name in rest.pop(0).split(", ") if name != "-")
    elif rest and (several := NAMES_OF.match(rest[0])):
        names, rest[0] = tuple(several[1].split(", ")), several[2]
    if rest and (SHAPE.match(rest[0]) or (len(rest) > 1 and re.match(r"^as [a-z~]+(?:,|$)", rest[0]))):
        shape = rest.pop(0)
    return Symbol(sign, names, shape, " ".join(rest))
