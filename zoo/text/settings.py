"""The settings that decide what a prepared text is, and where things are found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from zoo.core.errors import UserError
from zoo.core.records import Settings, setting

TOKENISERS = ("auto", "words", "jieba", "characters")

PAD, UNK = "<pad>", "<unk>"
PAD_ID, UNK_ID = 0, 1

Report = Callable[[str], None]


def silent(message: str) -> None:
    """Take a progress line and do nothing with it."""


# More folds than this cost more than they tell, and each is prepared by itself.
MOST_FOLDS = 1_000


@dataclass(frozen=True)
class TextSettings(Settings):
    """Everything that changes the prepared text; hashed into the cache's key and into a cell's identity.

    `fraction` cuts train, validation and test alike (seeded, stratified); validation keeps at least
    min(available, 500) rows and test min(available, 2,000), so that a small one still measures something.
    With `folds` = k > 1, validation is part number `fold` of k parts of train + validation, and train is the
    rest; the test part stays what it is. `text_column` and `label_column` name the columns of a file of the
    user's own; empty: the usual names, see `zoo.text.sources.columns`.
    Raises `UserError` for a value out of range or of another type.
    """

    tokeniser: str = setting("auto", choices=TOKENISERS)
    max_length: int = setting(256, low=1)
    max_vocabulary: int = setting(30_000, low=1)
    min_count: int = setting(1, low=1)
    fraction: float = setting(1.0, above=0, high=1)
    folds: int = setting(0, low=0, high=MOST_FOLDS)
    fold: int = setting(0, low=0)
    split_seed: int = setting(0, low=0)
    text_column: str = ""
    label_column: str = ""

    def unread(self) -> Iterable[str]:
        """The columns only say where the data are; a fold is one of `folds`."""
        yield from ("text_column", "label_column")
        if not self.folds:
            yield "fold"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folds == 1:
            raise UserError(f"{self.what} folds=1: expected 0 (the fixed split) or at least 2")
        if self.fold >= max(self.folds, 1):
            last = max(self.folds, 1) - 1
            raise UserError(f"{self.what} fold={self.fold}: expected 0 to {last} with folds={self.folds}")


@dataclass(frozen=True)
class OwnTokens(TextSettings):
    """Those for a model that brings a tokeniser; `max_length` counts its tokens."""

    def unread(self) -> Iterable[str]:
        """What only the zoo's tokenisers and vocabulary read."""
        yield from super().unread()
        yield from ("tokeniser", "max_vocabulary", "min_count")


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
