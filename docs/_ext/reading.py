"""The Read pages: a file of the reference as a page, what is said of an idea beside the code of that idea.

Everything is taken from the source when the site is built: the words are the docstrings, the formulas those
that stand in them, the code the lines themselves. Each line of a file is on its page once.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from docstring import Block, Equation, Equations, Example, Lines, Paragraph, Symbol, Symbols, blocks
from formula import latex
from prose import marked
from source import ORDER, Item, Module, code_of, read


class Site(NamedTuple):
    """What pages know of each other."""

    modules: tuple[Module, ...]
    tests: Mapping[str, Sequence[str]] = {}  # of a function, `module.name`: the tests that prove it
    functions: Mapping[str, Sequence[str]] = {}  # of an equation's number: the functions, in order

    @property
    def anchors(self) -> frozenset[str]:
        """The numbers of the equations."""
        return frozenset(row.number for module in self.modules for row in module.equations if row.number)

    def names(self, module: Module) -> dict[str, tuple[str, str]]:
        """Names in code -> the anchor of the symbol, and what it is; those of the module itself go first."""
        found: dict[str, tuple[str, str]] = {}
        for one in (module, *self.modules):
            for symbol in one.symbols:
                for name in symbol.names:
                    said = "  ".join(filter(None, (symbol.sign.strip("-"), symbol.shape, symbol.meaning)))
                    found.setdefault(name, (anchor_of(one, symbol), said))
        return found


def anchor_of(module: Module, symbol: Symbol) -> str:
    """The anchor of a symbol in the table of all."""
    word = symbol.names[0] if symbol.names else re.sub(r"\W+", "-", symbol.sign.split(" =")[0])
    return f"symbol-{module.page}-{word.strip('-')}".replace("_", "-").replace(" ", "-").lower()


def site(
    root: Path,
    tests: Mapping[str, Sequence[str]] | None = None,
    functions: Mapping[str, Sequence[str]] | None = None,
) -> Site:
    """All of them."""
    return Site(tuple(read(root, name) for name in ORDER), tests or {}, functions or {})


def page(module: Module, pages: Site) -> str:
    """A module's page in Markdown."""
    lead, *rest = module.blocks
    assert isinstance(lead, Paragraph)
    place = ORDER.index(module.name) if module.name in ORDER else 0
    parts = [
        "---\nhide-toc: true\n---",
        f"# {module.name}",
        f"({module.page}-file)=",
        f":::{{container}} lead\n{marked(lead.text, pages.anchors - _own(module))}\n:::",
        f"`{module.path}`, file {place + 1} of {len(ORDER)}. "
        "[Every symbol](symbols.md). In the code, a dotted name is one of them.",
    ]
    seen: set[str] = set()
    left = [shown for block in rest for shown in _block(block, module, pages, seen)]
    head, *items = module.items
    right = code(module, head, pages)
    imports = f"<details class='imports'><summary>Imports</summary>{right}</details>"
    if "import" not in module.lines[head.start]:
        imports = right
    parts += ["\n\n".join(left), raw(imports)]
    for item in items:
        parts += list(_item(item, module, pages))
    return "\n\n".join(parts) + "\n"


def _own(module: Module) -> frozenset[str]:
    return frozenset(row.number for row in module.equations)


def _item(item: Item, module: Module, pages: Site) -> Iterator[str]:
    """A heading where it is public, then the two columns."""
    public = item.name and not item.name.startswith("_")
    if public:
        yield f"({module.page}-{'class-' if item.name[0].isupper() else ''}{item.name})="
        yield f"## {item.name}"
    idea: list[str] = []
    if item.name and not public:
        idea.append(f"`{item.name}`")
    for block in blocks(item.doc):
        idea += _block(block, module, pages)
    formulas = [equation(row, "") for row in belonging(item, module, pages)]
    if public and (tests := pages.tests.get(f"{module.name}.{item.name}")):
        listed = "\n".join(f"- `{test}`" for test in tests)
        idea.append(f":::{{container}} proven\nProven by\n\n{listed}\n:::")
    yield pair([*formulas, *idea], raw(code(module, item, pages)))


def belonging(item: Item, module: Module, pages: Site) -> list[Equation]:
    """The equations of a function: by its name, or else those whose number its docstring begins with.

    Of a private function none. Where a number has several lines and as many functions, each has its own line.
    """
    if not item.name or item.name.startswith("_"):
        return []
    named = [row for row in module.equations if row.name == item.name]
    if named:
        return named
    first = item.doc.split("\n\n")[0]
    numbers = set(re.findall(r"Eq\. (\d+)", first)) | set(re.findall(r"Eq\. \d+(?:-| and |, )(\d+)", first))
    found = []
    own = f"{module.name}.{item.name}"
    numbers |= {n for n, functions in pages.functions.items() if n.isdigit() and own in functions}
    for number in sorted(numbers, key=int):
        rows = [row for row in module.equations if row.number == number and not row.name]
        functions = list(pages.functions.get(number, ()))
        if len(rows) == len(functions) > 1 and own in functions:
            rows = [rows[functions.index(own)]]
        found += rows if len(rows) == 1 else []
    return found


def pair(idea: Sequence[str], code_block: str) -> str:
    """Two columns: the idea, and its code."""
    left = "\n\n".join(idea) or raw("<span></span>")
    six = ":" * 6
    columns = f"{six}{{container}} idea\n{left}\n{six}\n\n{six}{{container}} code\n{code_block}\n{six}"
    return f":{six}{{container}} pair\n{columns}\n:{six}"


def raw(text: str) -> str:
    """HTML as it is."""
    return f"```{{raw}} html\n{text}\n```"


def equation(row: Equation, anchor: str) -> str:
    """One equation: its number, whose it is, the formula, what the paper says of it."""
    shown = "\n\n".join(
        f"```{{math}}\n{text}\n```" if (text := latex(formula)) else f"`{formula}`"
        for formula in re.split(r"[,;:]  ", row.formula)
    )
    label = f"({row.number})" if row.number else ""
    name = f"`{row.name}`" if row.name else ""
    notes = " ".join(filter(None, (label, name, marked(row.status))))
    said = f"\n\n:::{{container}} status\n{notes}\n:::" if notes else ""
    target = f":name: {anchor}\n" if anchor else ""
    return f"::::{{container}} equation\n{target}\n{shown}{said}\n::::"


def _block(block: Block, module: Module, pages: Site, seen: set[str] | None = None) -> list[str]:
    """A block of a docstring in Markdown. `seen`: numbers of equations that have their anchor already."""
    if isinstance(block, Paragraph):
        return [marked(block.text, pages.anchors)]
    if isinstance(block, Example):
        return [f"```pycon\n{block.text}\n```"]
    if isinstance(block, Equations):
        shown = []
        for row in block.rows:
            new = seen is not None and bool(row.number) and row.number not in seen
            if seen is not None:
                seen.add(row.number)
            shown.append(equation(row, f"eq-{row.number}" if new else ""))
        return shown
    if isinstance(block, Symbols):
        return [
            table(("Symbol", "In code", "Shape, range", "What it is"), (_cells(row) for row in block.rows))
        ]
    first, *others = block.rows
    if (
        others and len(first[0]) > max(len(row[0]) for row in others) + 12
    ):  # no row of it: what it begins with
        return [marked("  ".join(first), pages.anchors), *_block(Lines(tuple(others)), module, pages)]
    rows = [[cell_text(cell, pages) for cell in row] for row in block.rows]
    width = max(map(len, rows))
    return [table(("",) * width, ([*row, *[""] * (width - len(row))] for row in rows), "plain")]


def cell_text(cell: str, pages: Site) -> str:
    """A cell of a table: a formula where the whole of it is one, else text."""
    text = latex(cell) if re.search(r" (=|<-|->) ", cell) and "`" not in cell else None
    return f"${text}$" if text and r"\text" not in text else marked(cell, pages.anchors)


def _cells(symbol: Symbol) -> list[str]:
    signs = [f"${text}$" if (text := latex(sign)) else f"`{sign}`" for sign in _signs(symbol)]
    names = ", ".join(f"`{name}`" for name in symbol.names)
    return [", ".join(signs), names, f"`{symbol.shape}`" if symbol.shape else "", marked(symbol.meaning)]


def _signs(symbol: Symbol) -> list[str]:
    if symbol.sign == "-":
        return []
    return [symbol.sign] if "=" in symbol.sign or "(" in symbol.sign else symbol.sign.split(", ")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "symbols") -> str:
    """A table of Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += [
        "| " + " | ".join(cell.replace("|", r"\|") if "$" not in cell else _bars(cell) for cell in row) + " |"
        for row in rows
    ]
    return f"::::{{container}} {kind}\n" + "\n".join(lines) + "\n::::"


def _bars(cell: str) -> str:
    """A cell with a formula: a bar would end the cell."""
    return re.sub(r"(?<!\\)\|", r"\\vert ", cell)


def code(module: Module, item: Item, pages: Site) -> str:
    """The code of an item in HTML; names of symbols lead to the table."""
    lines = code_of(module, item)
    names = pages.names(module)
    text = highlight("\n".join(lines), PythonLexer(), HtmlFormatter(nowrap=True)).rstrip("\n")

    def linked(found: re.Match[str]) -> str:
        if found[1] not in names:
            return found[0]
        anchor, said = names[found[1]]
        return f'<a class="n" href="symbols.html#{anchor}" title="{html.escape(said)}">{found[1]}</a>'

    text = re.sub(r'<span class="n">(\w+)</span>', linked, text)
    return f'<div class="highlight"><pre>{text}</pre></div>'


def symbols_page(pages: Site) -> str:
    """The table of all symbols, file by file."""
    parts = [
        "# Symbols",
        "What each letter means, what it is called in the code, and its shape. A letter keeps its meaning "
        "within a file; the files are in the order of the paper. Made from the docstrings of `uegr_ref`.",
    ]
    for module in pages.modules:
        if not module.symbols:
            continue
        parts.append(f"## In {module.name}")
        parts.append(f"[`{module.path}`]({module.page}.md)")
        rows = []
        for symbol in module.symbols:
            first, *others = _cells(symbol)
            rows.append([f'<span id="{anchor_of(module, symbol)}"></span>{first}', *others])
        parts.append(table(("Symbol", "In code", "Shape, range", "What it is"), rows))
    return "\n\n".join(parts) + "\n"


def index_page(pages: Site) -> str:
    """The first of the Read pages: the files in order, and where each equation is."""
    rows = [
        [f"[{module.name}]({module.page}.md)", marked(first.text, pages.anchors)]
        for module in pages.modules
        if isinstance(first := module.blocks[0], Paragraph)
    ]
    where = [
        [
            f"[({row.number})](#eq-{row.number})",
            f"${latex(row.formula)}$",
            f"[{module.name}]({module.page}.md)",
        ]
        for number in sorted(pages.anchors, key=int)
        for module in pages.modules
        if (row := next((row for row in module.equations if row.number == number), None))
    ]
    return "\n\n".join([
        "# Read the method",
        "The reference is a package of small files, in NumPy alone, in the order of the paper. Each is "
        "a page here: "
        "what is said of an idea and its formula on the left, the code of that idea on the right. The "
        "pages are "
        "made from the files when the site is built, so the two cannot differ. What the files share "
        "(checks of "
        "arguments, ranks, the printing of commands) is in `uegr_ref/support` and is not shown.",
        table(("File", "What it holds"), rows, "files"),
        "## Where is equation n?",
        table(("", "Formula", "File"), where, "files"),
        "```{toctree}\n:hidden:\n\n" + "\n".join([m.page for m in pages.modules] + ["symbols"]) + "\n```",
    ]) + "\n"  # fmt: skip


def pages(of: Site) -> dict[str, str]:
    """All Read pages by the name of their file."""
    made = {module.page: page(module, of) for module in of.modules}
    return made | {"symbols": symbols_page(of), "index": index_page(of)}
