"""What a learner reads, in another language: names, formulas and code stay as they are.

English stands where it is used, and is the key of its translation in `chinese.toml`: a text that is changed
has none until the table is changed too. What a law says of a counterexample is composed from the example, and
stays English, as does --json.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from ..support.console import columns

LANGUAGES = {"en": "", "zh": "chinese.toml"}  # and the file of its translations
# A word, or one wide character, with the brackets and stops that may not be parted from it by a new line.
_PIECE = re.compile(r"\s+|[（“]*(?:[^\s⺀-￯“”]+|[⺀-￯“”])[，。；：、）”？]*")


@cache
def table(language: str) -> Mapping[str, str]:
    """The translation of each English text; nothing for English."""
    if not LANGUAGES[language]:
        return {}
    text = resources.files(__package__).joinpath(LANGUAGES[language]).read_text("utf-8")
    return {key: value for section in tomllib.loads(text).values() for key, value in section.items()}


def said(text: str, language: str, **values: object) -> str:
    """A text in a language, with the values in its places; English where there is no translation."""
    translated = table(language).get(text, text)
    return translated.format(**values) if values else translated


def is_prose(paragraph: str) -> bool:
    """Whether a docstring's paragraph is sentences: no example, and nothing in columns, as formulas are."""
    return not paragraph.startswith(">>>") and "  " not in paragraph


def docstring(text: str, language: str, width: int) -> str:
    """A docstring in a language: its sentences, and those cells of what stands in columns that have one."""
    if language == "en":
        return text
    translated = []
    for paragraph in text.split("\n\n"):
        if is_prose(paragraph):
            translated.append(fill(said(" ".join(paragraph.split()), language), width))
        elif paragraph.startswith(">>>"):
            translated.append(paragraph)
        else:
            translated.append("\n".join(in_columns(line, language) for line in paragraph.split("\n")))
    return "\n\n".join(translated)


def in_columns(line: str, language: str) -> str:
    """A line of cells, two blanks or more between them, each translated and left where it began."""
    translated = ""
    for start, cell in cells(line):
        translated = padded(translated, start) + said(cell, language)
    return translated


def cells(line: str) -> list[tuple[int, str]]:
    """Where each cell of a line begins, and its text."""
    return [(found.start(), found[0]) for found in re.finditer(r"\S+(?: \S+)*", line)]


def fill(text: str, width: int, first: str = "", rest: str = "", hyphens: bool = True) -> str:
    """Break a text into lines of at most `width` columns, `first` before the first and `rest` before others.

    Chinese is broken between any two characters, but no line begins with a stop or ends with an open bracket.
    """
    if columns(text) == len(text):
        return textwrap.fill(
            text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=hyphens
        )
    lines, line = [], first
    for piece in _PIECE.findall(text):
        if columns(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = rest + piece.lstrip()
        else:
            line += piece
    return "\n".join([*lines, line.rstrip()])


def padded(text: str, width: int) -> str:
    """A text and blanks, `width` columns together."""
    return text + " " * (width - columns(text))
