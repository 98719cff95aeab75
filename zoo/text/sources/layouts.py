"""How corpora are published: a layout finds the files in a folder and reads them. Cards name layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zoo.core.cards import Card
from zoo.core.errors import UserError
from zoo.text.sources.columns import Columns
from zoo.text.sources.glue import glue
from zoo.text.sources.lines import csv_rows
from zoo.text.sources.rows import LabelTable, Line, RawCorpus, Rows, Source, check_parts, dev_as_test
from zoo.text.sources.simple import labelled
from zoo.text.sources.tables import JsonTable


@dataclass(frozen=True)
class Layout:
    """wanted: which files of an archive to unpack. find: the corpus in a folder, or None without it."""

    wanted: Callable[[Card, PurePosixPath], bool]
    find: Callable[[Card, Path], Source | None]


def layout_of(card: Card) -> Layout:
    """Return the layout that a card names. Raises `UserError` for an unknown one."""
    if card.layout not in LAYOUTS:
        known = ", ".join(LAYOUTS)
        raise UserError(f"card of {card.name}: layout {card.layout!r} is unknown; expected one of {known}")
    return LAYOUTS[card.layout]


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start + 1} is not UTF-8; expected UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected a readable file") from None


def _lenient_text(path: Path) -> str:
    """Return the file's text. One file of BBC News (sports/199.txt) is in cp1252, all others in UTF-8."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _acl_imdb(card: Card, folder: Path) -> Source | None:
    """`train/<class>/*.txt` and `test/<class>/*.txt`, a text a file."""
    if not all((folder / part / label).is_dir() for part in ("train", "test") for label in card.labels):
        return None
    files = {
        part: [
            (path, i)
            for i, label in enumerate(card.labels)
            for path in sorted((folder / part / label).glob("*.txt"))
        ]
        for part in ("train", "test")
    }

    def read() -> RawCorpus:
        parts = {
            part: Rows([_read_text(path) for path, _ in pairs], [label for _, label in pairs])
            for part, pairs in files.items()
        }
        return check_parts(RawCorpus(card.name, card.language, card.labels, parts), folder)

    every = tuple(path for part in files.values() for path, _ in part)
    return Source(card.name, card.layout, every, read, loose=True)


def _ag_news_csv(card: Card, folder: Path) -> Source | None:
    """`train.csv` and `test.csv` without a header: id of the class, title, description."""
    files = {part: folder / f"{part}.csv" for part in ("train", "test")}
    if not all(path.is_file() for path in files.values()):
        return None
    table = LabelTable(card.label_ids, f"the card of {card.name}")

    def rows(path: Path) -> Iterator[Line]:
        for number, cells in csv_rows(path):
            if len(cells) != 3:
                place = f"{path}, line {number}"
                raise UserError(f"{place}: {len(cells)} columns; expected class, title and description")
            yield Line(number, f"{cells[1]} {cells[2]}", cells[0])

    def read() -> RawCorpus:
        parts = {part: table.rows(path, rows(path)) for part, path in files.items()}
        return check_parts(RawCorpus(card.name, card.language, card.labels, parts), folder)

    return Source(card.name, card.layout, tuple(files.values()), read)


def _clue(card: Card, folder: Path) -> Source | None:
    """`train.json` and `dev.json`, an object a line with `sentence` and `label` (an id of the card)."""
    files = {"train": folder / "train.json", "validation": folder / "dev.json"}
    if not all(path.is_file() for path in files.values()):
        return None
    table = LabelTable(card.label_ids, f"the card of {card.name}")

    def read() -> RawCorpus:
        columns = Columns("sentence", "label")
        parts = {part: table.rows(path, labelled(JsonTable(path), columns)) for part, path in files.items()}
        return check_parts(dev_as_test(RawCorpus(card.name, card.language, card.labels, parts)), folder)

    return Source(card.name, card.layout, tuple(files.values()), read)


def _class_folders(card: Card, folder: Path) -> Source | None:
    """`<class>/*.txt`, a text a file; no published parts."""
    files = {label: sorted((folder / label).glob("*.txt")) for label in card.labels}
    return _of_classes(card, folder, files, lambda path: [_lenient_text(path)])


def _class_files(card: Card, folder: Path) -> Source | None:
    """`<class>.txt`, a text a line; no published parts."""
    files = {label: [path for path in [folder / f"{label}.txt"] if path.is_file()] for label in card.labels}
    return _of_classes(
        card, folder, files, lambda path: [line.strip() for line in _lenient_text(path).split("\n")]
    )


def _of_classes(
    card: Card, folder: Path, files: dict[str, list[Path]], texts_of: Callable[[Path], list[str]]
) -> Source | None:
    if not all(files.values()):
        return None

    def read() -> RawCorpus:
        rows = [
            (text, i)
            for i, label in enumerate(card.labels)
            for path in files[label]
            for text in texts_of(path)
            if text.strip()
        ]
        train = Rows([text for text, _ in rows], [label for _, label in rows])
        return check_parts(RawCorpus(card.name, card.language, card.labels, {"train": train}), folder)

    every = tuple(path for label in card.labels for path in files[label])
    return Source(card.name, card.layout, every, read)


LAYOUTS = {
    "aclImdb": Layout(
        lambda card, path: (
            path.suffix == ".txt"
            and len(path.parts) > 2
            and path.parts[-3] in ("train", "test")
            and path.parts[-2] in card.labels
        ),
        _acl_imdb,
    ),
    "ag_news_csv": Layout(lambda card, path: path.name in ("train.csv", "test.csv"), _ag_news_csv),
    "clue": Layout(lambda card, path: path.name in ("train.json", "dev.json"), _clue),
    "class_folders": Layout(
        lambda card, path: (
            path.suffix == ".txt" and path.parts[-2:-1] != () and path.parts[-2] in card.labels
        ),
        _class_folders,
    ),
    "class_files": Layout(
        lambda card, path: path.suffix == ".txt" and path.stem in card.labels, _class_files
    ),
    "glue": Layout(lambda card, path: path.suffix in (".tsv", ".parquet"), glue),
}
