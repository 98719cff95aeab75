"""A corpus with one file a part, `<folder>/train.jsonl.gz` and so on, and `labels.txt` for the classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from zoo.core.errors import UserError
from zoo.text.sources.columns import Asked, Columns, choose_columns
from zoo.text.sources.lines import read_labels
from zoo.text.sources.rows import (
    PART_NAMES,
    LabelTable,
    Line,
    RawCorpus,
    ScoreTable,
    Source,
    check_parts,
    dev_as_test,
    guess_language,
)
from zoo.text.sources.tables import KINDS, Table, open_table

JSON_LINES = (".jsonl.gz", ".jsonl")


def labelled(table: Table, columns: Columns, scores: bool = False) -> Iterator[Line]:
    """Yield the rows, labels without outer spaces. scores: labels may be numbers of any kind.

    Raises `UserError` for a cell of another type.
    """
    kinds = str | int | float if scores else str | int
    for number, cells in table.rows(columns.wanted):
        found = dict(zip(columns.wanted, cells, strict=True))
        place = f"{table.path}, {table.unit} {number}"
        for name in filter(None, (columns.text, columns.pair)):
            _check_text(found[name], name, place)
        label = found[columns.label]
        if isinstance(label, bool) or not isinstance(label, kinds):
            wanted = "a number" if scores else "a string or a whole number"
            raise UserError(f"{place}: {columns.label} is {type(label).__name__}; expected {wanted}")
        pair = found[columns.pair] if columns.pair else ""
        split = str(found[columns.split]) if columns.split else ""
        yield Line(number, found[columns.text], str(label).strip(), pair, split)


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


def _one_file(folder: Path, names: Sequence[str], suffixes: Sequence[str]) -> dict[str, Path]:
    """Return the file of a set of one part, as its test part."""
    candidates = (folder / f"{name}{suffix}" for name in names for suffix in suffixes)
    return {"test": path} if (path := next(filter(Path.is_file, candidates), None)) else {}


def columns_of_parts(
    tables: Mapping[str, Table], asked: Asked, path: Path
) -> tuple[Columns, dict[str, Columns]]:
    """Return the columns that the first part decides, and those of each part; a split column is not read.

    Raises `UserError` for a part that lacks them.
    """
    columns = choose_columns(next(iter(tables.values())).head(), asked, path)
    named = Asked(columns.text, columns.label, columns.pair)
    each = {part: choose_columns(table.head(), named, path) for part, table in tables.items()}
    if lacking := next((part for part in tables if columns.pair and not each[part].pair), None):
        place = tables[lacking].path
        raise UserError(f"{place}: no column {columns.pair!r}; expected it as in the first part")
    if columns.split:
        note = f"column {columns.split} not read: the files are the parts"
        columns = replace(columns, split="", notes=(*columns.notes, note))
    return columns, each


def simple_source(
    name: str,
    folder: Path,
    language: str | None = None,
    asked: Asked = Asked(),  # noqa: B008 (frozen)
    suffixes: Iterable[str] = KINDS,
    scores: tuple[float, float] | None = None,
    only: Sequence[str] = (),
    dev_is_test: bool = False,
) -> Source | None:
    """Return the source of a folder with one file a part, or None where it has no training file.

    scores: lowest and highest, where labels are numbers and not classes. only: the names of its one file, for
    a set without training rows. dev_is_test: see `dev_as_test`. The columns are chosen by the training file;
    the other files must have them too.
    """
    suffixes = tuple(suffixes)
    files = part_files(folder, suffixes) if not only else _one_file(folder, only, suffixes)
    if not files or ("train" not in files and not only):
        return None
    tables = {part: open_table(path) for part, path in files.items()}
    columns, each = columns_of_parts(tables, asked, folder)
    labels_file = folder / "labels.txt"
    named = labels_file.is_file() and not scores

    def read() -> RawCorpus:
        origin = labels_file if named else next(iter(files.values()))
        labels: LabelTable | ScoreTable
        if scores:
            labels = ScoreTable(*scores)
        else:
            labels = LabelTable(read_labels(labels_file) if named else None, origin)
        parts = {
            part: labels.rows(table.path, labelled(table, each[part], bool(scores)), table.unit)
            for part, table in tables.items()
        }
        spoken = language or guess_language(next(iter(parts.values())).texts)
        corpus = RawCorpus(name, spoken, labels.names, parts, columns.notes)
        if only:
            return corpus
        return check_parts(dev_as_test(corpus) if dev_is_test else corpus, folder)

    every = (*files.values(), *([labels_file] if named else []))
    return Source(name, "simple", every, read, identity="\0".join(columns.wanted))
