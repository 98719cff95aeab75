"""Files of labelled rows as tables: csv, tsv, JSON lines, a JSON array, parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from zoo.core.errors import UserError
from zoo.text.sources.columns import Head
from zoo.text.sources.lines import csv_rows, text_lines, tsv_rows

SEPARATORS = (";", "\t", ",")  # of files that name another by their ending, as spreadsheets write them
Row = tuple[int, tuple[Any, ...]]


class Table(Protocol):
    """A file of rows. unit: what its row numbers count, "line" or "row"."""

    path: Path
    unit: str

    def head(self) -> Head:
        """Return the column names and the first row. Raises `UserError` for a file that is no such table."""

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """Yield (number, cells of these columns) of each row. Raises `UserError` for a row that lacks one."""


class CsvTable:
    """Names of columns in the first line; each cell is a string. read: gives rows, as `csv_rows` does."""

    unit = "line"

    def __init__(self, path: Path, read: Callable[[Path], Iterator[tuple[int, list[str]]]]) -> None:
        self.path, self._usual = path, read

    def _read(self) -> Iterator[tuple[int, list[str]]]:
        """The rows; by another separator where the usual one finds a header of one cell that has it."""
        rows = self._usual(self.path)
        for number, names in rows:
            if len(names) == 1:
                for separator in SEPARATORS:
                    if separator in names[0]:
                        return csv_rows(self.path, separator)
            return chain([(number, names)], rows)
        return rows

    def head(self) -> Head:
        """Return the header's cells and those of the first row."""
        rows = self._read()
        number, names = next(rows, (1, []))
        _, cells = next(rows, (2, []))
        return Head(tuple(names), tuple(cells), f"{self.path}, line {number}")

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """Yield the rows; each has as many cells as the header."""
        rows = self._read()
        _, names = next(rows, (1, []))
        places = [names.index(name) for name in wanted]
        for number, cells in rows:
            if len(cells) != len(names):
                counts = f"{len(cells)} cells; expected {len(names)} as in the header"
                raise UserError(f"{self.path}, line {number}: {counts}")
            yield number, tuple(cells[place] for place in places)


class JsonTable:
    """One JSON object a line; or, where `array`, one array of objects (a file of lines is taken as well)."""

    def __init__(self, path: Path, array: bool = False) -> None:
        self.path, self._array = path, array and _begins_with_bracket(path)
        self.unit = "row" if self._array else "line"

    def head(self) -> Head:
        """Return the keys and values of the first object; none where there is no object."""
        for number, row in self._objects("text and label"):
            return Head(tuple(row), tuple(map(str, row.values())), f"{self.path}, {self.unit} {number}")
        return Head((), (), f"{self.path}, {self.unit} 1")

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """Yield the values under these keys."""
        keys = " and ".join(wanted)
        for number, row in self._objects(keys):
            if any(key not in row for key in wanted):
                found = ", ".join(map(str, row)) or "nothing"
                place = f"{self.path}, {self.unit} {number}"
                raise UserError(f"{place}: found {found}; expected an object with {keys}")
            yield number, tuple(row[key] for key in wanted)

    def _objects(self, keys: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, row in self._values(keys):
            if not isinstance(row, dict):
                place = f"{self.path}, {self.unit} {number}"
                raise UserError(f"{place}: found {type(row).__name__}; expected an object with {keys}")
            yield number, row

    def _values(self, keys: str) -> Iterator[tuple[int, Any]]:
        if self._array:
            whole = "".join(line for _, line in text_lines(self.path, keep_blank=True))
            try:
                yield from enumerate(json.loads(whole), start=1)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{self.path}: not JSON ({error}); expected an array of objects") from None
            return
        for number, line in text_lines(self.path):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                place = f"{self.path}, line {number}"
                raise UserError(f"{place}: not JSON ({error}); expected an object with {keys}") from None
            yield number, row


def _begins_with_bracket(path: Path) -> bool:
    return next((line for _, line in text_lines(path)), "").lstrip().startswith("[")


def class_names(schema: Any, column: str, path: Path) -> tuple[str, ...]:
    """Return the names of the classes whose numbers a column has: `datasets` writes them into Arrow's schema.

    None of any other column. Raises `UserError` for names that are empty or not distinct.
    """
    try:
        written = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]
        names = tuple(str(name).strip() for name in written["names"])
    except (KeyError, TypeError, ValueError):
        return ()
    if not all(names) or len(set(names)) < len(names):
        raise UserError(f"{path}: classes {', '.join(names)}; expected distinct names")
    return names if written.get("_type") == "ClassLabel" else ()


def named(cell: object, names: Sequence[str]) -> object:
    """Return the name of a class in place of its number."""
    return names[cell] if isinstance(cell, int) and 0 <= cell < len(names) else cell


class ParquetTable:
    """A parquet file, read with pyarrow; classes by the names that `datasets` wrote, or by_number."""

    unit = "row"

    def __init__(self, path: Path, by_number: bool = False) -> None:
        self.path, self.by_number = path, by_number
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise UserError(
                f"{path}: parquet needs pyarrow (pip install 'uegr[parquet]'); or expected csv or jsonl"
            ) from None
        self._errors = (pyarrow.ArrowException, OSError)
        self._open = pyarrow.parquet.ParquetFile

    def head(self) -> Head:
        """Return the schema's names and the first row."""
        try:
            with self._open(self.path) as file:
                names = tuple(file.schema_arrow.names)
                first = next(file.iter_batches(batch_size=1), None)
        except self._errors as error:
            raise self._broken(error) from None
        cells = [str(column[0]) for column in first.columns] if first is not None and len(first) else []
        return Head(names, tuple(cells), str(self.path))

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """Yield the rows, a batch at a time in memory."""
        try:
            with self._open(self.path) as file:
                schema = file.schema_arrow
                names = [() if self.by_number else class_names(schema, name, self.path) for name in wanted]
                batches = file.iter_batches(columns=list(wanted))
                columns = ([batch.column(name).to_pylist() for name in wanted] for batch in batches)
                cells = (row for batch in columns for row in zip(*batch, strict=True))
                for number, row in enumerate(cells, start=1):
                    yield number, tuple(map(named, row, names))
        except self._errors as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> UserError:
        reason = str(error).splitlines()[0]
        return UserError(f"{self.path}: not a parquet file ({reason}); expected columns text and label")


KINDS: dict[str, Callable[[Path], Table]] = {
    ".jsonl.gz": JsonTable,
    ".jsonl": JsonTable,
    ".csv": lambda path: CsvTable(path, csv_rows),
    ".csv.gz": lambda path: CsvTable(path, csv_rows),
    ".tsv": lambda path: CsvTable(path, tsv_rows),
    ".tsv.gz": lambda path: CsvTable(path, tsv_rows),
    ".parquet": ParquetTable,
    ".json": lambda path: JsonTable(path, array=True),
    ".json.gz": lambda path: JsonTable(path, array=True),
}


def stem_of(name: str) -> str:
    """The name of a file without the suffix of its kind: `reviews.2024` of `reviews.2024.csv.gz`."""
    return next((name[: -len(suffix)] for suffix in KINDS if name.lower().endswith(suffix)), name)


def open_table(path: Path) -> Table:
    """Return the table of a file by its suffix. Raises `UserError` for another kind of file."""
    parts = path.name.lower().split(".")
    suffix = "." + ".".join(parts[-2:] if parts[-1] == "gz" else parts[-1:])
    if suffix not in KINDS:
        raise UserError(
            f"{path}: unknown kind of file; expected .csv, .tsv, .jsonl, .json (also .gz) or .parquet"
        )
    return KINDS[suffix](path)
