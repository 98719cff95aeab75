"""A trained network as a folder: `model.json` and `weights.safetensors`, each with a checksum. No pickle.

A folder is there as a whole or not at all: written beside its place under a temporary name, then renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.core.errors import UserError
from zoo.core.identity import canonical_json, plain
from zoo.training.cell import write_weights

WHAT = "uegr text classifier"
FORMAT = 1
MODEL, WEIGHTS = "model.json", "weights.safetensors"
_OURS = "expected a folder that TextClassifier.save, zoo.fit or zoo.ablate --save-models has written"


@dataclass(frozen=True)
class Files:
    """What a folder holds. values: plain JSON types. weights: by name, as in a state dict."""

    values: Mapping[str, Any]
    weights: Mapping[str, Tensor]


def check_place(folder: Path) -> None:
    """Raise `UserError` where `write` would: cheap, so that nobody trains for nothing."""
    if folder.is_symlink() and not folder.exists():
        raise UserError(f"{folder}: a link that leads nowhere; expected a new folder")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; expected a new folder")
    if folder.is_dir() and (there := sorted(os.listdir(folder))):
        strange = [name for name in there if name not in (MODEL, WEIGHTS)]
        if strange or not _is_ours(folder):
            raise UserError(
                f"{folder}: holds {(strange or there)[0]} and is kept; expected a new folder, or one "
                "with a saved model and nothing else"
            )
    above = next(path for path in folder.absolute().parents if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UserError(f"{folder}: cannot be made in {above}; expected a place to write to")


def write(folder: Path, files: Files) -> None:
    """Write a folder, in place of an older model of ours that it holds.

    Raises:
        UserError: it holds something else, or cannot be written.
    """
    check_place(folder)
    place = folder.resolve()
    temporary, old = (place.with_name(f".{place.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    try:
        temporary.mkdir(parents=True)
        write_weights(files.weights, temporary / WEIGHTS)
        values: dict[str, Any] = {
            "what": WHAT,
            "format": FORMAT,
            "weights_sha256": _sha256((temporary / WEIGHTS).read_bytes()),
            **plain(files.values),
        }
        values["checksum"] = _checksum(values)
        text = json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
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


def read(folder: Path) -> Files:
    """What a folder holds, every byte of it checked.

    Raises:
        UserError: no such folder, not one of ours, damaged, or of a newer version.
    """
    values = _values(folder)
    try:
        data = (folder / WEIGHTS).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{folder}: holds no {WEIGHTS}; {_OURS}") from None
    except OSError as error:
        raise UserError(f"{folder / WEIGHTS}: cannot be read ({error.strerror}); {_OURS}") from None
    if _sha256(data) != values.pop("weights_sha256", ""):
        raise UserError(f"{folder / WEIGHTS}: damaged (its checksum is not that of {MODEL}); {_OURS}")
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return Files(values, load(data))
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{folder / WEIGHTS}: no safetensors ({error}); {_OURS}") from None


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
    if version != FORMAT or checksum != _checksum({"what": WHAT, "format": version, **values}):
        raise UserError(f"{path}: damaged, or changed by hand (its checksum is another); {_OURS}")
    return values


def _is_ours(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / MODEL).read_text("utf-8"))["what"] == WHAT)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _checksum(values: Mapping[str, Any]) -> str:
    return _sha256(canonical_json(values).encode())
