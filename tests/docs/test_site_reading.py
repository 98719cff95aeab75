"""The Read pages: nothing of a file is lost or doubled, and every anchor that is named is there."""

from __future__ import annotations

import ast
import html
import re
from functools import cache
from pathlib import Path

import pytest

import reading
import tutorial
from equations import EQUATIONS
from source import ORDER, code_of, parsed, read

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SITE = reading.site(ROOT, functions={row.number: row.functions.split() for row in EQUATIONS})


@cache
def pages() -> dict[str, str]:
    """All Read pages, made once."""
    return reading.pages(SITE)


def code_on(page: str) -> str:
    """All code of a page, as text."""
    pieces = re.findall(r'<div class="highlight"><pre>(.*?)</pre></div>', page, re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", "\n".join(pieces)))


def without_docstrings(module: reading.Module) -> list[str]:
    """The lines of a file that are no docstring and not empty, by its parsed tree."""
    text = "\n".join(module.lines)
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    hidden: set[int] = set()
    tree = ast.parse(text)
    for node in (tree, *tree.body):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            first = node.body[0]
            hidden |= set(range(first.lineno, (first.end_lineno or 0) + 1))
    return [line for n, line in enumerate(module.lines, start=1) if n not in hidden and line.strip()]


@pytest.mark.parametrize("module", SITE.modules, ids=ORDER)
def test_every_line_of_code_is_on_its_page_once_and_in_order(module: reading.Module) -> None:
    shown = [line for line in code_on(pages()[module.page]).splitlines() if line.strip()]
    assert shown == without_docstrings(module)


@pytest.mark.parametrize("module", SITE.modules, ids=ORDER)
def test_what_is_said_is_on_the_page(module: reading.Module) -> None:
    """Every longer word of the docstrings, whatever was set as a formula between them."""
    page = re.sub(r"\W+", " ", pages()[module.page])
    for doc in (module.doc, *(item.doc for item in module.items)):
        for word in re.findall(r"(?<![\w.])[a-z]{7,}(?!\w)", doc):
            assert word in page


def test_every_equation_has_one_anchor() -> None:
    anchors = re.findall(r":name: eq-(\d+)\n", "\n".join(pages().values()))
    assert sorted(map(int, anchors)) == list(range(1, 20))


def test_links_in_the_code_lead_to_symbols_that_are_there() -> None:
    linked = set(re.findall(r'href="symbols.html#([\w-]+)"', "\n".join(pages().values())))
    there = re.findall(r'<span id="([\w-]+)">', pages()["symbols"])
    assert len(linked) > 30
    assert linked <= set(there)
    assert len(there) == len(set(there))


def test_a_line_of_an_equation_goes_to_its_own_function() -> None:
    mask = next(module for module in SITE.modules if module.name == "mask")
    own = {item.name: [row.formula for row in reading.belonging(item, mask, SITE)] for item in mask.items}
    assert own["bernoulli_mask"] == ["m_i ~ Bernoulli(p_i)"]
    assert own["unbiased_gradient"] == ["theta <- theta - eta * (1/p) m grad L"]
    assert own["masked_gradient"] == []
    perturb = next(module for module in SITE.modules if module.name == "perturb")
    item = next(item for item in perturb.items if item.name == "fgsm")
    assert [row.name for row in reading.belonging(item, perturb, SITE)] == ["fgsm"]


def test_a_file_is_cut_into_pieces() -> None:
    text = (
        '"""Eq. 1: a file."""\n\nimport math\n\nA = 1\nB = 2\n\n\n# Of f.\n@property\ndef f(x):\n'
        '    """Say."""\n    return x\n'
    )
    module = parsed("one", "one.py", text)
    constants, function = module.items
    assert (constants.name, function.name, function.doc) == ("", "f", "Say.")
    assert code_of(module, function) == ["# Of f.", "@property", "def f(x):", "    return x"]


def test_all_files_of_the_method_have_a_page() -> None:
    """What is left out is the support, the exercises, commands, and the package's own file."""
    files = {path.relative_to(ROOT / "uegr_ref").as_posix() for path in (ROOT / "uegr_ref").rglob("*.py")}
    shown = {read(ROOT, name).path.removeprefix("uegr_ref/") for name in ORDER}
    rest = {name for name in files - shown if not name.startswith(("support/", "learn/"))}
    assert rest == {"__init__.py", "__main__.py", "theorem1/__main__.py"}


def test_the_readme_names_the_files_in_the_order_of_the_pages() -> None:
    """Less those beside the path: how the theorem is sampled, and the check of gradients."""
    section = (ROOT / "README.md").read_text("utf-8").split("## Read the method")[1].split("```")[0]
    named = re.findall(r"`(\w+)(?:\.py|/)`", section.split("order:")[1].split(". Each file")[0])
    assert named == [name for name in ORDER if name not in ("theorem1.sampling", "gradcheck")]


def test_the_tests_that_the_theorem_names_exist() -> None:
    page = (DOCS / "theorem1.md").read_text("utf-8")
    files = {path.name: path.read_text("utf-8") for path in (ROOT / "tests" / "uegr_ref").glob("test_*.py")}
    commands = re.findall(r"python -m pytest tests/uegr_ref/(\w+\.py)::(\w+)", page)
    named = re.findall(r"\| `(test_\w+)` \|", page)
    assert len(commands) > 5
    assert len(named) > 12
    for file, test in commands:
        assert f"def {test}(" in files[file]
    everything = re.findall(r"^def (test_\w+)\(", "\n".join(files.values()), re.MULTILINE)
    for test in named:  # `-k` takes a part of a name: no other one may have it
        assert [one for one in everything if test in one] == [test]
    assert "`python -m pytest tests/uegr_ref -k NAME`" in page


def test_pages_name_files_and_anchors_that_are_there() -> None:
    """Links between written pages, to Read pages by anchor; the site's own build checks the rest."""
    targets = set(re.findall(r"^\(([\w-]+)\)=$", "\n".join(pages().values()), re.MULTILINE))
    targets |= {f"eq-{n}" for n in range(1, 20)}
    for path in DOCS.rglob("*.md"):
        if path.parent.name in ("read", "cards"):
            continue
        for place in re.findall(r"\]\(#([\w-]+)\)", path.read_text("utf-8")):
            local = re.sub(r"[^\w -]", "", path.read_text("utf-8").lower()).replace(" ", "-")
            assert place in targets or place in local, f"{path.name}: #{place}"


def test_another_language_has_the_same_blocks() -> None:
    for path in (DOCS / "zh").glob("*.md"):
        english = (DOCS / path.name).read_text("utf-8")
        made = tutorial.translated(path.read_text("utf-8"), english)
        blocks = [found["name"] or found[0] for found in tutorial.BLOCK.finditer(made)]
        assert blocks == [found["name"] or found[0] for found in tutorial.BLOCK.finditer(english)]
        assert re.findall(r"\]\((#[\w-]+)\)", made) == re.findall(r"\]\((#[\w-]+)\)", english)
    with pytest.raises(ValueError, match=r"blocks \[2\]: expected 1 \.\. 17"):
        tutorial.translated("```{block} 2\n```\n", (DOCS / "tutorial.md").read_text("utf-8"))


def test_blocks_are_run_and_differences_told() -> None:
    text = (
        "# T\n\n```python\n>>> a = 1\n>>> a + 1\n3\n>>> b\n\n```\n\n"
        "```{picture} dot\nA *dot*.\n```\n\n```python\n>>> def f():\n...     return a\n>>> f()\n1\n\n```\n"
    )
    run = tutorial.run(text, {"dot": lambda names: f"<svg {names['a']}></svg>"})
    assert run.examples == 5
    assert [difference.partition(":")[0] for difference in run.differences] == ["line 5", "line 7"]
    assert "got '2\\n', stated '3\\n'" in run.differences[0]
    assert "NameError" in run.differences[1]
    assert ">>>" not in run.page
    assert 'aria-label="A *dot*." 1></svg>' in run.page
    assert "def f():\n    return a\n\nf()" in run.page
