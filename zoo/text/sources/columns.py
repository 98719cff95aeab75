"""Which columns of a table hold the text, the label and the part of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from zoo.core.errors import UserError

# The first name is ours; one of the others is taken where ours is missing and no second one is there.
TEXT_NAMES = ("text", "review", "sentence", "content", "title")
LABEL_NAMES = ("label", "sentiment", "category", "class", "target")
SPLIT_NAME, PAIR_NAME = "split", "text_pair"
# Usual names of a text in two, taken together where `text` is missing.
PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
)


@dataclass(frozen=True)
class Asked:
    """The columns that the user named; an empty name leaves the choice to `choose_columns`.

    pair: of the second text, beside a named `text`; empty: `text_pair` if it is there.
    """

    text: str = ""
    label: str = ""
    pair: str = ""


@dataclass(frozen=True)
class Head:
    """A table's column names as written, the cells of its first row (none if empty), and where they stand."""

    names: tuple[str, ...]
    cells: tuple[str, ...]
    where: str


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read, as written in the file; `split` and `pair` are empty without one.

    pair: the second text of a row.
    """

    text: str
    label: str
    split: str = ""
    notes: tuple[str, ...] = ()
    pair: str = ""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names in the order text, label, pair, split."""
        return (self.text, self.label, *filter(None, (self.pair, self.split)))


def choose_columns(head: Head, asked: Asked, path: Path) -> Columns:
    """Return the columns of a table; names are compared without case and outer spaces.

    Raises `UserError` for a column that is missing, ambiguous or named twice, with a command that would work.
    """
    if not head.names:
        raise UserError(f"{head.where}: empty; expected rows with text and label")
    text, second = _two(head, asked)
    text = text or _choose(head, asked.text, TEXT_NAMES, "--text-column")
    label = _choose(head, asked.label, LABEL_NAMES, "--label-column")
    if not text or not label:
        raise UserError(
            f"{head.where}: {_listed(head)}; expected text and label, {_hint(head, text, label, path)}"
        )
    if text == label:
        raise UserError(f"{head.where}: column {text!r} is named for text and label; expected two columns")
    notes = []
    if (text.strip().lower(), label.strip().lower()) != (TEXT_NAMES[0], LABEL_NAMES[0]):
        also = f", {second} as text_pair" if second else ""
        notes = [f"columns: {text} as text, {label} as label{also}"]
    splits = _found(head, SPLIT_NAME)
    split = splits[0] if len(splits) == 1 and splits[0] not in (text, label) else ""
    pairs = _found(head, second or asked.pair or PAIR_NAME)
    pair = pairs[0] if len(pairs) == 1 and pairs[0] not in (text, label) else ""
    return Columns(text, label, split, tuple(notes), pair)


def choose_text(head: Head, asked: str) -> str:
    """Return the column that has the text, of a table whose labels are not read; as `choose_columns`."""
    if not head.names:
        raise UserError(f"{head.where}: empty; expected rows with text")
    if not (text := _choose(head, asked, TEXT_NAMES, "--text-column")):
        raise UserError(f"{head.where}: {_listed(head)}; expected text, or --text-column NAME")
    return text


def _two(head: Head, asked: Asked) -> tuple[str, str]:
    """Return the columns of a text in two under their usual names; empty names where it is in one."""
    if not asked.text and not _found(head, TEXT_NAMES[0]):
        for names in PAIRS:
            first, second = (_found(head, name) for name in names)
            if len(first) == len(second) == 1 and asked.label not in (first[0], second[0]):
                return first[0], second[0]
    return "", ""


def _found(head: Head, name: str) -> list[str]:
    """Return the columns of this name: those written exactly so, else those that differ in case alone."""
    exact = [column for column in head.names if column == name]
    return exact or [column for column in head.names if column.strip().lower() == name.strip().lower()]


def _choose(head: Head, asked: str, names: Sequence[str], option: str) -> str:
    """Return the one column that is meant, or nothing where none or several may be."""
    if asked:
        candidates = _found(head, asked)
        if not candidates:
            raise UserError(
                f"{head.where}: no column {asked!r}, {_listed(head)}; expected one of them for {option}"
            )
    else:
        candidates = _found(head, names[0]) or [column for name in names[1:] for column in _found(head, name)]
    if len(candidates) > 1 and (asked or len(set(candidates)) < len(candidates)):
        raise UserError(f"{head.where}: column {candidates[0]!r} comes twice; expected distinct columns")
    return candidates[0] if len(candidates) == 1 else ""


def _listed(head: Head) -> str:
    shown = ", ".join(head.names[:8]) + (", ..." if len(head.names) > 8 else "")
    return f"columns {shown}"


def _hint(head: Head, text: str, label: str, path: Path) -> str:
    """Return a command that names the columns: as text the longest cell, as label the shortest other."""
    cells = dict(zip(head.names, (*head.cells, *[""] * len(head.names)), strict=False))
    others = [name for name in head.names if name and name not in (text, label)]
    text = text or max(others, key=lambda name: len(cells[name]), default="")
    others = [name for name in others if name != text]
    label = label or min(reversed(others), key=lambda name: len(cells[name]), default="")
    if not text or not label:
        return "two columns"
    return f"or {quote(str(path))} with --text-column {quote(text)} --label-column {quote(label)}"
