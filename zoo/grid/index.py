"""What is known of the files of a results folder, so that each is checked once and not in every run.

The index is a help and never a source: an entry counts only while its file has the inode, size and times that
it had when it was read. It may be deleted at any time; whoever next reads the folder makes it anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from functools import cache
from pathlib import Path
from typing import NamedTuple

from zoo.core import result_check
from zoo.core.result import Result

FILE = ".index.json"
WORTH = 500  # files read and not found in it, from which on it is written


class Version(NamedTuple):
    """One version of a file. The inode tells what was renamed into its place, the last what was set back."""

    inode: int
    size: int
    written_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Version:
        """From what the system says."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Facts(NamedTuple):
    """What a run asks of a result before it computes anything."""

    done: bool
    processor: str | None

    @classmethod
    def of(cls, result: Result) -> Facts:
        """From the result."""
        return cls(result.done, result.machine.processor)


class Index:
    """The facts of one folder's files by cell, each with the version that they were read from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, tuple[Version, Facts]] = {}
        self._new = 0
        # Missing, half-written, of other checks: it is made anew.
        with contextlib.suppress(OSError, ValueError, TypeError, LookupError, AttributeError):
            self._known = _read(folder / FILE)

    def get(self, cell_id: str, version: Version) -> Facts | None:
        """The facts of a file that is as it was; None: it has to be read."""
        found = self._known.get(cell_id)
        return found[1] if found is not None and found[0] == version else None

    def put(self, cell_id: str, version: Version, facts: Facts) -> None:
        """Note what was read; `version` is from before the reading."""
        self._known[cell_id] = version, facts
        self._new += 1

    def save(self) -> None:
        """Write it, if that is worth it. Where it cannot be written the next run reads more, no worse."""
        if self._new < max(WORTH, len(self._known) // 20):
            return
        processors = sorted({facts.processor or "" for _, facts in self._known.values()})
        number = {name: i for i, name in enumerate(processors)}
        files = {
            name: [*version, facts.done, number[facts.processor or ""]]
            for name, (version, facts) in self._known.items()
        }
        content = {"checks": _checks(), "processors": processors, "files": files}
        temporary = self.folder / f"{FILE}.{socket.gethostname()}.{os.getpid()}.tmp"
        with contextlib.suppress(OSError):
            try:
                temporary.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
                os.replace(temporary, self.folder / FILE)
                self._new = 0
            finally:
                temporary.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, tuple[Version, Facts]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["checks"] != _checks():
        return {}
    processors = [name or None for name in content["processors"]]
    return {
        name: (Version(*row[:4]), Facts(row[4] is True, processors[row[5]]))
        for name, row in content["files"].items()
    }


@cache
def _checks() -> str:
    """Tells one version of the checks that a file has passed from the next."""
    return hashlib.sha256(Path(result_check.__file__).read_bytes()).hexdigest()[:16]
