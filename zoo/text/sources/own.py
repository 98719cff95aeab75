"""A corpus of the user's own: a file of labelled rows, a folder with one a part, or one of `datasets`."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from zoo.core.cards import is_known
from zoo.core.errors import UserError
from zoo.text.sources.arrow import datasets_source, saved_parts
from zoo.text.sources.columns import Asked, Columns, choose_columns
from zoo.text.sources.rows import (
    PART_NAMES,
    LabelTable,
    Line,
    RawCorpus,
    Rows,
    Source,
    check_parts,
    guess_language,
)
from zoo.text.sources.simple import labelled, simple_source
from zoo.text.sources.tables import Table, open_table, stem_of


def own_name(stem: str) -> str:
    """Return the name of a corpus of the user's own, of letters that a file's name may have."""
    name = re.sub(r"[^\w.-]+", "_", stem).strip("._-") or "corpus"
    # Under its own name it would stand in tables as the published corpus.
    return f"{name}_own" if is_known(name) else name


def own_source(path: Path, asked: Asked) -> Source:
    """Return the corpus of a folder or file, named after it. asked: columns that the user named.

    Raises `UserError` for what is no folder with a training file and no table with text and label.
    """
    name = own_name(path.resolve().name if path.is_dir() else stem_of(path.name))
    if path.is_dir():
        if saved := saved_parts(path):
            return datasets_source(name, path, saved, asked)
        if (source := simple_source(name, path, asked=asked)) is None:
            files = "train.jsonl, train.csv, train.tsv, train.json or train.parquet"
            raise UserError(f"{path}: no training part; expected {files} in the folder")
        return source
    if not path.is_file():
        # A pipe would be waited on without end.
        raise UserError(f"{path}: neither a file nor a folder (a pipe or a device); expected a file of rows")
    table = open_table(path)
    columns = choose_columns(table.head(), asked, path)

    def read() -> RawCorpus:
        labels = LabelTable(None, path)
        parts = _parts(table, columns, labels)
        if not parts:
            raise UserError(f"{path}: no rows; expected rows with {columns.text} and {columns.label}")
        language = guess_language(parts["train"].texts)
        corpus = RawCorpus(name, language, labels.names, parts, columns.notes)
        return check_parts(corpus, path)

    identity = "\0".join(columns.wanted)
    return Source(name, "file", (path,), read, identity=identity)


def _parts(table: Table, columns: Columns, labels: LabelTable) -> dict[str, Rows]:
    """Return the rows by part: all of them "train", unless a split column says where each belongs."""
    part_of = {name: part for part, names in PART_NAMES.items() for name in names}
    found: dict[str, list[Line]] = defaultdict(list)
    for line in labelled(table, columns):
        part = part_of.get(line.split.strip().lower()) if columns.split else "train"
        if part is None:
            place = f"{table.path}, {table.unit} {line.number}"
            raise UserError(f"{place}: {columns.split} is {line.split!r}; expected {', '.join(part_of)}")
        found[part].append(line)
    if found and "train" not in found:
        raise UserError(f"{table.path}: no row has {columns.split} train; expected rows for training")
    return {part: labels.rows(table.path, found[part], table.unit) for part in PART_NAMES if part in found}
