"""Where a corpus is found: a demo package, the data folder, the network, the hub, or a path."""

from __future__ import annotations

import dataclasses
import difflib
import os
from pathlib import Path

from zoo.core.cards import Card, is_known, known_corpora, load_card
from zoo.core.errors import UserError
from zoo.text.settings import Report
from zoo.text.sources.columns import Asked
from zoo.text.sources.demo import demo_source
from zoo.text.sources.hub import PREFIX, hub_source
from zoo.text.sources.official import fetched, find_archive, find_in_folder, from_archive
from zoo.text.sources.own import own_source
from zoo.text.sources.rows import DEV_AS_TEST, RawCorpus, Source
from zoo.text.sources.simple import JSON_LINES, simple_source

NO_TEST_LABELS = ("clue", "glue")  # the layouts of what is published without the labels of its test part


def find_source(
    name_or_path: str, asked: Asked, data_dir: Path | None, cache_dir: Path, report: Report
) -> Source:
    """Return where the corpus is. asked: columns that the user named, for a corpus of the user's own.

    Raises `UserError` saying what was looked for and what would help.
    """
    if is_known(name_or_path):
        if named := asked.text or asked.label:
            raise UserError(
                f"column {named!r}: {name_or_path} has its own columns; expected the path of your own corpus"
            )
        card = load_card(name_or_path)
        if card.kind == "demo":
            return dataclasses.replace(demo_source(card), identity=card.identity())
        return _compared(card, _real_source(card, data_dir, cache_dir, report))
    if name_or_path.startswith(PREFIX):
        return hub_source(name_or_path, asked, report)
    # `Path` raises for a name too long, a NUL byte or an unknown home; these functions say no.
    places = [os.path.expanduser(name_or_path)]
    if data_dir is not None:
        places.append(os.path.join(data_dir, name_or_path))
    for place in places if name_or_path else []:  # an empty name would be the working folder
        if os.path.exists(place):
            return own_source(Path(place), asked)
    known = known_corpora()
    near = difflib.get_close_matches(name_or_path, known, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"expected a path or one of {', '.join(known)}"
    raise UserError(f"corpus {name_or_path!r}: no such corpus or path; {hint}")


def _real_source(card: Card, data_dir: Path | None, cache_dir: Path, report: Report) -> Source:
    if data_dir is None:
        return fetched(card, cache_dir, report)
    name = card.name
    if not data_dir.is_dir():
        raise UserError(f"{data_dir}: no such folder; expected the data folder with {name}/train.jsonl.gz")
    # Of published csv files the layout alone knows the columns.
    source = simple_source(
        name, data_dir / name, card.language, suffixes=JSON_LINES, scores=card.scores,
        dev_is_test=card.layout in NO_TEST_LABELS,
    )  # fmt: skip
    if source is None and card.layout:
        source = find_in_folder(card, data_dir)
    if source is not None:
        return source
    if (archive := find_archive(card, data_dir)) is not None:
        return from_archive(card, archive, cache_dir, report)
    published = [*(f"{folder}/" for folder in card.folders[:1]), *card.archive_names[:1]]
    expected = " or ".join([", ".join([f"{name}/train.jsonl.gz", *published[:-1]]), *published[-1:]])
    raise UserError(f"{data_dir}: {name} is not there; expected {expected}")


def _compared(card: Card, source: Source) -> Source:
    """Return the source with what its corpus lacks of the published one added to the notes."""

    def read() -> RawCorpus:
        corpus = source.read()
        sizes = {part: len(rows) for part, rows in corpus.parts.items()}
        notes = card.compared(corpus.labels, sizes, source.files[0].parent)
        own = corpus.notes
        if sizes.get("test") != card.rows.get("test", sizes.get("test")):
            own = tuple(note if note != DEV_AS_TEST else "test part: the dev file" for note in own)
        return dataclasses.replace(corpus, notes=(*own, *notes))

    return dataclasses.replace(source, read=read, identity=f"{source.identity}\0{card.identity()}")
