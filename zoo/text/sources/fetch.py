"""Fetching a published file once: resumed where it stopped, checked, and renamed only when it is whole."""

from __future__ import annotations

import hashlib
import http.client
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.text.cache import only_one
from zoo.text.settings import Report

MOST_BYTES = 2**30
TRIES = 4
TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Remote:
    """A published file; an empty checksum or 0 bytes means that it is not known."""

    file: str
    url: str
    bytes: int = 0
    md5: str = ""
    sha256: str = ""

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Remote:
        """Return the remote file of a card's [[archive]] entry."""
        return cls(**{key: entry[key] for key in ("file", "url", "bytes", "md5", "sha256") if key in entry})


class _Again(Exception):
    """The server or the line failed in a way that a further try may mend, unless it is hopeless."""

    def __init__(self, reason: str, hopeless: bool = False) -> None:
        super().__init__(reason)
        self.hopeless = hopeless


def fetch(remote: Remote, folder: Path, report: Report, wait: float = 1.0) -> Path:
    """Return the file in `folder`, fetching it if it is not there yet.

    An interrupted fetch leaves `<file>.part` and goes on from there (HTTP Range, only if the server says that
    its file is still the same). wait: seconds before the second try, doubled each time.
    Raises `UserError` for no connection, a wrong address, a wrong size or a wrong checksum.
    """
    target = folder / remote.file
    if target.is_file():
        return target
    if not remote.url.startswith(("https://", "http://")):
        raise UserError(f"{remote.file}: address {remote.url!r} cannot be fetched; expected http or https")
    with only_one(target):
        if target.is_file():
            return target
        folder.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        for attempt in range(TRIES):
            try:
                _download(remote, part, report)
                break
            except _Again as error:
                if attempt == TRIES - 1 or error.hopeless:
                    help_ = "expected a network connection, or --data-dir with a folder that has the corpus"
                    raise UserError(f"{remote.url}: cannot be fetched ({error}); {help_}") from None
                report(f"{remote.file}: {error}; trying again in {wait:g} s")
                time.sleep(wait)
                wait *= 2
        _check(remote, part, report)
        part.replace(target)
        _tag(part).unlink(missing_ok=True)
    return target


def _tag(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _download(remote: Remote, part: Path, report: Report) -> None:
    """Append to `part` what it lacks, or write it anew where the server does not resume."""
    have = part.stat().st_size if part.is_file() else 0
    tag = _tag(part).read_text() if _tag(part).is_file() else ""
    request = urllib.request.Request(remote.url, headers={"User-Agent": "uegr-zoo"})
    if have and tag:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(
                f"bytes {have}-"
            )
            if not resumed:
                have = 0
            tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            # A weak tag does not promise the same bytes, so it cannot be resumed on.
            _tag(part).write_text("" if tag.startswith("W/") else tag)
            length = int(answer.headers.get("Content-Length") or 0)
            total = have + length if length else remote.bytes
            with part.open("ab" if resumed else "wb") as out:
                _copy(answer, out, have, total, remote, report)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            part.unlink(missing_ok=True)
            raise _Again("the server refuses to resume") from None
        if error.code in (408, 425, 429, 500, 502, 503, 504):
            raise _Again(f"HTTP {error.code}") from None
        raise UserError(
            f"{remote.url}: HTTP {error.code} {error.reason}; expected the published file"
        ) from None
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        # A machine that cannot look up names has no network; no use in waiting.
        raise _Again(str(reason), hopeless=isinstance(reason, socket.gaierror)) from None
    except OSError as error:
        raise UserError(f"{part}: cannot be written ({error.strerror or error})") from None


def _copy(answer: Any, out: Any, have: int, total: int, remote: Remote, report: Report) -> None:
    limit = remote.bytes or MOST_BYTES
    begun = last = time.monotonic()
    first = have
    while chunk := answer.read(_CHUNK):
        out.write(chunk)
        have += len(chunk)
        if have > limit:
            out.truncate(0)
            raise UserError(
                f"{remote.url}: more than {limit:,} bytes; expected {remote.bytes or 'at most that'}"
            )
        now = time.monotonic()
        if now - last > 1:
            last = now
            report(f"{remote.file}: {_bar(have, total)} {_rate(have - first, total - have, now - begun)}")
    if total and have < total:
        raise _Again(f"the connection ended after {have:,} of {total:,} bytes")


def _bar(have: int, total: int, width: int = 20) -> str:
    if not total:
        return f"{have / 1e6:.1f} MB"
    full = min(width, width * have // total)
    return f"[{'#' * full}{'.' * (width - full)}] {have / 1e6:.1f} of {total / 1e6:.1f} MB"


def _rate(got: int, left: int, seconds: float) -> str:
    speed = got / max(seconds, 1e-9)
    return f"{speed / 1e6:.1f} MB/s" + (f", {left / speed:.0f} s left" if left > 0 and speed > 0 else "")


def _check(remote: Remote, part: Path, report: Report) -> None:
    size = part.stat().st_size
    found = {"bytes": str(size)}
    wanted = {"bytes": str(remote.bytes or size)}
    for kind, published in (("md5", remote.md5), ("sha256", remote.sha256)):
        with part.open("rb") as stream:
            found[kind] = hashlib.file_digest(stream, kind).hexdigest()
        wanted[kind] = published or found[kind]
    for kind, value in wanted.items():
        if value != found[kind]:
            part.unlink()
            _tag(part).unlink(missing_ok=True)
            raise UserError(
                f"{remote.url}: {kind} is {found[kind]}; expected {value} (removed, nothing kept)"
            )
    if not (remote.md5 or remote.sha256):
        report(f"{remote.file}: no checksum is published; the fetched file's sha256 is {found['sha256']}")
