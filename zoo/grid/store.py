"""The results folder: one JSON file a cell, and the files are the only state of a grid.

A file is written under a temporary name, flushed to the disk and renamed, so a reader sees a whole result or
none, also after `kill -9`. Who runs a cell first claims it: a lock that the operating system drops when its
process dies, so two runners on one folder never compute the same cell and a killed one blocks nobody.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import math
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.core.errors import UserError

__all__ = ["Store", "canonical_json", "cell_id", "decode_classes", "encode_classes"]

Result = dict[str, Any]
_LARGEST = 2**16 - 1
_NEEDED = ("id", "cell", "status")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal content gives equal text, in every process.

    Tuples become lists, numpy scalars Python numbers, paths text, NaN and the infinities null.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def cell_id(cell: Mapping[str, Any], settings: Mapping[str, Any], fingerprint: str) -> str:
    """The name of a cell: `<corpus>-<arch>-<recipe>-s<seed>[-f<fold>]-<hash8>`.

    Args:
        cell: `corpus`, `arch`, `recipe`, `seed` and, under cross-validation only, `fold` (None or absent: the
            fixed split).
        settings: everything that changes the result, nested; it enters the hash alone.
        fingerprint: that of the prepared corpus.

    The hash is the first 8 hex digits of SHA-256 over the canonical JSON of all three.
    """
    content = {"cell": {**cell, "fold": cell.get("fold")}, "settings": settings, "fingerprint": fingerprint}
    digest = hashlib.sha256(canonical_json(content).encode()).hexdigest()[:8]
    parts = [_file_name_part(str(cell[key])) for key in ("corpus", "arch", "recipe")]
    parts.append(f"s{int(cell['seed'])}")
    if cell.get("fold") is not None:
        parts.append(f"f{int(cell['fold'])}")
    return "-".join([*parts, digest])


def encode_classes(classes: np.ndarray) -> str:
    """Class indices (n,) of 0..65535 as base64 of zlib of little-endian uint16."""
    array = np.asarray(classes)
    if array.ndim != 1 or (array.size and (array.min() < 0 or array.max() > _LARGEST)):
        raise ValueError(f"classes must be one row of integers in 0..{_LARGEST}, got shape {array.shape}")
    return base64.b64encode(zlib.compress(array.astype("<u2").tobytes(), 9)).decode("ascii")


def decode_classes(text: str) -> np.ndarray:
    """The inverse of `encode_classes`: int64 array (n,)."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), dtype="<u2").astype(np.int64)


class Store:
    """The results of a grid in one folder. The folder is made when something is first written or claimed."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{self.folder}: the results folder is a file; expected a folder or a new name")

    def path(self, cell_id: str) -> Path:
        """The file of a cell, whether it exists or not."""
        return self.folder / f"{cell_id}.json"

    def write(self, result: Mapping[str, Any]) -> Path:
        """Write one result so that it is there as a whole or not at all; an older one is replaced."""
        missing = [key for key in _NEEDED if key not in result]
        if missing:
            raise ValueError(f"result lacks {missing}; a result needs at least {list(_NEEDED)}")
        target = self.path(result["id"])
        self._make(self.folder)
        # The process id keeps two writers apart; the dot and the ending keep `cells` from reading it.
        temporary = self.folder / f".{result['id']}.{os.getpid()}.tmp"
        try:
            with open(temporary, "w", encoding="utf-8") as file:
                json.dump(_plain(dict(result)), file, ensure_ascii=False, allow_nan=False, indent=1)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(self.folder)
        return target

    def read(self, cell_id: str) -> Result:
        """The result of one cell.

        Raises:
            UserError: there is none, or the file is not a result.
        """
        path = self.path(cell_id)
        if not path.exists():
            raise UserError(
                f"{self.folder}: no result of the cell {cell_id!r}; expected the file {path.name}"
            )
        return _load(path)

    def done(self, cell_id: str, *, failed_counts: bool = False) -> bool:
        """Whether the cell needs no further run. A failed one does, unless `failed_counts`."""
        path = self.path(cell_id)
        return path.exists() and (_load(path)["status"] == "done" or failed_counts)

    @contextlib.contextmanager
    def claim(self, cell_id: str) -> Iterator[bool]:
        """Try to become the one who runs this cell: yields True, or False at once if another process has it.

        Ask `done` again inside the claim: another runner may have finished the cell just before. The claim
        ends with the `with` block and with the death of the process, however it dies.
        """
        from filelock import FileLock, Timeout

        claims = self.folder / ".claims"
        self._make(claims)
        lock = FileLock(claims / f"{cell_id}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            # Who holds the claim is the only writer, so these are what a killed one left behind.
            for leftover in self.folder.glob(f".{cell_id}.*.tmp"):
                leftover.unlink()
            yield True
        finally:
            lock.release()

    def cells(self) -> Iterator[Result]:
        """All results, by file name. A folder that does not exist yet has none.

        Raises:
            UserError: a `.json` file of the folder is not a result; the line names it and says what to do.
        """
        for path in sorted(self.folder.glob("[!.]*.json")):
            yield _load(path)

    @staticmethod
    def _make(folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot make the results folder ({error.strerror}); expected a place to write to"
            ) from None


def _load(path: Path) -> Result:
    remedy = "delete the file and run again, the cell will be repeated"
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: broken JSON ({error.msg}); {remedy}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; {remedy}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected the result of a cell") from None
    if not isinstance(result, dict) or any(key not in result for key in _NEEDED):
        raise UserError(
            f"{path}: not the result of a cell (expected the keys {', '.join(_NEEDED)}); "
            "delete the file or move it out of the results folder"
        )
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def _file_name_part(text: str) -> str:
    # A corpus may be named by a path of the user's own; "-" (no arch) must not run into the separators.
    return re.sub(r"[^\w.+]+", "_", text).strip("._")[-60:] or "none"


def _sync_folder(folder: Path) -> None:
    # After a power cut the rename itself must have reached the disk. Windows has no such call.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
