"""The results folder: one JSON file a cell, and the files are the only state of a grid.

A file is written under a temporary name, flushed to the disk and renamed, so a reader sees a whole result or
none, also after `kill -9`. Who runs a cell first claims it: a lock that the operating system drops when its
process dies, so two runners on one folder never compute the same cell and a killed one blocks nobody.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from zoo.core.errors import UserError, check_name, write_through
from zoo.core.identity import SCHEMA, plain
from zoo.core.result import Result, Shared
from zoo.core.result_check import REMEDY
from zoo.grid.index import Facts, Index, Version

__all__ = ["Pending", "Stamp", "Store", "as_text", "from_text"]

WRITING = ".writing"  # a folder apart, so that looking for what was left behind costs the same in any grid
Stamp = tuple[int, int]  # tells one version of a file from the next
# The cells that a run has to run, each with the version of its file that does not count (None: no file).
# Another version settles the cell, whoever wrote it.
Pending = dict[str, Stamp | None]


class Store:
    """The results of a grid in one folder. The folder is made when something is first written or claimed.

    Raises:
        UserError: the folder, or one that it would lie in, is a file; or its name is not UTF-8.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        check_name(self.folder)
        for path in (self.folder, *self.folder.parents):
            if path.exists() and not path.is_dir():
                where = "" if path == self.folder else f"{self.folder}: "
                raise UserError(
                    f"{where}{path}: the results folder is a file; expected a folder or a new name"
                )

    def path(self, cell_id: str) -> Path:
        """The file of a cell, whether it exists or not.

        Raises:
            UserError: this is no name of a cell.
        """
        if not cell_id or Path(cell_id).name != cell_id:
            raise UserError(f"cell {cell_id!r}: expected the name of a cell, without a folder")
        return self.folder / f"{cell_id}.json"

    def make(self) -> None:
        """Make the folder, and see that it can be written to: better now than after the first cell.

        Raises:
            UserError: it cannot.
        """
        self._make(self.folder)
        probe = self.folder / self._temporary("probe")
        try:
            with self._complaints():
                probe.write_text("")
        finally:
            probe.unlink(missing_ok=True)

    def write(self, result: Result) -> Path:
        """Write one result so that it is there as a whole or not at all; an older one is replaced.

        But not by a failure, where a finished cell was run again: its result is then written anew as it was,
        so that the cell is settled.

        Raises:
            UserError: the disk is full or the folder cannot be written to; nothing half-written is left.
        """
        content, target = as_text(result), self.path(result.id)
        if not result.done and self.done(result.id):
            content = target.read_text(encoding="utf-8")
        self._make(self.folder / WRITING)
        temporary = self.folder / WRITING / self._temporary(result.id)
        with self._complaints():
            write_through(temporary, target, content.encode())
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

    def done(self, cell_id: str) -> bool:
        """Whether the cell has a result that is no failure."""
        return self.path(cell_id).exists() and self.read(cell_id).done

    def pending(self, cell_ids: Iterable[str], counts: Callable[[Facts], bool]) -> Pending:
        """The cells that have no result which `counts`.

        Raises:
            UserError: a file is not a result.
        """
        stamps: Pending = {}
        index = Index(self.folder)
        for cell_id in cell_ids:
            stamp = self.stamp(cell_id)
            if stamp is None or not counts(self._facts(cell_id, index)):
                stamps[cell_id] = stamp
        index.save()
        return stamps

    def check(self) -> None:
        """See that every file is a result; those that were found to be one, and have not changed, are.

        Raises:
            UserError: one is not; the line names it and says what to do.
        """
        index = Index(self.folder)
        for cell_id in self.names():
            self._facts(cell_id, index)
        index.save()

    def _facts(self, cell_id: str, index: Index) -> Facts:
        path = self.path(cell_id)
        try:
            version = Version.of(path.stat())
        except OSError:  # removed just now, or not to be looked at: reading says which
            return Facts.of(self.read(cell_id))
        facts = index.get(cell_id, version)
        if facts is None:
            facts = Facts.of(_load(path))
            index.put(cell_id, version, facts)
        return facts

    def settled(self, cell_id: str, pending: Pending) -> bool:
        """Whether a cell needs no run: it needed none, or somebody has written its result since."""
        return cell_id not in pending or self.stamp(cell_id) not in (None, pending[cell_id])

    def stamp(self, cell_id: str) -> Stamp | None:
        """What tells this version of a cell's file from the next; None: there is no file."""
        try:
            status = self.path(cell_id).stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    @contextlib.contextmanager
    def claim(self, cell_id: str) -> Iterator[bool]:
        """Try to become the one who runs this cell: yields True, or False at once if another process has it.

        Ask again inside the claim whether the cell needs a run: another runner may have finished it just
        before. The claim ends with the `with` block and with the death of the process, however it dies.
        """
        from filelock import FileLock, Timeout

        claims = self.folder / ".claims"
        self._make(claims)
        lock = FileLock(claims / f"{cell_id}.lock", timeout=0)
        try:
            with self._complaints():
                lock.acquire()
        except Timeout:
            yield False
            return
        try:
            self._sweep()
            yield True
        finally:
            lock.release()

    def names(self) -> list[str]:
        """The cells that have a file, in order. A folder that does not exist yet has none."""
        if not self.folder.is_dir():
            return []
        with os.scandir(self.folder) as entries:
            files = sorted(e.name for e in entries if e.name.endswith(".json") and e.name[0] != ".")
        return [name.removesuffix(".json") for name in files]

    def cells(self) -> Iterator[Result]:
        """All results, by file name.

        Raises:
            UserError: a `.json` file of the folder is not a result; the line names it and says what to do.
        """
        yield from self.read_all(self.names())

    def read_all(self, cell_ids: Iterable[str]) -> Iterator[Result]:
        """The results of these cells; what has been checked and has not changed since is not checked again.

        Raises:
            UserError: one is missing, or not a result.
        """
        index, shared = Index(self.folder), Shared()
        for cell_id in cell_ids:
            path = self.path(cell_id)
            try:
                version = Version.of(path.stat())
            except OSError:
                yield self.read(cell_id)  # it says what is wrong
                continue
            known = index.get(cell_id, version) is not None
            result = _load(path, known, shared)
            if not known:
                index.put(cell_id, version, Facts.of(result))
            yield result
        index.save()

    def _temporary(self, cell_id: str) -> str:
        # Machine and process keep two writers apart; the dot and the ending keep `cells` from reading it.
        return f".{cell_id}.{_here()}.{os.getpid()}.tmp"

    def _sweep(self) -> None:
        """Remove what killed writers of this machine left; nothing that is being written."""
        here = f".{_here()}."
        for leftover in (self.folder / WRITING).glob(".*.tmp"):
            _, named, process = leftover.name.removesuffix(".tmp").rpartition(here)
            if named and process.isdigit() and not _alive(int(process)):
                leftover.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _complaints(self) -> Iterator[None]:
        from filelock import Timeout

        try:
            yield
        except Timeout:  # an OSError, but no complaint
            raise
        except OSError as error:
            raise UserError(
                f"{self.folder}: cannot write a result ({error.strerror or error}); finished cells are kept, "
                "expected a folder to write to with room in it"
            ) from None

    @staticmethod
    def _make(folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot make the results folder ({error.strerror}); expected a place to write to"
            ) from None


def as_text(result: Result) -> str:
    """The content of a result's file."""
    values = plain({"schema": SCHEMA, **result.as_json()})
    return json.dumps(values, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def from_text(text: str, where: str, known: bool = False, shared: Shared | None = None) -> Result:
    """The result of `as_text`, every part of it checked.

    Args:
        where: names the file, or whoever sent it, in messages.
        known: it has passed the checks before.
        shared: see `Result.from_json`.

    Raises:
        UserError: not a result.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}, line {error.lineno}: broken JSON ({error.msg}); {REMEDY}") from None
    except RecursionError:
        raise UserError(f"{where}: JSON nested too deeply; {REMEDY}") from None
    return Result.from_json(values, where, known, shared)


def _load(path: Path, known: bool = False, shared: Shared | None = None) -> Result:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; {REMEDY}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected the result of a cell") from None
    result = from_text(text, str(path), known, shared)
    if result.id != path.stem:
        raise UserError(f"{path}: holds the cell {result.id!r}; expected the one of its name, {REMEDY}")
    return result


def _here() -> str:
    """This machine, by name and by the space of its processes: a container sees its own alone."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:  # not Linux
        return socket.gethostname()
    return f"{socket.gethostname()}-{space}"


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    try:  # a process that nobody has waited for yet is dead
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):  # not Linux
        return True
