"""An exercise is the reference's own source with its bodies taken out: so the two cannot drift apart.

Of a function stay its contract, its signature and its docstring, to the letter. What these name is imported;
functions of earlier steps come from `uegr_ref.learn.earlier`, which are the learner's own once they passed.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import NamedTuple, TypeAlias

from .language import docstring, fill, in_columns, said
from .steps import STEPS, Step, owner

PACKAGE = __package__.rpartition(".")[0]  # uegr_ref
WIDTH = 110
Sources: TypeAlias = Mapping[str, str]  # the text of a module by its name below the package
Definition: TypeAlias = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


class Module(NamedTuple):
    """What a module of the reference defines and imports, by name."""

    name: str
    lines: list[str]
    doc: str
    defined: dict[str, Definition]
    imported: dict[str, tuple[str, str]]  # the name here: (module, name there)


def source_of(module: str, sources: Sources | None = None) -> str:
    """The text of `uegr_ref.<module>`, or the one in `sources` in its place."""
    if sources and module in sources:
        return sources[module]
    path = resources.files(PACKAGE).joinpath(*module.split("."))
    return path.with_name(path.name + ".py").read_text("utf-8")  # type: ignore[attr-defined, no-any-return]


def read(module: str, sources: Sources | None = None) -> Module:
    """Parse a module of the reference."""
    text = source_of(module, sources)
    tree = ast.parse(text)
    defined: dict[str, Definition] = {}
    imported: dict[str, tuple[str, str]] = {}
    package = f"{PACKAGE}.{module}".rpartition(".")[0]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign):
            defined |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined[node.target.id] = node
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            imported |= {alias.asname or alias.name: (base, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name: (alias.name, "") for alias in node.names}
    return Module(module, text.splitlines(), ast.get_docstring(tree) or "", defined, imported)


def text(step: Step, bodies: bool = False, sources: Sources | None = None, language: str = "en") -> str:
    """The file of a step: empty, with its sentences in a language; or with the reference's bodies."""
    parts, imports = [], {("__future__", "annotations"): "annotations"}
    for function in step.functions:
        home, _, name = function.rpartition(".")
        module = read(home, sources)
        wanted = [name] if not bodies else with_helpers(name, module)
        for one in wanted:
            node = module.defined[one]
            assert isinstance(node, ast.FunctionDef)
            whole = bodies or step.skeleton
            named = names_in([node] if whole else head(node)) - set(wanted) - set(step.names)
            if not whole:  # of a body that is taken out, the functions of earlier steps are still shown
                body = names_in(module.defined[one] for one in with_helpers(name, module))
                named |= {n for n in body if (asking := owner(n)) and asking.number < step.number} | {"np"}
            imports |= imports_of(named | ({*step.uses} if not bodies else set()), module, step)
            if step.skeleton and not bodies:
                parts.append(records_of(node, module, language))
            parts.append(whole_text(node, module) if bodies else empty_text(node, module, step, language))
    top = "\n\n".join([header(step, language), import_lines(imports)])
    return "\n\n\n".join([top, *dict.fromkeys(parts)]) + "\n"


def header(step: Step, language: str) -> str:
    """The docstring of an exercise: what is asked, then the reference's own equations."""
    home = step.functions[-1].rpartition(".")[0]
    title = said("Step {number} of {of}: {title}.", language, number=step.number, of=len(STEPS),
                 title=said(step.title, language))  # fmt: skip
    task = fill(said(step.task, language), WIDTH)
    hint = said("(hint . {number} for a hint)", language, number=step.number)
    check = f"python -m uegr_ref.learn check . {step.number}      {hint}"
    from_file = said("From {file} of the reference:", language, file=f"{home.replace('.', '/')}.py")
    doc = docstring(read(home).doc, language, WIDTH)
    quotes = '"""'
    return f"{quotes}{title}\n\n{task}\n\n    {check}\n\n{from_file}\n\n{doc}\n{quotes}"


def head(node: ast.FunctionDef) -> list[ast.AST]:
    """The parts of a function that stay: decorators, arguments, the type that it returns."""
    return [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """All names that are read in these nodes."""
    every = (one for node in nodes for one in ast.walk(node))
    return {one.id for one in every if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}


def with_helpers(name: str, module: Module) -> list[str]:
    """A function after the private ones of its module that it calls, in the order of the module."""
    found, queue = set(), [name]
    while queue:
        one = queue.pop()
        found.add(one)
        called = names_in([module.defined[one]])
        queue += [
            c for c in called - found
            if c.startswith("_") and isinstance(module.defined.get(c), ast.FunctionDef)
        ]  # fmt: skip
    return [one for one in module.defined if one in found]


def imports_of(names: set[str], module: Module, step: Step) -> dict[tuple[str, str], str]:
    """Where each name comes from: (module, name there) -> the name here."""
    found = {}
    for name in names:
        home = owner(name)
        if home and home.number < step.number:
            found[f"{PACKAGE}.learn.earlier", name] = name
        elif name in module.imported:
            found[module.imported[name]] = name
        elif name in module.defined:
            found[f"{PACKAGE}.{module.name}", name] = name
    return found


def import_lines(imports: Mapping[tuple[str, str], str]) -> str:
    """Import statements in the order that linters want."""
    by_module: dict[str, list[str]] = {}
    plain = []
    for (module, there), here in sorted(imports.items()):
        if there:
            by_module.setdefault(module, []).append(there if there == here else f"{there} as {here}")
        else:
            plain.append(f"import {module}" + (f" as {here}" if here != module else ""))
    lines = [f"from {module} import {', '.join(sorted(names))}" for module, names in by_module.items()]
    long = [wrapped(line) if len(line) > WIDTH else line for line in lines if "__future__" not in line]
    standard = [line for line in plain if "numpy" not in line]
    own = [line for line in long if PACKAGE in line]
    typing = [line for line in long if PACKAGE not in line]
    blocks = [["from __future__ import annotations"], standard + typing, ["import numpy as np"], own]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def wrapped(line: str) -> str:
    """A long import, a name a line."""
    start, _, names = line.partition(" import ")
    return f"{start} import (\n" + "".join(f"    {name},\n" for name in names.split(", ")) + ")"


def first_line(node: ast.FunctionDef) -> int:
    """The line, from 0, of its first decorator."""
    return min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1


def whole_text(node: ast.FunctionDef, module: Module) -> str:
    """A function as it stands in the reference."""
    return "\n".join(module.lines[first_line(node) : node.end_lineno])


def empty_text(node: ast.FunctionDef, module: Module, step: Step, language: str) -> str:
    """A function without its body; a skeleton keeps the comments that number the lines of the algorithm."""
    doc_ends = node.body[0].end_lineno or node.lineno
    kept = module.lines[first_line(node) : doc_ends]
    if language != "en":
        kept = [*module.lines[first_line(node) : node.body[0].lineno - 1], translated_doc(node, language)]
    if step.skeleton:
        body = module.lines[doc_ends : node.end_lineno]
        kept += [body[0], *(part for comment in numbered(body, language) for part in ("", comment)), ""]
    return "\n".join([*kept, f'    raise NotImplementedError("{node.name}")'])


def records_of(node: ast.FunctionDef, module: Module, language: str) -> str:
    """The records that a function takes and gives, as comments: in the module they stand by the answer."""
    lines = [said("The records that it takes and gives, imported above:", language)]
    for name in sorted(names_in(head(node)), reverse=True):
        if isinstance(record := module.defined.get(name), ast.ClassDef):
            lines += ["", *module.lines[record.lineno - 1 : record.end_lineno]]
    return "\n".join(f"# {line}".rstrip() for line in lines)


def translated_doc(node: ast.FunctionDef, language: str) -> str:
    """A function's docstring in another language, as lines of code."""
    doc = docstring(ast.get_docstring(node) or "", language, WIDTH - 7)  # four blanks and the quotes
    quotes = '"""'
    return textwrap.indent(f"{quotes}{doc}" + ("\n" if "\n" in doc else "") + quotes, "    ")


def numbered(body: Iterable[str], language: str) -> list[str]:
    """The comments of a function that number the lines of the algorithm."""
    comments = [line for line in body if line.lstrip().startswith("# ") and line.lstrip()[2].isdigit()]
    return [in_columns(comment, language) for comment in comments]
