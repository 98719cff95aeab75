"""Prepared corpora that are taken along, to a machine without the texts or what cuts them.

A file holds one corpus under one choice of `TextSettings`, as numbers and a JSON header (no pickle). It lies
in the folder `prepared` of a data folder and is found there before any text is looked for.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np

from zoo.core.errors import UserError, write_whole
from zoo.core.identity import short_hash
from zoo.text.cache import as_arrays, from_arrays, read_arrays
from zoo.text.corpus import Corpus, fingerprint
from zoo.text.settings import TextSettings

FOLDER = "prepared"


def prepared_file(folder: Path, name: str, settings: TextSettings) -> Path:
    """Where a data folder has this corpus under these settings, if it was put there."""
    return folder / FOLDER / f"{name}-{short_hash(settings.named())}.npz"


def is_prepared(folder: Path | None, name: str | os.PathLike[str], settings: TextSettings) -> bool:
    """Whether a data folder has it; never for a path."""
    if folder is None or not isinstance(name, str) or Path(name).name != name:
        return False
    return os.path.isfile(prepared_file(folder, name, settings))  # False too for a name that is too long


def write_prepared(folder: Path, name: str, settings: TextSettings, corpus: Corpus) -> Path:
    """Put a corpus into the data folder; `name`: what a study calls it.

    Raises:
        UserError: it cannot be written.
    """
    header, arrays = as_arrays(corpus)
    buffer = io.BytesIO()
    encoded = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez_compressed(buffer, allow_pickle=False, header=encoded, **arrays)
    path = prepared_file(folder, name, settings)
    write_whole(path, buffer.getvalue())
    return path


def read_prepared(name: str | os.PathLike[str], settings: TextSettings, folder: Path | None) -> Corpus | None:
    """The corpus of this name from the data folder; None where none was put there.

    Raises:
        UserError: the file is damaged.
    """
    if not is_prepared(folder, name, settings):
        return None
    assert folder is not None
    path = prepared_file(folder, str(name), settings)
    said: list[str] = []
    stored = read_arrays(path, said.append)
    try:
        corpus = None if stored is None else from_arrays(*stored)
    except (KeyError, ValueError):
        corpus = None
    if corpus is None or corpus.fingerprint != fingerprint(corpus.labels, corpus.words, corpus.parts):
        raise UserError(f"{path}: damaged, or no prepared corpus; expected what zoo.ablate pack wrote")
    return corpus
