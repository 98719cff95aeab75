"""Prepared corpora on disk: one .npz file each (arrays, and a JSON header; no pickle), written atomically."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from zoo.text.corpus import Corpus, Split
from zoo.text.settings import Report


@cache
def code_version(modules: tuple[str, ...] = ()) -> str:
    """Return a hash of the source of these modules of the package, or of all but `batching`.

    modules: paths below the package without suffix, such as "sources/rows". A change of the code so makes
    older cache files invalid by itself.
    """
    folder = Path(__file__).parent
    every = (path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.py"))
    names = modules or sorted(name for name in every if name != "batching")
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + b"\0" + (folder / f"{name}.py").read_bytes())
    return digest.hexdigest()


def cache_key(modules: tuple[str, ...] = (), **parts: Any) -> str:
    """Return 24 hex digits of a sha256 over the parts and the code version of `modules`."""
    canonical = json.dumps({**parts, "code": code_version(modules)}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:24]


def write_arrays(path: Path, header: dict[str, Any], arrays: dict[str, np.ndarray], report: Report) -> None:
    """Write a cache file under a temporary name and rename it; a failure to write is only reported."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=path.stem, suffix=".tmp", delete=False
        ) as stream:
            temporary = Path(stream.name)
            encoded = np.frombuffer(json.dumps(header).encode(), np.uint8)
            np.savez(stream, allow_pickle=False, header=encoded, **arrays)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        report(f"{path.parent}: cache not written ({error.strerror}); going on without it")


def read_arrays(path: Path, report: Report) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """Return (header, arrays) of a cache file, or None where it is missing or damaged (which is reported)."""
    try:
        # Opened here: np.load leaves a damaged file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return json.loads(arrays.pop("header").tobytes()), arrays
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        report(f"{path}: damaged cache file ({type(error).__name__}); made anew")
        return None


_SPLIT_FIELDS = ("ids", "offsets", "labels", "starts")


def as_arrays(corpus: Corpus) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A prepared corpus as a JSON header and arrays."""
    header = {
        "name": corpus.name,
        "language": corpus.language,
        "labels": corpus.labels,
        "words": corpus.words,
        "fingerprint": corpus.fingerprint,
        "notes": corpus.notes,
    }
    arrays = {
        f"{part}_{field}": getattr(split, field)
        for part, split in corpus.parts.items()
        for field in _SPLIT_FIELDS
    }
    return header, arrays


def from_arrays(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Corpus:
    """The corpus of `as_arrays`. Raises `KeyError` where a part of it is missing."""
    parts = {
        part: Split(**{field: arrays[f"{part}_{field}"] for field in _SPLIT_FIELDS})
        for part in ("train", "validation", "test")
    }
    return Corpus(
        name=header["name"],
        language=header["language"],
        fingerprint=header["fingerprint"],
        labels=tuple(header["labels"]),
        words=tuple(header["words"]),
        notes=tuple(header["notes"]),
        **parts,
    )


def write_corpus(path: Path, corpus: Corpus, report: Report) -> None:
    """Write a prepared corpus."""
    write_arrays(path, *as_arrays(corpus), report)


def read_corpus(path: Path, report: Report) -> Corpus | None:
    """Return the prepared corpus of a cache file, or None where it is missing or damaged."""
    if (stored := read_arrays(path, report)) is None:
        return None
    try:
        return from_arrays(*stored)
    except KeyError as error:
        report(f"{path}: cache file without {error}; made anew")
        return None


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Let one process at a time make this file; without a lock where none can be had (renaming is atomic)."""
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(path.name + ".lock"), timeout=600)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, Timeout):
        yield
        return
    try:
        yield
    finally:
        lock.release()
