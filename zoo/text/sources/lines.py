"""Text files line by line, with the file and the line in every error."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from zoo.core.errors import UserError

_LONGEST_FIELD = 2**30


def text_lines(path: Path, keep_blank: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line) of a UTF-8 file, gzip if named .gz; blank lines only if asked for.

    Raises `UserError` with file and line for a missing or unreadable file, broken gzip or bad UTF-8.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if keep_blank or text.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        bad = error.object[error.start]
        place = f"{path}, line {number}"
        raise UserError(
            f"{place}: byte {error.start + 1} (0x{bad:02x}) is not UTF-8; expected UTF-8"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"{path}, after line {number}: broken gzip ({error}); expected a whole file"
        ) from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot be read ({reason}); expected a readable file") from None


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


def read_labels(path: Path) -> list[str]:
    """Return the class names of a `labels.txt`, one a line. Raises `UserError` for a repeated name."""
    names: list[str] = []
    for number, line in text_lines(path):
        name = line.strip()
        if name in names:
            raise UserError(f"{path}, line {number}: label {name!r} comes twice; expected distinct labels")
        names.append(name)
    if len(names) < 2:
        raise UserError(f"{path}: {len(names)} labels; expected at least two, one a line")
    return names
