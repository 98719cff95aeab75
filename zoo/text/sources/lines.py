"""Text files line by line, with the file and the line in every error."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from zoo.core.errors import UserError

_LONGEST_FIELD = 2**30
_CHUNK, LONGEST_LINE = 2**16, 2**24  # bytes read at once; bytes of a line that arrives


def text_lines(path: Path, keep_blank: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line) of a UTF-8 file, gzip if named .gz; blank lines only if asked for.

    Raises `UserError` with file and line for a missing or unreadable file, broken gzip or bad UTF-8.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                text = _decoded(line, number, path)
                if keep_blank or text.strip():
                    yield number, text
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"{path}, after line {number}: broken gzip ({error}); expected a whole file"
        ) from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot be read ({reason}); expected a readable file") from None


def arriving_lines(read: Callable[[int], bytes], name: str) -> Iterator[list[str]]:
    """Yield the lines of a stream without their ends, as many at a time as have come; in constant memory.

    read: gives at most so many bytes, as soon as there are any, and none at the end. name: of the stream.
    Raises `UserError` with the line for bad UTF-8 or a line of more than 16 MiB, once the lines before it are
    given.
    """
    number, rest = 0, b""
    while data := read(_CHUNK):
        *whole, rest = (rest + data).split(b"\n")
        lines: list[str] = []
        for number, line in enumerate(whole, start=number + 1):  # noqa: B020 (goes on)
            try:
                lines.append(_decoded(line.removesuffix(b"\r"), number, name))
            except UserError:
                yield lines
                raise
        yield lines
        if len(rest) > LONGEST_LINE:
            raise UserError(
                f"{name}, line {number + 1}: more than {LONGEST_LINE >> 20} MiB; expected a text a line"
            )
    if rest:
        yield [_decoded(rest.removesuffix(b"\r"), number + 1, name)]


def _decoded(line: bytes, number: int, where: Path | str) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        bad = line[error.start]
        place = f"{where}, line {number}"
        raise UserError(
            f"{place}: byte {error.start + 1} (0x{bad:02x}) is not UTF-8; expected UTF-8"
        ) from None


def csv_rows(path: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
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


def tsv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number of the row's end, cells) of a tsv file: quoted where a cell is quoted as a whole.

    Many files of tabs are not quoted at all, and a quote is text in them: taken for the beginning of a quoted
    cell, it would swallow all lines up to the next one. So where each line has the cells of the first one,
    lines are rows. Elsewhere quoted cells may have line breaks, as in csv, but never what may be a row of its
    own. Raises `UserError` for a malformed file.
    """
    if _is_lined(path):
        for number, line in _filled_lines(path):
            yield number, [_unquoted(cell) for cell in line.split("\t")]
        return
    width = 0
    for number, cells in csv_rows(path, "\t"):
        width = width or len(cells)
        if any("\t" in cell or (width == 1 and "\n" in cell) for cell in cells):
            first = number - sum(cell.count("\n") for cell in cells)
            raise UserError(
                f"{path}, line {first}: a quote that opens here closes in line {number}, over a tab or a "
                "row; expected it to close in its own cell, or csv or jsonl"
            )
        yield number, cells


def _is_lined(path: Path) -> bool:
    """Whether each line has as many cells as the first one, and that is no single one."""
    counts = {line.count("\t") for _, line in _filled_lines(path)}
    return len(counts) == 1 and counts != {0}


def _filled_lines(path: Path) -> Iterator[tuple[int, str]]:
    lines = ((number, line.rstrip("\r\n")) for number, line in text_lines(path, keep_blank=True))
    return ((number, line) for number, line in lines if line)


def _unquoted(cell: str) -> str:
    inner = cell[1:-1].replace('""', "")
    whole = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner
    return cell[1:-1].replace('""', '"') if whole else cell


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
