"""The settings that decide what a prepared text is, and where things are found."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoo.core.errors import UserError

TOKENISERS = ("auto", "words", "jieba", "characters")

PAD, UNK = "<pad>", "<unk>"
PAD_ID, UNK_ID = 0, 1

Report = Callable[[str], None]


def silent(message: str) -> None:
    """Take a progress line and do nothing with it."""


# More folds than this cost more than they tell, and each is prepared by itself.
MOST_FOLDS = 1_000


@dataclass(frozen=True)
class TextSettings:
    """Everything that changes the prepared text; hashed into the cache's key and into a cell's identity.

    `fraction` cuts train, validation and test alike (seeded, stratified); validation keeps at least
    min(available, 500) rows and test min(available, 2,000), so that a small one still measures something.
    With `folds` = k > 1, validation is part number `fold` of k parts of train + validation, and train is the
    rest; the test part stays what it is. `text_column` and `label_column` name the columns of a file of the
    user's own; empty: the usual names, see `zoo.text.sources.columns`.
    Raises `UserError` for a value out of range or of another type.
    """

    tokeniser: str = "auto"
    max_length: int = 256
    max_vocabulary: int = 30_000
    min_count: int = 1
    fraction: float = 1.0
    folds: int = 0
    fold: int = 0
    split_seed: int = 0
    text_column: str = ""
    label_column: str = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), type(field.default))
        # 1 and 1.0 are one fraction and must be one key.
        object.__setattr__(self, "fraction", float(self.fraction))
        if self.tokeniser not in TOKENISERS:
            raise UserError(
                f"tokeniser {self.tokeniser!r} is unknown; expected one of {', '.join(TOKENISERS)}"
            )
        for name in ("max_length", "max_vocabulary", "min_count"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not 0.0 < self.fraction <= 1.0:
            raise UserError(f"fraction is {self.fraction}; expected a number above 0 and at most 1")
        if self.folds != 0 and not 2 <= self.folds <= MOST_FOLDS:
            raise UserError(
                f"folds is {self.folds}; expected 0 (the fixed split) or at least 2, at most {MOST_FOLDS:,}"
            )
        if not 0 <= self.fold < max(self.folds, 1):
            raise UserError(
                f"fold is {self.fold}; expected 0 to {max(self.folds, 1) - 1} with folds = {self.folds}"
            )
        if self.split_seed < 0:
            raise UserError(f"split_seed is {self.split_seed}; expected 0 or more")


def _check_type(name: str, value: object, kind: type) -> None:
    """Raise `UserError` unless the value is of a field's type; a whole number is a number, a bool is none."""
    fits = isinstance(value, int | float if kind is float else kind) and not isinstance(value, bool)
    if not fits:
        wanted = {int: "a whole number", float: "a number", str: "a string"}[kind]
        raise UserError(f"{name} is {value!r}; expected {wanted}")


def resolve_data_dir(data_dir: Path | None) -> Path | None:
    """Return the folder of corpora: the argument, else the environment variable UEGR_DATA, else None."""
    if data_dir is not None:
        return _folder("data_dir", data_dir)
    from_environment = os.environ.get("UEGR_DATA", "")
    return Path(from_environment).expanduser() if from_environment else None


def resolve_cache_dir(cache_dir: Path | None) -> Path:
    """Return the cache folder: the argument, else UEGR_CACHE, else `uegr` under the XDG cache folder."""
    if cache_dir is not None:
        return _folder("cache_dir", cache_dir)
    if from_environment := os.environ.get("UEGR_CACHE", ""):
        return Path(from_environment).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "uegr"


def _folder(name: str, value: object) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} is {type(value).__name__}; expected a path")
    return Path(value).expanduser()
