"""A trained network as a folder: `model.json`, and the files that it names with their checksums. No pickle.

A folder is there as a whole or not at all: written beside its place under a temporary name, then renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError, check_name
from zoo.core.identity import canonical_json, plain

WHAT = "uegr text classifier"
FORMAT = 2
MODEL, WEIGHTS = "model.json", "weights.safetensors"
_OURS = "expected a folder that TextClassifier.save, zoo.fit or zoo.ablate --save-models has written"


def check_place(folder: Path) -> None:
    """Raise `UserError` where `write` would: cheap, so that nobody trains for nothing."""
    check_name(folder)
    if folder.is_symlink() and not folder.exists():
        raise UserError(f"{folder}: a link that leads nowhere; expected a new folder")
    if os.path.ismount(folder):
        raise UserError(f"{folder}: a mount point, which no new folder can replace; expected a folder in it")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; expected a new folder")
    if folder.is_dir() and (there := sorted(os.listdir(folder))):
        ours = _named(folder)
        strange = [name for name in there if name not in (MODEL, *(ours or (WEIGHTS,)))]
        if strange or ours is None:
            raise UserError(
                f"{folder}: holds {(strange or there)[0]} and is kept; expected a new folder, or one "
                "with a saved model and nothing else"
            )
    above = next(path for path in folder.absolute().parents if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UserError(f"{folder}: cannot be made in {above}; expected a place to write to")


def write(folder: Path, values: Mapping[str, Any], put: Callable[[Path], None]) -> None:
    """Write a folder, in place of an older model of ours that it holds.

    Args:
        values: plain JSON types, for `model.json`.
        put: writes all other files into the folder that it is given.

    Raises:
        UserError: it holds something else, or cannot be written.
    """
    check_place(folder)
    place = folder.resolve()
    # In containers of its own each process has the same number.
    mark = secrets.token_hex(4)
    temporary, old = (place.with_name(f".{place.name}.{mark}.{end}") for end in ("tmp", "old"))
    try:
        temporary.mkdir(parents=True)
        put(temporary)
        files = {path.name: _sha256_of(path) for path in sorted(temporary.iterdir())}
        whole: dict[str, Any] = {"what": WHAT, "format": FORMAT, "files": files, **plain(values)}
        whole["checksum"] = _checksum(whole)
        text = json.dumps(whole, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        (temporary / MODEL).write_bytes(text.encode("utf-8", "surrogatepass"))
        _put(temporary, place, old)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror or error}); expected room to write"
        ) from None
    finally:
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _put(new: Path, place: Path, old: Path) -> None:
    """Rename `new` to `place`; what was there goes to `old`, and back again if that fails."""
    if place.exists():
        os.replace(place, old)
    try:
        os.replace(new, place)
    except OSError:
        if old.exists():
            os.replace(old, place)
        raise


def read(folder: Path) -> dict[str, Any]:
    """The values of a folder, every byte of all its files checked; `files` has their names.

    Raises:
        UserError: no such folder, not one of ours, damaged, or of a newer version.
    """
    values = _values(folder)
    files = values.pop("files", None)
    if files is None:  # format 1
        files = {WEIGHTS: values.pop("weights_sha256", "")}
    if not isinstance(files, dict) or any(Path(name).name != name for name in files):
        raise UserError(f"{folder / MODEL}: names no files; {_OURS}")
    for name, expected in files.items():
        try:
            found = _sha256_of(folder / name)
        except FileNotFoundError:
            raise UserError(f"{folder}: holds no {name}; {_OURS}") from None
        except OSError as error:
            raise UserError(f"{folder / name}: cannot be read ({error.strerror}); {_OURS}") from None
        if found != expected:
            raise UserError(f"{folder / name}: damaged (its checksum is not that of {MODEL}); {_OURS}")
    return {**values, "files": list(files)}


def _values(folder: Path) -> dict[str, Any]:
    path = folder / MODEL
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise UserError(f"{folder}: {what}; {_OURS}")
    try:
        values = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    except FileNotFoundError:
        raise UserError(f"{folder}: holds no {MODEL}; {_OURS}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {_OURS}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged, not JSON ({error}); {_OURS}") from None
    if not isinstance(values, dict) or values.pop("what", None) != WHAT:
        raise UserError(f"{path}: not a model of this program; {_OURS}")
    version = values.pop("format", None)
    if isinstance(version, int) and version > FORMAT:
        by = (values.get("made_by") or {}).get("version", "a newer one")
        raise UserError(
            f"{path}: of format {version}, written by uegr {by}; this one reads up to {FORMAT}: expected a "
            "newer uegr (pip install -U uegr)"
        )
    checksum = values.pop("checksum", None)
    if version not in (1, FORMAT) or checksum != _checksum({"what": WHAT, "format": version, **values}):
        raise UserError(f"{path}: damaged, or changed by hand (its checksum is another); {_OURS}")
    return values


def _named(folder: Path) -> list[str] | None:
    """The files that a folder's `model.json` names; None where it is not one of ours."""
    try:
        values = json.loads((folder / MODEL).read_text("utf-8"))
        return list(values.get("files", {WEIGHTS: ""})) if values["what"] == WHAT else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()
