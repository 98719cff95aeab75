"""The simple layout: `<folder>/<part>.jsonl.gz` (or `.jsonl`) with `text` and `label`, and `labels.txt`."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from zoo.core.errors import UserError
from zoo.text.rows import PART_NAMES, LabelTable, RawCorpus, Source, check_parts

SUFFIXES = (".jsonl.gz", ".jsonl")


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


def read_labels(path: Path) -> list[str]:
    """Return the class names of a `labels.txt`, one a line. Raises `UserError` for a repeated name."""
    names: list[str] = []
    for number, line in text_lines(path):
        name = line.rstrip("\r\n")
        if name in names:
            raise UserError(f"{path}, line {number}: label {name!r} comes twice; expected distinct labels")
        names.append(name)
    if len(names) < 2:
        raise UserError(f"{path}: {len(names)} labels; expected at least two, one a line")
    return names


def read_jsonl(
    path: Path, text_key: str = "text", label_key: str = "label"
) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, text, label) of each row. Raises `UserError` for a row without the two keys."""
    wanted = f"expected an object with {text_key} and {label_key}"
    for number, line in text_lines(path):
        place = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{place}: not JSON ({error}); {wanted}") from None
        if not isinstance(row, dict) or text_key not in row or label_key not in row:
            found = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
            raise UserError(f"{place}: found {found or 'nothing'}; {wanted}")
        if "text_pair" in row:
            raise UserError(f"{place}: rows are sentence pairs (text_pair); expected single texts")
        text, label = row[text_key], row[label_key]
        if not isinstance(text, str):
            raise UserError(f"{place}: {text_key} is {type(text).__name__}; expected a string")
        if isinstance(label, bool) or not isinstance(label, str | int):
            raise UserError(f"{place}: label is {type(label).__name__}; expected a string or a whole number")
        yield number, text, str(label)


def part_files(folder: Path) -> dict[str, Path]:
    """Return the files of the parts that the folder has, by part name."""
    found: dict[str, Path] = {}
    for part, names in PART_NAMES.items():
        candidates = (folder / f"{name}{suffix}" for name in names for suffix in SUFFIXES)
        if (path := next((path for path in candidates if path.is_file()), None)) is not None:
            found[part] = path
    return found


def simple_source(name: str, folder: Path, language: str | None) -> Source | None:
    """Return the source of a folder in the simple layout, or None where it has no training file."""
    files = part_files(folder)
    if "train" not in files:
        return None
    labels_file = folder / "labels.txt"
    all_files = (*files.values(), *([labels_file] if labels_file.is_file() else []))

    def read() -> RawCorpus:
        named = labels_file.is_file()
        table = LabelTable(
            read_labels(labels_file) if named else None, labels_file if named else files["train"]
        )
        parts = {part: table.rows(path, read_jsonl(path)) for part, path in files.items()}
        corpus = RawCorpus(name, language or guess_language(parts["train"].texts), table.names, parts)
        return check_parts(dev_as_test(corpus), folder)

    return Source(name, "simple", all_files, read)


def dev_as_test(corpus: RawCorpus) -> RawCorpus:
    """Return the corpus with its dev part as test part, where it has dev and no test (as CLUE's sets)."""
    if "test" in corpus.parts or "validation" not in corpus.parts:
        return corpus
    parts = {"train": corpus.parts["train"], "test": corpus.parts["validation"]}
    return RawCorpus(
        corpus.name, corpus.language, corpus.labels, parts, (*corpus.notes, "test part: the official dev")
    )


def guess_language(texts: list[str]) -> str:
    """Return "zh" if at least three tenths of the first texts' letters are Han characters, else "en"."""
    letters = [character for text in texts[:200] for character in text[:500] if character.isalpha()]
    han = sum("\u3400" <= character <= "\u9fff" for character in letters)
    return "zh" if letters and han >= 0.3 * len(letters) else "en"
