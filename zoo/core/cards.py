"""The corpora's cards: what each is, where it comes from, its licence, classes and published sizes.

A known corpus is a card: one file `data/<name>.toml`. Nothing else lists the known corpora.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.core.measures import ACCURACY, CLASSES, MEASURES, SCORES
from zoo.core.options import one_of

KINDS = ("demo", "real")
LANGUAGES = ("en", "zh")
_NAMES_OF_PARTS = {"train": "training", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class Shift:
    """A set of the same task whose texts are of another kind: how robust an answer is to that.

    Args:
        folder: of the data folder. part: the name of its file there; empty: `dev`, else `test`.
        original: the file whose row i was rewritten to row i of `part`; empty: none.
        classes: for each class of the corpus its name there; several may share one. Empty: the same names.
    """

    folder: str
    part: str = ""
    original: str = ""
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """One corpus's card.

    title: the name in print. order: its place in print, ascending. kind: "demo" (comes in the Python package
    `package`) or "real" (lies in a data folder, or is fetched). length: tokens at which its texts are cut
    unless the run says less; 0 = no such limit. rows: published rows of the labelled parts by our part names.
    layout: how it is published, see `zoo.text.sources.layouts`; folders, archive_names: the usual names of
    what holds it. archives: the published files. columns: of the layouts that ask for them, by `text`,
    `pair` and `label`, each with the names that it may have. pairs: whether a text is two. scores: lowest and
    highest, where the answer is a number; such a corpus has no classes. measure: the main one; measures:
    further ones that are computed because the card names them. also_test: further test sets, by the measures'
    name of their texts: a folder of the data folder. shift: sets of another kind for what is already trained
    (`zoo.robustness`), by a name of their own; no cell reads them.
    """

    name: str
    title: str
    full_title: str
    kind: str
    order: int
    language: str
    licence: str
    labels: tuple[str, ...]
    rows: dict[str, int]
    length: int = 0
    label_ids: tuple[str, ...] = ()
    layout: str = ""
    package: str = ""
    folders: tuple[str, ...] = ()
    archive_names: tuple[str, ...] = ()
    archives: tuple[dict[str, Any], ...] = field(default=(), compare=False)
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    pairs: bool = False
    scores: tuple[float, float] | None = None
    measure: str = ACCURACY
    measures: tuple[str, ...] = ()
    also_test: dict[str, str] = field(default_factory=dict)
    shift: dict[str, Shift] = field(default_factory=dict)

    @property
    def shifts(self) -> dict[str, Shift]:
        """All sets of another kind by name: the further test sets, then the others."""
        return {name: Shift(folder) for name, folder in self.also_test.items()} | self.shift

    def identity(self) -> str:
        """Return the fields that decide what is read from the corpus's files and noted on it, as JSON."""
        read: list[object] = [self.kind, self.language, self.labels, self.label_ids, self.layout, self.rows]
        read += [self.scores] if self.scores else []
        return json.dumps(read, sort_keys=True)

    def compared(self, labels: tuple[str, ...], sizes: Mapping[str, int], where: Path) -> tuple[str, ...]:
        """Return a note for whatever a corpus has not as published: rows of a part, names of the classes.

        labels: its class names. sizes: its rows by part. where: named in the error.
        Raises `UserError` for another number of classes: that is another corpus.
        """
        notes = []
        if len(labels) != len(self.labels):
            classes = f"{len(labels)} classes; expected the {len(self.labels)} of {self.title}"
            raise UserError(f"{where}: {classes} (a corpus of your own is named by its path)")
        if set(labels) != set(self.labels):
            notes.append("class names differ from the published ones")
        for part, published in self.rows.items():
            found = sizes.get(part, 0)
            if published and found != published:
                word = "partial" if found < published else "differs"
                notes.append(f"{word}: {found:,} of {published:,} {_NAMES_OF_PARTS[part]} rows")
        return tuple(notes)


def cards_folder() -> Path:
    """Return the folder of the cards: inside the package (from a wheel), else the clone's `data/`."""
    packaged = Path(__file__).parents[1] / "cards"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "data"


def known_corpora(kind: str | None = None) -> tuple[str, ...]:
    """Return the names of all cards in the order of print; kind: only those, "demo" or "real".

    Raises `UserError` for a wrong card and `ValueError` for an unknown kind.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}")
    cards = [load_card(path.stem) for path in cards_folder().glob("*.toml")]
    ordered = sorted(cards, key=lambda card: (card.order, card.name))
    return tuple(card.name for card in ordered if kind in (None, card.kind))


def is_known(name: str) -> bool:
    """Return whether there is a card of this name."""
    return name in {path.stem for path in cards_folder().glob("*.toml")}


def default_length(name_or_path: str, preset_length: int) -> int:
    """Return the tokens at which texts are cut: the card's length where it is less than the preset's.

    A corpus without a card, or whose card has no length, keeps the preset's.
    Raises `TypeError` or `ValueError` for a length that is no whole number from 1.
    """
    if isinstance(preset_length, bool) or not isinstance(preset_length, int):
        raise TypeError(f"preset_length is {preset_length!r}; expected a whole number")
    if preset_length < 1:
        raise ValueError(f"preset_length is {preset_length}; expected at least 1")
    length = load_card(name_or_path).length if is_known(name_or_path) else 0
    return min(preset_length, length or preset_length)


def load_card(name: str) -> Card:
    """Return the card of a known corpus. Raises `UserError` where the card is missing or wrong."""
    if not isinstance(name, str):
        raise TypeError(f"name is {type(name).__name__}; expected the name of a corpus")
    path = cards_folder() / f"{name}.toml"
    try:
        fields = tomllib.loads(path.read_text("utf-8"))
        published = fields.get("published", {})
        card = Card(
            name=fields["name"],
            title=fields["title"],
            full_title=fields["full_title"],
            kind=fields["kind"],
            order=fields["order"],
            language=fields["language"],
            licence=fields["licence"],
            length=fields.get("length", 0),
            labels=() if "scores" in fields else tuple(fields["classes"]["names"]),
            label_ids=tuple(fields.get("classes", {}).get("ids", ())),
            rows=dict(fields["rows"]),
            layout=published.get("layout", ""),
            package=published.get("package", ""),
            folders=tuple(published.get("folders", ())),
            archive_names=tuple(published.get("archives", ())),
            archives=tuple(fields.get("archive", ())),
            columns={name: tuple(names) for name, names in fields.get("columns", {}).items()},
            pairs=bool(fields.get("pairs", False)),
            scores=_bounds(fields.get("scores")),
            measure=fields.get("measure", ACCURACY),
            measures=tuple(fields.get("measures", ())),
            also_test=dict(fields.get("also_test", {})),
            shift={name: _shift(values) for name, values in fields.get("shift", {}).items()},
        )
    except FileNotFoundError:
        raise UserError(f"{path}: no such card; expected the card of corpus {name}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not TOML ({error}); expected a corpus card") from None
    except KeyError as error:
        raise UserError(f"{path}: no field {error}; expected a complete corpus card") from None
    except (TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: a field of the wrong type ({error}); expected a corpus card") from None
    if (problem := _problem(card, name)) is not None:
        raise UserError(f"{path}: {problem}")
    return card


def _bounds(scores: Any) -> tuple[float, float] | None:
    return None if scores is None else (float(scores["low"]), float(scores["high"]))


def _shift(values: Mapping[str, Any]) -> Shift:
    return Shift(**{**values, "classes": tuple(values.get("classes", ()))})


def _problem(card: Card, stem: str) -> str | None:
    """Return what is wrong with a card's values, if anything."""
    classes = len(set(card.labels))
    kind = SCORES if card.scores else CLASSES
    rows = {row.name: row for row in MEASURES if row.on == "test" and row.of == kind}
    further = {row.on for row in MEASURES} - {"test", "attacked"}
    whole = {"order": card.order, "length": card.length, **{f"rows.{k}": v for k, v in card.rows.items()}}
    checks = [
        (card.name == stem, f"name is {card.name!r}; expected {stem!r} as the file"),
        (card.kind in KINDS, f"kind is {card.kind!r}; expected {' or '.join(KINDS)}"),
        (card.language in LANGUAGES, f"language is {card.language!r}; expected {' or '.join(LANGUAGES)}"),
        (
            classes == len(card.labels) >= 2 or card.scores is not None,
            f"{classes} distinct classes; expected two or more, none twice",
        ),
        (
            card.scores is None or card.scores[0] < card.scores[1],
            f"scores from {card.scores}; expected low below high",
        ),
        *(
            (name in rows, f"measure {name!r}; expected {one_of(name, rows)}")
            for name in (card.measure, *card.measures)
        ),
        (
            set(card.also_test) <= further,
            f"also_test of {', '.join(card.also_test)}; expected {', '.join(sorted(further))}",
        ),
        *(
            (
                len(own.classes) in (0, classes),
                f"shift.{name}: {len(own.classes)} classes; expected one for each of {classes}, or none",
            )
            for name, own in card.shift.items()
        ),
        (len(card.label_ids) in (0, classes), f"{len(card.label_ids)} ids; expected one a class, or none"),
        (
            set(card.rows) <= set(_NAMES_OF_PARTS),
            f"rows of {', '.join(card.rows)}; expected train, validation, test",
        ),
        (
            card.kind != "demo" or bool(card.package),
            "no package; expected the one that a demo corpus comes in",
        ),
        *(
            (type(value) is int and value >= 0, f"{name} is {value!r}; expected a whole number from 0")
            for name, value in whole.items()
        ),
    ]
    return next((message for sound, message in checks if not sound), None)
