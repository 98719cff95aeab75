"""GLUE's tasks as they are published: tab-separated files, or the parquet files of the copy on the hub.

Quotes in the tab-separated files are text: a reader that takes them for quotes swallows lines in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo.core.cards import Card
from zoo.core.errors import UserError
from zoo.text.sources.columns import Columns
from zoo.text.sources.lines import text_lines
from zoo.text.sources.rows import (
    LabelTable,
    Line,
    RawCorpus,
    Rows,
    ScoreTable,
    Source,
    check_parts,
    dev_as_test,
)
from zoo.text.sources.simple import labelled
from zoo.text.sources.tables import ParquetTable

_TSV = {"train": ("train.tsv",), "validation": ("dev.tsv", "dev_matched.tsv")}
_PARQUET = {"train": ("train-*",), "validation": ("validation-*", "validation_matched-*")}


def glue(card: Card, folder: Path) -> Source | None:
    """Return the task of this folder, its dev part as test part; None without both of its parts.

    The card says which columns hold what, and what the files call the classes.
    """
    tsv = {part: [p for p in (folder / n for n in names) if p.is_file()][:1] for part, names in _TSV.items()}
    parquet = {
        part: next((found for name in names if (found := sorted(folder.glob(f"{name}.parquet")))), [])
        for part, names in _PARQUET.items()
    }
    files = next((own for own in (tsv, parquet) if all(own.values())), None)
    if files is None:
        return None

    def read() -> RawCorpus:
        parts, notes = {}, []
        where = f"the card of {card.name}"
        table: LabelTable | ScoreTable = LabelTable(card.labels, where)
        if card.scores:
            table = ScoreTable(*card.scores)
        for part, paths in files.items():
            reader = GlueTsv(card, paths[0]) if files is tsv else None
            rows = [
                table.rows(path, _named(card, lines), "line" if reader else "row")
                for path in paths
                for lines in [reader.lines() if reader else _parquet_lines(card, path)]
            ]
            parts[part] = _joined(rows)
            if reader and reader.broken:
                notes.append(f"{part}: {reader.broken} lines of another number of cells left out")
        corpus = RawCorpus(card.name, card.language, card.labels, parts, tuple(notes))
        return check_parts(dev_as_test(corpus), folder)

    return Source(card.name, card.layout, tuple(path for own in files.values() for path in own), read)


class GlueTsv:
    """One file: cells parted by tabs, never quoted; column names in the first line, or (CoLA) numbers alone.

    broken: the lines of another number of cells, of which QQP has a few; known after `lines`.
    """

    def __init__(self, card: Card, path: Path) -> None:
        self.card, self.path, self.broken = card, path, 0

    def lines(self) -> Iterator[Line]:
        """Yield the rows. Raises `UserError` for a file without the card's columns."""
        self.broken, width = 0, 0
        places: dict[str, int] = {}
        for number, line in text_lines(self.path):
            cells = line.rstrip("\r\n").split("\t")
            if not places:
                width = len(cells)
                places, headed = self._places(cells, number)
                if headed:
                    continue
            if len(cells) != width:
                self.broken += 1
                continue
            found = {what: cells[place] for what, place in places.items()}
            yield Line(number, found["text"], found["label"], found.get("pair", ""))

    def _places(self, cells: Sequence[str], number: int) -> tuple[dict[str, int], bool]:
        """Where the columns stand, and whether this line names them."""
        places = {}
        for what, names in self.card.columns.items():
            named = [cells.index(name) for name in names if name in cells and not name.isdecimal()]
            numbered = [int(name) for name in names if name.isdecimal() and int(name) < len(cells)]
            if not named and not numbered:
                found, wanted = ", ".join(cells[:8]), " or ".join(names)
                raise UserError(f"{self.path}, line {number}: columns {found}; expected {wanted}")
            places[what] = (named or numbered)[0]
        headed = any(cells[place] in self.card.columns[what] for what, place in places.items())
        return places, headed


def _parquet_lines(card: Card, path: Path) -> Iterator[Line]:
    table = ParquetTable(path, by_number=True)  # whose meaning the card says
    head = table.head()
    chosen: dict[str, str] = {}
    for what, names in card.columns.items():
        if not (found := [name for name in names if name in head.names]):
            raise UserError(f"{path}: columns {', '.join(head.names)}; expected {' or '.join(names)}")
        chosen[what] = found[0]
    columns = Columns(chosen["text"], chosen["label"], pair=chosen.get("pair", ""))
    return labelled(table, columns, card.scores is not None)


def _named(card: Card, lines: Iterator[Line]) -> Iterator[Line]:
    """The lines with the classes' names in place of their ids, which some of the files have."""
    names: dict[str, str] = dict(zip(card.label_ids, card.labels, strict=bool(card.label_ids)))
    for line in lines:
        yield line._replace(label=names.get(line.label, line.label))


def _joined(rows: Sequence[Rows]) -> Rows:
    if len(rows) == 1:
        return rows[0]
    labels: list[Any] = [label for own in rows for label in own.labels]
    pairs = [pair for own in rows for pair in own.pairs]
    return Rows([text for own in rows for text in own.texts], labels, pairs)
