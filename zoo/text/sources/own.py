"""A corpus of the user's own in one file: csv, tsv, jsonl or parquet with the columns `text` and `label`."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.text.rows import LabelTable, RawCorpus, Source, check_parts
from zoo.text.simple import guess_language, read_jsonl, simple_source, text_lines

_LONGEST_FIELD = 2**30


def csv_rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number of the row's end, cells) of a csv file. Raises `UserError` for a malformed one."""
    lines = (line for _, line in text_lines(path, keep_blank=True))
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num}: broken csv ({error}); expected quoted cells"
        ) from None


def _read_csv(path: Path, delimiter: str) -> Iterator[tuple[int, str, str]]:
    rows = csv_rows(path, delimiter)
    _, header = next(rows, (1, []))
    names = [cell.strip().lower() for cell in header]
    if "text" not in names or "label" not in names:
        found = ", ".join(header[:8]) or "nothing"
        raise UserError(f"{path}, line 1: columns {found}; expected a header with text and label")
    text, label = names.index("text"), names.index("label")
    for number, cells in rows:
        if len(cells) != len(names):
            raise UserError(
                f"{path}, line {number}: {len(cells)} cells; expected {len(names)} as in the header"
            )
        yield number, cells[text], cells[label].strip()


def _read_parquet(path: Path) -> Iterator[tuple[int, str, str]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(
            f"{path}: parquet needs pyarrow (pip install pyarrow); or expected csv or jsonl"
        ) from None
    try:
        names = pyarrow.parquet.read_schema(path).names
        if "text" not in names or "label" not in names:
            raise UserError(f"{path}: columns {', '.join(names[:8])}; expected text and label")
        columns: Any = pyarrow.parquet.read_table(path, columns=["text", "label"]).to_pydict()
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a parquet file ({reason}); expected columns text and label") from None
    for number, (text, label) in enumerate(zip(columns["text"], columns["label"], strict=True), start=1):
        if not isinstance(text, str) or isinstance(label, bool) or not isinstance(label, str | int):
            kinds = f"{type(text).__name__} and {type(label).__name__}"
            raise UserError(f"{path}, line {number}: text and label are {kinds}; expected strings")
        yield number, text, str(label)


_READERS: dict[str, Callable[[Path], Iterator[tuple[int, str, str]]]] = {
    ".csv": lambda path: _read_csv(path, ","),
    ".csv.gz": lambda path: _read_csv(path, ","),
    ".tsv": lambda path: _read_csv(path, "\t"),
    ".tsv.gz": lambda path: _read_csv(path, "\t"),
    ".jsonl": read_jsonl,
    ".jsonl.gz": read_jsonl,
    ".parquet": _read_parquet,
}


def _suffix(path: Path) -> str:
    parts = path.name.lower().split(".")
    return "." + ".".join(parts[-2:] if parts[-1] == "gz" else parts[-1:])


def own_source(path: Path) -> Source:
    """Return the corpus of a folder in the simple layout or of a csv, tsv, jsonl or parquet file."""
    stem = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    name = re.sub(r"[^\w.-]+", "_", stem).strip("._-") or "corpus"
    if path.is_dir():
        if (source := simple_source(name, path, None)) is None:
            raise UserError(f"{path}: no training part; expected train.jsonl.gz or train.jsonl in the folder")
        return source
    suffix = _suffix(path)
    if suffix not in _READERS:
        raise UserError(f"{path}: unknown kind of file; expected .csv, .tsv, .jsonl (also .gz) or .parquet")

    def read() -> RawCorpus:
        table = LabelTable(None, path)
        parts = {"train": table.rows(path, _READERS[suffix](path))}
        if not len(parts["train"]):
            raise UserError(f"{path}: no rows; expected rows with text and label")
        return check_parts(RawCorpus(name, guess_language(parts["train"].texts), table.names, parts), path)

    return Source(name, "file", (path,), read)
