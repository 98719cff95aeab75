"""Safe unpacking of tar and zip archives: only what is asked for, only plain files, only below the target."""

from __future__ import annotations

import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO

from zoo.core.errors import UserError

MOST_FILES = 200_000
MOST_BYTES = 2 * 2**30
_CHUNK = 1 << 20


def unpack(archive: Path, target: Path, wanted: Callable[[PurePosixPath], bool]) -> None:
    """Unpack the wanted files of an archive (.tar.gz, .tgz, .tar, .zip) into the new folder `target`.

    The folder appears under its name when it is complete. Raises `UserError` for a broken archive, one
    without a wanted file, one with a path outside of itself, a link or a device, or one beyond MOST_FILES
    files or MOST_BYTES bytes unpacked.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=target.name + "."))
    try:
        written = files = 0
        members = _zip_members(archive) if archive.suffix == ".zip" else _tar_members(archive)
        with closing(members):
            for name, stream in members:
                path = _safe(archive, name)
                if not wanted(path):
                    continue
                files += 1
                destination = temporary / path
                destination.parent.mkdir(parents=True, exist_ok=True)
                with destination.open("xb") as out:
                    chunk: bytes | None = None
                    while chunk != b"":  # an empty file counts too
                        chunk = stream.read(_CHUNK)
                        written += len(chunk)
                        # Counted as it is written: the size an archive states of itself proves nothing.
                        if files > MOST_FILES or written > MOST_BYTES:
                            raise UserError(
                                f"{archive}: more than {MOST_FILES:,} files or {MOST_BYTES:,} bytes"
                            )
                        out.write(chunk)
        if not files:
            raise UserError(
                f"{archive}: none of the expected files is in it; expected the archive as published"
            )
        if not target.exists():
            temporary.rename(target)
    except FileExistsError as error:
        raise UserError(
            f"{archive}: holds {Path(error.filename).name} twice; expected distinct files"
        ) from None
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise UserError(f"{archive}: broken archive ({error}); expected it as published") from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{archive}: cannot be unpacked into {target.parent} ({reason})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise UserError(f"{archive}: member {name!r} points outside of the archive; not unpacked")
    return path


def _tar_members(archive: Path) -> Generator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            if member.isdir():
                continue
            if not member.isreg():
                raise UserError(f"{archive}: member {member.name!r} is a link or a device; not unpacked")
            stream = tar.extractfile(member)
            assert stream is not None  # regular files have one
            yield member.name, stream


def _zip_members(archive: Path) -> Generator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as whole:
        for member in whole.infolist():
            if member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise UserError(f"{archive}: member {member.filename!r} is a link or a device; not unpacked")
            with whole.open(member) as stream:
                yield member.filename, stream
