"""The corpora's cards: what each is, where it comes from, its licence, classes and published sizes."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.text.rows import RawCorpus

_NAMES_OF_PARTS = {"train": "training", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class Card:
    """One corpus's card. rows: published rows of the labelled parts by our part names; 0 where unknown."""

    name: str
    title: str
    language: str
    licence: str
    labels: tuple[str, ...]
    rows: dict[str, int]
    label_ids: tuple[str, ...] = ()
    archives: tuple[dict[str, Any], ...] = field(default=(), compare=False)

    def compared(self, corpus: RawCorpus, where: Path) -> tuple[str, ...]:
        """Return a note for whatever the corpus has not as published: rows of a part, names of the classes.

        Raises `UserError` for another number of classes: that is another corpus.
        """
        notes = []
        if len(corpus.labels) != len(self.labels):
            classes = f"{len(corpus.labels)} classes; expected the {len(self.labels)} of {self.title}"
            raise UserError(f"{where}: {classes} (a corpus of your own is named by its path)")
        if set(corpus.labels) != set(self.labels):
            notes.append("class names differ from the published ones")
        for part, published in self.rows.items():
            found = len(corpus.parts.get(part, ()))
            if published and found != published:
                word = "partial" if found < published else "differs"
                notes.append(f"{word}: {found:,} of {published:,} {_NAMES_OF_PARTS[part]} rows")
        return tuple(notes)


def cards_folder() -> Path:
    """Return the folder of the cards: inside the package (from a wheel), else the clone's `data/`."""
    packaged = Path(__file__).parent / "cards"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "data"


@cache
def load_card(name: str) -> Card:
    """Return the card of a known corpus. Raises `UserError` where the card is missing or wrong."""
    path = cards_folder() / f"{name}.toml"
    try:
        fields = tomllib.loads(path.read_text("utf-8"))
        return Card(
            name=fields["name"],
            title=fields["title"],
            language=fields["language"],
            licence=fields["licence"],
            labels=tuple(fields["classes"]["names"]),
            label_ids=tuple(fields["classes"].get("ids", ())),
            rows=dict(fields["rows"]),
            archives=tuple(fields.get("archive", ())),
        )
    except FileNotFoundError:
        raise UserError(f"{path}: no such card; expected the card of corpus {name}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not TOML ({error}); expected a corpus card") from None
    except KeyError as error:
        raise UserError(f"{path}: no field {error}; expected a complete corpus card") from None
