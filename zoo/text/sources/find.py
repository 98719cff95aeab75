"""Where a corpus is found: a demo package, the data folder, the network, or a path of the user's own."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path

from zoo.core.errors import UserError
from zoo.text.cards import load_card
from zoo.text.demo import demo_source
from zoo.text.official import LAYOUTS, fetched, find_archive, find_in_folder, from_archive
from zoo.text.own import own_source
from zoo.text.rows import RawCorpus, Source
from zoo.text.settings import DEMO_CORPORA, REAL_CORPORA, Report
from zoo.text.simple import simple_source


def find_source(name_or_path: str, data_dir: Path | None, cache_dir: Path, report: Report) -> Source:
    """Return where the corpus is. Raises `UserError` saying what was looked for and what would help."""
    if name_or_path in DEMO_CORPORA:
        return demo_source(name_or_path)
    if name_or_path in REAL_CORPORA:
        return _compared(_real_source(name_or_path, data_dir, cache_dir, report))
    path = Path(name_or_path).expanduser()
    if path.exists():
        return own_source(path)
    if data_dir is not None and name_or_path and (data_dir / name_or_path).exists():
        return own_source(data_dir / name_or_path)
    known = (*DEMO_CORPORA, *REAL_CORPORA)
    near = difflib.get_close_matches(name_or_path, known, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"expected a path or one of {', '.join(known)}"
    raise UserError(f"corpus {name_or_path!r}: no such corpus or path; {hint}")


def _real_source(name: str, data_dir: Path | None, cache_dir: Path, report: Report) -> Source:
    if data_dir is None:
        return fetched(name, cache_dir, report)
    if not data_dir.is_dir():
        raise UserError(f"{data_dir}: no such folder; expected the data folder with {name}/train.jsonl.gz")
    source = simple_source(name, data_dir / name, load_card(name).language) or find_in_folder(name, data_dir)
    if source is not None:
        return source
    if (archive := find_archive(name, data_dir)) is not None:
        return from_archive(name, archive, cache_dir, report)
    expected = f"{name}/train.jsonl.gz, {LAYOUTS[name].folders[0]}/ or {LAYOUTS[name].archives[0]}"
    raise UserError(f"{data_dir}: {name} is not there; expected {expected}")


def _compared(source: Source) -> Source:
    """Return the source with what its corpus lacks of the published one added to the notes."""

    def read() -> RawCorpus:
        corpus = source.read()
        notes = load_card(source.name).compared(corpus, source.files[0].parent)
        return dataclasses.replace(corpus, notes=(*corpus.notes, *notes))

    return dataclasses.replace(source, read=read)
