"""Arrow files as the library `datasets` writes them, read with pyarrow alone.

`Dataset.save_to_disk` writes a folder with `state.json`, which lists the files; `DatasetDict.save_to_disk`
writes `dataset_dict.json`, which lists the parts, and such a folder for each. The classes' names stand in the
files' own metadata. Nothing in these files is code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.text.sources.columns import Asked, Head
from zoo.text.sources.rows import (
    PART_NAMES,
    LabelTable,
    RawCorpus,
    Source,
    check_parts,
    guess_language,
)
from zoo.text.sources.simple import columns_of_parts, labelled
from zoo.text.sources.tables import Row, class_names, named

PARTS_FILE, STATE_FILE = "dataset_dict.json", "state.json"


class ArrowTable:
    """The files of one data set, in order, as one table. path: what errors name; files: Arrow streams.

    Raises `UserError` where pyarrow is not installed.
    """

    unit = "row"

    def __init__(self, path: Path | str, files: Sequence[Path]) -> None:
        self.path, self.files = Path(path), tuple(files)
        try:
            import pyarrow
        except ImportError:
            raise UserError(
                f"{path}: Arrow files need pyarrow (pip install 'uegr[parquet]'); or expected csv or jsonl"
            ) from None
        self._arrow = pyarrow

    def head(self) -> Head:
        """Return the schema's names and the first row."""
        names: tuple[str, ...] = ()
        cells: tuple[str, ...] = ()
        for schema, batch in self._batches(self.files):
            names = tuple(schema.names)
            if batch is not None and len(batch):
                cells = tuple(str(self._whole(column)[0]) for column in batch.columns)
                break
        return Head(names, cells, str(self.path))

    def classes(self, column: str) -> tuple[str, ...]:
        """Return the names of the classes whose numbers the column has; raises as `class_names`."""
        for schema, _ in self._batches(self.files[:1]):
            return class_names(schema, column, self.path)
        return ()

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """Yield the rows, a batch at a time in memory; classes by their names, not by their numbers."""
        names = [self.classes(name) for name in wanted]
        number = 0
        for schema, batch in self._batches(self.files):
            if missing := [name for name in wanted if name not in schema.names]:
                found = ", ".join(schema.names)
                raise UserError(f"{self.path}: columns {found}; expected {missing[0]} in every file")
            if batch is None:
                continue
            columns = [self._whole(batch.column(schema.get_field_index(name))) for name in wanted]
            for cells in zip(*(column.to_pylist() for column in columns), strict=True):
                number += 1
                yield number, tuple(map(named, cells, names))

    def _batches(self, files: Sequence[Path]) -> Iterator[tuple[Any, Any]]:
        """Yield (schema, batch) of every batch, and first (schema, None) for each file."""
        arrow = self._arrow
        for path in files:
            try:
                with arrow.memory_map(str(path)) as stream, arrow.ipc.open_stream(stream) as reader:
                    yield reader.schema, None
                    for batch in reader:
                        yield reader.schema, batch
            except (arrow.ArrowException, OSError) as error:
                raise UserError(f"{path}: not an Arrow stream ({_line(error)}); expected it whole") from None

    def _whole(self, column: Any) -> Any:
        """Return the column. A damaged file may point outside of itself, which reading it does not notice."""
        try:
            column.validate(full=True)
            return column
        except self._arrow.ArrowException as error:
            raise UserError(f"{self.path}: damaged ({_line(error)}); expected whole Arrow files") from None


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def saved_parts(folder: Path) -> dict[str, ArrowTable]:
    """Return the data sets that `save_to_disk` wrote here, by their parts' names; one alone is "train".

    Empty for any other folder. Raises `UserError` for such a folder without what it says that it has.
    """
    if (folder / PARTS_FILE).is_file():
        return {part: _saved(folder / part) for part in _listed(folder / PARTS_FILE, "splits")}
    return {"train": _saved(folder)} if (folder / STATE_FILE).is_file() else {}


def _saved(folder: Path) -> ArrowTable:
    # By the list and not by their suffix: `datasets` lays its caches beside them.
    names = _listed(folder / STATE_FILE, "_data_files", "filename")
    return ArrowTable(folder, [folder / name for name in names])


def _listed(path: Path, key: str, inner: str = "") -> list[str]:
    """Return the names that a json file lists. Raises `UserError` for any that leads out of its folder."""
    try:
        listed = json.loads(path.read_text("utf-8"))[key]
        names = [entry[inner] if inner else entry for entry in listed]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: no list {key} ({error}); expected what save_to_disk writes") from None
    for name in names:
        if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0"):
            raise UserError(f"{path}: name {name!r}; expected one in the same folder")
    return names


def datasets_source(name: str, where: Path | str, tables: Mapping[str, ArrowTable], asked: Asked) -> Source:
    """Return the corpus of data sets by their parts' names (also `validation_matched`, as GLUE's MNLI has).

    where: for errors. asked: columns that the user named. A part without labels (all of them -1 or none, as
    where they are secret) is left out with a note, as is a part of any other name.
    Raises `UserError` for data sets without a training part, or without text and label.
    """
    found: dict[str, ArrowTable] = {}
    for part, names in PART_NAMES.items():
        for known in (*names, f"{part}_matched"):
            if known in tables:
                found.setdefault(part, tables[known])
    if "train" not in found:
        raise UserError(f"{where}: parts {', '.join(tables) or 'none'}; expected train")
    columns, each = columns_of_parts(found, asked, Path(where))
    others = [part for part, table in tables.items() if table not in found.values()]
    unread = [f"parts not read: {', '.join(others)}"] if others else []

    def read() -> RawCorpus:
        labels = LabelTable(found["train"].classes(columns.label) or None, where)
        parts, notes = {}, [*columns.notes, *unread]
        for part, table in found.items():
            if part != "train" and _unlabelled(table, each[part].label):
                notes.append(f"{part} part left out: no row has a label")
                continue
            parts[part] = labels.rows(table.path, labelled(table, each[part]), table.unit)
        language = guess_language(parts["train"].texts)
        corpus = RawCorpus(name, language, labels.names, parts, tuple(notes))
        return check_parts(corpus, where)

    files = tuple(file for table in found.values() for file in table.files)
    # What the lists of parts and of files say, for they are not among the files.
    shape = [f"{part} {len(table.files)}" for part, table in found.items()]
    return Source(name, "datasets", files, read, identity="\0".join((*columns.wanted, *shape, *unread)))


def _unlabelled(table: ArrowTable, column: str) -> bool:
    labels = [label for _, (label,) in table.rows((column,))]
    return bool(labels) and all(label in (-1, None) for label in labels)
