"""The site's own extension: makes pages from the code, sets formulas, runs blocks, checks the result."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)
FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
sys.path[:0] = [str(FOLDER), str(ROOT)]

import cards  # noqa: E402  (beside this file, as the others)
import outside  # noqa: E402
import pictures  # noqa: E402
import reading  # noqa: E402
import tutorial  # noqa: E402
from formula import latex  # noqa: E402
from mathml import inside, linked, mathml  # noqa: E402


def equations() -> ModuleType:
    """The table of tests/uegr_ref/equations.py: which function and which test belong to an equation."""
    path = ROOT / "tests" / "uegr_ref" / "equations.py"
    spec = importlib.util.spec_from_file_location("equations", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages_of_the_reference() -> reading.Site:
    """The reference's files, with the tests that prove each function."""
    table = equations()
    tests: dict[str, list[str]] = {}
    functions: dict[str, list[str]] = {}
    for row in table.EQUATIONS:
        functions[row.number] = row.functions.split()
        for name in functions[row.number]:
            tests.setdefault(name, []).extend(
                f"{Path(file).name}::{test}" for file, test in table.paths_of_tests(row)
            )
    return reading.site(ROOT, {name: list(dict.fromkeys(names)) for name, names in tests.items()}, functions)


RUN = ("tutorial", "theorem1", "howto/corpus", "howto/model", "howto/method")  # pages whose blocks are run


def make_pages(app: Sphinx) -> None:
    """Before anything is read: the pages that are made."""
    site = pages_of_the_reference()
    write(reading.pages(site), Path(app.srcdir, "read"))
    write(cards.pages(ROOT / "results"), Path(app.srcdir, "cards"))
    app.env.uegr_signs = {f"read/{m.page}": signs(m) for m in site.modules}


def write(texts: Mapping[str, str], folder: Path) -> None:
    """Pages into a folder; one that is as it was is not touched, so that it is not built again."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.md"):
        if path.stem not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def run_blocks(app: Sphinx, name: str, source: list[str]) -> None:
    """Before a page is read: its blocks are run, and what they print must be what the page says."""
    if name.startswith("zh/"):
        source[0] = tutorial.translated(source[0], Path(app.srcdir, name[3:] + ".md").read_text("utf-8"))
    if name.removeprefix("zh/") in RUN:
        run = tutorial.run(source[0], pictures.PICTURES)
        for difference in run.differences:
            logger.warning("%s: %s", name, difference)
        source[0] = run.page


def gather_results(app: Sphinx, name: str, source: list[str]) -> None:
    """The pages under results/ stand below the first one in the menu; readers of Markdown see none."""
    if name == "results":
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\nresults/*\n```\n"


def as_text(app: Sphinx, what: str, name: str, of: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text: what would be markup is escaped, but for *emphasis*."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...", ":", "..")):
            line = re.sub(r"(?<![`\\\w])(\w+)_(?=\W|$)", r"\1\\_", line)
            line = re.sub(r"\|", r"\\|", line)
            lines[i] = re.sub(r"\*(?!\w[\w ]*\*)(?<!\w\*)", r"\\*", line)


def signs(module: reading.Module) -> dict[str, str]:
    """The letters of a file's formulas, as elements, and where the table of symbols has them."""
    found: dict[str, str] = {}
    for symbol in module.symbols:
        for sign in symbol.sign.split(" =")[0].split(", "):
            text = latex(sign) if sign != "-" else None
            if text:
                found.setdefault(inside(text), f"symbols.html#{reading.anchor_of(module, symbol)}")
    return found


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line."""
    translator.body.append(_set(translator, node.astext(), False))
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A formula of its own."""
    name = f' id="{node["ids"][0]}"' if node["ids"] else ""
    translator.body.append(f'<div class="math-block"{name}>{_set(translator, node.astext(), True)}</div>\n')
    raise nodes.SkipNode


def _set(translator: HTML5Translator, text: str, display: bool) -> str:
    env = translator.builder.env
    try:
        shown = mathml(text, display)
    except ValueError as error:
        raise ExtensionError(f"{translator.builder.current_docname}: {error}") from error
    return linked(shown, getattr(env, "uegr_signs", {}).get(translator.builder.current_docname, {}))


def finish(app: Sphinx, exception: Exception | None) -> None:
    """After the build: the pictures, which are HTML already; and no page may ask for anything outside."""
    if exception is not None or app.builder.format != "html":
        return
    shutil.copytree(Path(app.srcdir, "explore"), Path(app.outdir, "explore"), dirs_exist_ok=True)
    if found := outside.requests(Path(app.outdir)):
        raise ExtensionError("pages ask for something outside:\n" + "\n".join(found))
    if broken := outside.broken_links(Path(app.outdir)):
        raise ExtensionError("links that lead nowhere:\n" + "\n".join(broken))


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("builder-inited", make_pages)
    app.connect("source-read", run_blocks)
    app.connect("source-read", gather_results)
    app.connect("autodoc-process-docstring", as_text, priority=900)  # after napoleon
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": False}
