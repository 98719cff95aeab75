"""The corpora as they are published: in a folder, in an archive, or fetched."""

from __future__ import annotations

import hashlib
from pathlib import Path

from zoo.core.cards import Card
from zoo.core.errors import UserError
from zoo.text.cache import only_one
from zoo.text.settings import Report
from zoo.text.sources.fetch import Remote, fetch
from zoo.text.sources.layouts import layout_of
from zoo.text.sources.rows import Source
from zoo.text.sources.unpack import unpack


def find_in_folder(card: Card, folder: Path) -> Source | None:
    """Return the corpus in its published layout from this folder, if so named, or the usual ones below it."""
    layout = layout_of(card)
    # CLUE's corpora have the same file names, so a folder of another name is not taken for one of them.
    here = [folder] if folder.resolve().name in card.folders else []
    below = [
        folder / first / second for first in (*card.folders, card.name) for second in ("", *card.folders)
    ]
    for candidate in (*here, *below):
        if (source := layout.find(card, candidate)) is not None:
            return source
    return None


def find_archive(card: Card, folder: Path) -> Path | None:
    """Return the corpus's archive if it lies in this folder or in its subfolder of the corpus's name."""
    candidates = (place / file for place in (folder, folder / card.name) for file in card.archive_names)
    return next((path for path in candidates if path.is_file()), None)


def from_archive(card: Card, archive: Path, cache_dir: Path, report: Report) -> Source:
    """Return the corpus of an archive, unpacked once into the cache folder."""
    with archive.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    layout = layout_of(card)
    target = cache_dir / "unpacked" / f"{card.name}-{content}"
    if not target.is_dir():
        with only_one(target):
            if not target.is_dir():
                report(f"{card.name}: unpacking {archive}")
                unpack(archive, target, lambda path: layout.wanted(card, path))
    if (source := layout.find(card, target) or find_in_folder(card, target)) is None:
        expected = " or ".join(card.archive_names)
        raise UserError(
            f"{archive}: does not hold {card.name} as published; expected the content of {expected}"
        )
    return source


def fetched(card: Card, cache_dir: Path, report: Report) -> Source:
    """Return the corpus as published, fetched once into the cache folder."""
    if not card.archives:
        raise UserError(
            f"{card.name}: no published file to fetch; expected --data-dir with a folder that has it"
        )
    folder = cache_dir / "fetched" / card.name
    files = [fetch(Remote.of(entry), folder, report) for entry in card.archives]
    if files[0].name in card.archive_names:
        return from_archive(card, files[0], cache_dir, report)
    source = layout_of(card).find(card, folder) or find_in_folder(card, folder)
    if source is None:
        raise UserError(f"{folder}: does not hold {card.name} as published; remove it to fetch it again")
    return source
