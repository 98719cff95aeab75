"""A page of doctest blocks, run: code without prompts, what it prints, pictures of its variables.

The page is Markdown whose code is in doctest form, so that it reads well as it is and a test can run it. Here
the blocks are run, in one namespace, and shown as a reader would type them:

    ```python                       ```{picture} name
    >>> 1 + 1                       The caption.
    2                               ```
    ```

A picture is the function `name` of the module that is handed over, called with the namespace as it is there.
"""

from __future__ import annotations

import contextlib
import doctest
import html
import io
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

BLOCK = re.compile(
    r"^```(?P<kind>python|\{picture\} (?P<name>\w+))\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
PLACE = re.compile(r"^```\{block\} (?P<number>\d+)\n(?P<caption>.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS
Draw = Callable[[Mapping[str, Any]], str]


class Run(NamedTuple):
    """The page as it is shown, and each place where what was printed is not what the page says."""

    page: str
    differences: tuple[str, ...]
    examples: int


def run(text: str, pictures: Mapping[str, Draw]) -> Run:
    """Run a page from its top. `pictures`: functions from the namespace to an SVG.

    Raises KeyError for a picture that there is none of.
    """
    namespace: dict[str, Any] = {"__name__": "tutorial"}
    differences: list[str] = []
    examples = 0

    def shown(found: re.Match[str]) -> str:
        nonlocal examples
        if found["name"]:
            return figure(pictures[found["name"]](namespace), found["body"].strip())
        line = text[: found.start()].count("\n") + 1
        cells: list[tuple[str, str]] = []
        for example in doctest.DocTestParser().get_examples(found["body"], "tutorial"):
            examples += 1
            got = printed(example.source, namespace)
            if not doctest.OutputChecker().check_output(example.want, got, FLAGS):
                at = line + 1 + example.lineno
                differences.append(
                    f"line {at}: {example.source.strip()}: got {got!r}, stated {example.want!r}"
                )
            cells.append((example.source, got))
        return as_typed(cells)

    page = BLOCK.sub(shown, text)
    return Run(page, tuple(differences), examples)


def translated(text: str, of: str) -> str:
    """A page in another language: its words, with the blocks of `of` at the places that name their numbers.

    A place of a picture has its caption. Raises ValueError unless each block has one place, in order.
    """
    blocks = list(BLOCK.finditer(of))
    numbers = [int(found["number"]) for found in PLACE.finditer(text)]
    if numbers != list(range(1, len(blocks) + 1)):
        raise ValueError(f"blocks {numbers}: expected 1 .. {len(blocks)}, each once, in order")

    def block(found: re.Match[str]) -> str:
        own = blocks[int(found["number"]) - 1]
        return f"```{own['kind']}\n{found['caption']}```" if own["name"] else own[0]

    return PLACE.sub(block, text)


def printed(source: str, namespace: dict[str, Any]) -> str:
    """What an example prints, its value included; an exception is printed too, and so is no stated output."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(source, "<tutorial>", "single", dont_inherit=True), namespace)
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
    return out.getvalue()


def as_typed(cells: list[tuple[str, str]]) -> str:
    """Code without prompts; under each piece what it printed."""
    parts: list[str] = []
    code = ""
    for source, output in cells:
        code += source + ("\n" if re.search(r"\n[ ]", source) else "")  # an empty line ends a definition
        if output:
            parts += [
                f"```python\n{code.strip()}\n```",
                f"```{{code-block}} text\n:class: printed\n\n{output.rstrip()}\n```",
            ]
            code = ""
    if code:
        parts.append(f"```python\n{code.strip()}\n```")
    return "\n\n".join(parts)


def figure(svg: str, caption: str) -> str:
    """A picture with its caption, which may have formulas in it."""
    plain = html.escape(re.sub(r"[$`\\]", "", caption.replace("\n", " ")))
    named = svg.replace("<svg ", f'<svg role="img" aria-label="{plain}" ', 1)
    return f"::::{{container}} picture\n```{{raw}} html\n{named}\n```\n\n{caption}\n::::"
