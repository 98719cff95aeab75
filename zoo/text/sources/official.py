"""The corpora as they are published: aclImdb, ag_news_csv, and CLUE's zip files; folders or archives."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zoo.core.errors import UserError
from zoo.text.cache import only_one
from zoo.text.cards import load_card
from zoo.text.fetch import Remote, fetch
from zoo.text.own import csv_rows
from zoo.text.rows import LabelTable, RawCorpus, Rows, Source, check_parts
from zoo.text.settings import Report
from zoo.text.simple import dev_as_test, read_jsonl
from zoo.text.unpack import unpack


@dataclass(frozen=True)
class Layout:
    """How a corpus is published. folders, archives: the usual names of what holds it."""

    folders: tuple[str, ...]
    archives: tuple[str, ...]
    wanted: Callable[[PurePosixPath], bool]
    find: Callable[[str, Path], Source | None]


def _imdb(name: str, folder: Path) -> Source | None:
    labels = load_card(name).labels
    if not all((folder / part / label).is_dir() for part in ("train", "test") for label in labels):
        return None
    files = {
        part: [
            (path, i)
            for i, label in enumerate(labels)
            for path in sorted((folder / part / label).glob("*.txt"))
        ]
        for part in ("train", "test")
    }

    def rows(part: str) -> Rows:
        texts = []
        for path, _ in files[part]:
            try:
                texts.append(path.read_text("utf-8"))
            except UnicodeDecodeError as error:
                raise UserError(f"{path}: byte {error.start + 1} is not UTF-8; expected UTF-8") from None
            except OSError as error:
                raise UserError(
                    f"{path}: cannot be read ({error.strerror}); expected a readable file"
                ) from None
        return Rows(texts, [label for _, label in files[part]])

    def read() -> RawCorpus:
        return check_parts(RawCorpus(name, "en", labels, {part: rows(part) for part in files}), folder)

    every = tuple(path for part in files.values() for path, _ in part)
    return Source(name, "aclImdb", every, read, loose=True)


def _ag_news(name: str, folder: Path) -> Source | None:
    files = {part: folder / f"{part}.csv" for part in ("train", "test")}
    if not all(path.is_file() for path in files.values()):
        return None
    card = load_card(name)
    table = LabelTable(card.label_ids, f"the card of {name}")

    def rows(path: Path) -> Iterator[tuple[int, str, str]]:
        for number, cells in csv_rows(path, ","):
            if len(cells) != 3:
                place = f"{path}, line {number}"
                raise UserError(f"{place}: {len(cells)} columns; expected class, title and description")
            yield number, f"{cells[1]} {cells[2]}", cells[0]

    def read() -> RawCorpus:
        parts = {part: table.rows(path, rows(path)) for part, path in files.items()}
        return check_parts(RawCorpus(name, "en", card.labels, parts), folder)

    return Source(name, "ag_news_csv", tuple(files.values()), read)


def _clue(name: str, folder: Path) -> Source | None:
    files = {"train": folder / "train.json", "validation": folder / "dev.json"}
    if not all(path.is_file() for path in files.values()):
        return None
    card = load_card(name)
    table = LabelTable(card.label_ids, f"the card of {name}")

    def read() -> RawCorpus:
        parts = {part: table.rows(path, read_jsonl(path, "sentence")) for part, path in files.items()}
        return check_parts(dev_as_test(RawCorpus(name, "zh", card.labels, parts)), folder)

    return Source(name, "clue", tuple(files.values()), read)


def _wanted_imdb(path: PurePosixPath) -> bool:
    return path.suffix == ".txt" and path.parts[-3:-1] in {
        (a, b) for a in ("train", "test") for b in ("neg", "pos")
    }


LAYOUTS = {
    "imdb": Layout(("aclImdb",), ("aclImdb_v1.tar.gz",), _wanted_imdb, _imdb),
    "ag_news": Layout(
        ("ag_news_csv", "ag_news"),
        ("ag_news_csv.tar.gz", "ag_news_csv.tgz"),
        lambda path: path.name in ("train.csv", "test.csv"),
        _ag_news,
    ),
    **{
        name: Layout(
            (f"{name}_public", name),
            (f"{name}_public.zip",),
            lambda path: path.name in ("train.json", "dev.json"),
            _clue,
        )
        for name in ("tnews", "iflytek")
    },
}


def find_in_folder(name: str, folder: Path) -> Source | None:
    """Return the corpus in its published layout from this folder, if so named, or the usual ones below it."""
    layout = LAYOUTS[name]
    # CLUE's corpora have the same file names, so a folder of another name is not taken for one of them.
    here = [folder] if folder.resolve().name in layout.folders else []
    below = [folder / first / second for first in (*layout.folders, name) for second in ("", *layout.folders)]
    for candidate in (*here, *below):
        if (source := layout.find(name, candidate)) is not None:
            return source
    return None


def find_archive(name: str, folder: Path) -> Path | None:
    """Return the corpus's archive if it lies in this folder or in its subfolder of the corpus's name."""
    candidates = (place / file for place in (folder, folder / name) for file in LAYOUTS[name].archives)
    return next((path for path in candidates if path.is_file()), None)


def from_archive(name: str, archive: Path, cache_dir: Path, report: Report) -> Source:
    """Return the corpus of an archive, unpacked once into the cache folder."""
    with archive.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    layout = LAYOUTS[name]
    target = cache_dir / "unpacked" / f"{name}-{content}"
    if not target.is_dir():
        with only_one(target):
            if not target.is_dir():
                report(f"{name}: unpacking {archive}")
                unpack(archive, target, layout.wanted)
    if (source := layout.find(name, target) or find_in_folder(name, target)) is None:
        expected = " or ".join(layout.archives)
        raise UserError(f"{archive}: does not hold {name} as published; expected the content of {expected}")
    return source


def fetched(name: str, cache_dir: Path, report: Report) -> Source:
    """Return the corpus as published, fetched once into the cache folder."""
    folder = cache_dir / "fetched" / name
    files = [fetch(Remote.of(entry), folder, report) for entry in load_card(name).archives]
    if files and files[0].name in LAYOUTS[name].archives:
        return from_archive(name, files[0], cache_dir, report)
    if (source := find_in_folder(name, folder)) is None:
        raise UserError(f"{folder}: does not hold {name} as published; remove it to fetch it again")
    return source
