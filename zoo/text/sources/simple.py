"""A corpus with one file a part, `<folder>/train.jsonl.gz` and so on, and `labels.txt` for the classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from zoo.core.errors import UserError
from zoo.text.sources.columns import Asked, Columns, choose_columns
from zoo.text.sources.lines import read_labels
from zoo.text.sources.rows import (
    PART_NAMES,
    LabelTable,
    RawCorpus,
    Source,
    check_parts,
    dev_as_test,
    guess_language,
)
from zoo.text.sources.tables import KINDS, Table, open_table

JSON_LINES = (".jsonl.gz", ".jsonl")


def labelled(table: Table, columns: Columns) -> Iterator[tuple[int, str, str, str]]:
    """Yield (number, text, label, part or nothing) of each row, labels without outer spaces.

    Raises `UserError` for a cell of another type.
    """
    for number, (text, label, *split) in table.rows(columns.wanted):
        place = f"{table.path}, {table.unit} {number}"
        _check_text(text, columns.text, place)
        if isinstance(label, bool) or not isinstance(label, str | int):
            kind = type(label).__name__
            raise UserError(f"{place}: {columns.label} is {kind}; expected a string or a whole number")
        yield number, text, str(label).strip(), str(split[0]) if split else ""


def texts_of(table: Table, column: str) -> Iterator[str]:
    """Yield the text of each row, whatever else it has. Raises `UserError` for a cell of another type."""
    for number, (text,) in table.rows((column,)):
        _check_text(text, column, f"{table.path}, {table.unit} {number}")
        yield text


def _check_text(text: object, column: str, place: str) -> None:
    if not isinstance(text, str):
        raise UserError(f"{place}: {column} is {type(text).__name__}; expected a string")


def part_files(folder: Path, suffixes: Iterable[str]) -> dict[str, Path]:
    """Return the files of the parts that the folder has, by part name; the first suffix is preferred."""
    suffixes = tuple(suffixes)
    found: dict[str, Path] = {}
    for part, names in PART_NAMES.items():
        candidates = (folder / f"{name}{suffix}" for name in names for suffix in suffixes)
        if (path := next((path for path in candidates if path.is_file()), None)) is not None:
            found[part] = path
    return found


def simple_source(
    name: str,
    folder: Path,
    language: str | None = None,
    asked: Asked = Asked(),  # noqa: B008 (frozen)
    suffixes: Iterable[str] = KINDS,
) -> Source | None:
    """Return the source of a folder with one file a part, or None where it has no training file.

    The columns are chosen by the training file, and the other files must have them too.
    """
    files = part_files(folder, suffixes)
    if "train" not in files:
        return None
    tables = {part: open_table(path) for part, path in files.items()}
    columns = choose_columns(tables["train"].head(), asked, folder)
    each = {
        part: choose_columns(table.head(), Asked(columns.text, columns.label), folder)
        for part, table in tables.items()
    }
    labels_file = folder / "labels.txt"
    named = labels_file.is_file()
    unread = [f"column {columns.split} not read: the files are the parts"] if columns.split else []

    def read() -> RawCorpus:
        origin = labels_file if named else files["train"]
        labels = LabelTable(read_labels(labels_file) if named else None, origin)
        parts = {}
        for part, table in tables.items():
            rows = ((number, text, label) for number, text, label, _ in labelled(table, each[part]))
            parts[part] = labels.rows(table.path, rows, table.unit)
        spoken = language or guess_language(parts["train"].texts)
        notes = (*columns.notes, *unread)
        return check_parts(dev_as_test(RawCorpus(name, spoken, labels.names, parts, notes)), folder)

    every = (*files.values(), *([labels_file] if named else []))
    return Source(name, "simple", every, read, identity=f"{columns.text}\0{columns.label}")
