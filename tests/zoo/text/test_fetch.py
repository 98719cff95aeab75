"""Fetching from a server of the test on 127.0.0.1: whole, resumed, damaged, missing."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.text import TextSettings, load_card, load_corpus
from zoo.text.settings import silent
from zoo.text.sources.fetch import Remote, fetch

from .published import pack, write_clue  # type: ignore[import-not-found]

CONTENT = bytes(range(256)) * 4000


class Server(ThreadingHTTPServer):
    """Serves `content`; `cut` bytes first and then a closed connection, `faults` times."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.cut, self.faults, self.status = CONTENT, '"one"', 0, 0, 200
        self.ranges: list[str | None] = []

    def remote(self, **fields: object) -> Remote:
        url = f"http://127.0.0.1:{self.server_address[1]}/file"
        checks = {"bytes": len(self.content), "sha256": hashlib.sha256(self.content).hexdigest()}
        return Remote("file.bin", url, **{**checks, **fields})  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.ranges.append(wanted)
        if server.status != 200:
            self.send_error(server.status)
            return
        # A server that is not told which file it was goes on in whatever file it has now.
        resumes = wanted is not None and self.headers.get("If-Range") in (None, server.tag)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and resumes else 0
        body = server.content[start:]
        self.send_response(206 if resumes else 200)
        if resumes:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        if server.tag:
            self.send_header("ETag", server.tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.faults:
            server.faults -= 1
            body = body[: server.cut]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_fetched_once(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        assert fetch(server.remote(), tmp_path, silent).read_bytes() == CONTENT
    assert server.ranges == [None]
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == ["file.bin"]


def test_broken_connection_is_resumed(server: Server, tmp_path: Path) -> None:
    server.cut, server.faults = 300_000, 2
    lines: list[str] = []
    assert fetch(server.remote(), tmp_path, lines.append, wait=0).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]
    assert sum("trying again" in line for line in lines) == 2


def test_resumed_by_a_later_call(server: Server, tmp_path: Path) -> None:
    server.cut, server.faults = 100_000, 4
    with pytest.raises(UserError, match=r"connection ended .*--data-dir"):
        fetch(server.remote(), tmp_path, silent, wait=0)
    assert (tmp_path / "file.bin.part").is_file()
    assert not (tmp_path / "file.bin").exists()
    assert fetch(server.remote(), tmp_path, silent).read_bytes() == CONTENT
    assert server.ranges[-1] != "bytes=0-"


def test_changed_file_is_not_resumed(server: Server, tmp_path: Path) -> None:
    server.cut, server.faults = 100_000, 4
    with pytest.raises(UserError):
        fetch(server.remote(), tmp_path, silent, wait=0)
    server.content, server.tag = CONTENT[::-1], '"two"'
    assert fetch(server.remote(), tmp_path, silent).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("tag", ["", 'W/"one"'])
def test_without_a_tag_it_starts_again(server: Server, tmp_path: Path, tag: str) -> None:
    """A weak tag promises an equivalent file and not the same bytes."""
    server.cut, server.faults, server.tag = 300_000, 1, tag
    assert fetch(server.remote(), tmp_path, silent, wait=0).read_bytes() == CONTENT
    assert server.ranges == [None, None]


@pytest.mark.parametrize(
    ("field", "value"), [("md5", "0" * 32), ("sha256", "0" * 64), ("bytes", len(CONTENT) + 1)]
)
def test_wrong_content_is_refused_and_removed(
    server: Server, tmp_path: Path, field: str, value: object
) -> None:
    with pytest.raises(UserError, match=rf"{field} is \w+; expected {value}"):
        fetch(server.remote(**{field: value}), tmp_path, silent)
    assert [path for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_more_than_published_is_stopped(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="more than 1,000 bytes"):
        fetch(server.remote(bytes=1000), tmp_path, silent)


def test_unknown_checksum_is_told(server: Server, tmp_path: Path) -> None:
    lines: list[str] = []
    fetch(server.remote(bytes=0, sha256=""), tmp_path, lines.append)
    assert hashlib.sha256(CONTENT).hexdigest() in lines[-1]


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (503, 4), (416, 4)])
def test_server_errors(server: Server, tmp_path: Path, status: int, tries: int) -> None:
    server.status = status
    with pytest.raises(UserError, match="http://127"):
        fetch(server.remote(), tmp_path, silent, wait=0)
    assert len(server.ranges) == tries


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(UserError, match=r"cannot be fetched .*--data-dir"):
        fetch(Remote("x", "http://127.0.0.1:9/x"), tmp_path, silent, wait=0)
    with pytest.raises(UserError, match="expected http or https"):
        fetch(Remote("x", "file:///etc/passwd"), tmp_path, silent)


def test_progress_is_a_bar_with_rate_and_time() -> None:
    from zoo.text.sources.fetch import _bar, _rate

    assert _bar(25_000_000, 100_000_000) == "[#####...............] 25.0 of 100.0 MB"
    assert _rate(10_000_000, 50_000_000, 2.0) == "5.0 MB/s, 10 s left"


def test_corpus_is_fetched_where_no_folder_is_given(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UEGR_DATA", raising=False)
    server.content = pack(
        write_clue("tnews", tmp_path / "made"), tmp_path / "tnews_public.zip", top=False
    ).read_bytes()
    entry = {**dataclasses.asdict(server.remote()), "file": "tnews_public.zip"}
    card = dataclasses.replace(load_card("tnews"), archives=(entry,))
    monkeypatch.setattr("zoo.text.sources.find.load_card", lambda name: card)
    for _ in range(2):
        corpus = load_corpus("tnews", TextSettings(), cache_dir=tmp_path / "cache")
        assert [len(part) for part in corpus.parts.values()] == [54, 6, 60]
    assert server.ranges == [None]


def test_ag_news_is_fetched_as_two_files(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UEGR_DATA", raising=False)
    server.content = "".join(f'"{i % 4 + 1}","title {i}","text"\n' for i in range(80)).encode()
    entry = dataclasses.asdict(server.remote())
    archives = tuple({**entry, "file": f"{part}.csv"} for part in ("train", "test"))
    card = dataclasses.replace(load_card("ag_news"), archives=archives)
    monkeypatch.setattr("zoo.text.sources.find.load_card", lambda name: card)
    corpus = load_corpus("ag_news", TextSettings(), cache_dir=tmp_path / "cache")
    assert [len(part) for part in corpus.parts.values()] == [72, 8, 80]
