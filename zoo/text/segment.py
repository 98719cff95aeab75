"""Tokenising in several processes, where it lasts: contiguous shares of the texts, merged in their order.

The workers are plain `python -m zoo.text.segment` processes: nothing of the caller's program is run again in
them (as a spawned pool would) and none of its threads is copied (as a forked pool would).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import zoo
from zoo.core.processes import cores
from zoo.text import cache
from zoo.text.normalise import CHARACTERS_PER_TOKEN
from zoo.text.settings import Report, silent
from zoo.text.tokenise import Tokens, tokenise_all

# Characters a second of one process, and the seconds of work from which a second process pays for its start.
SPEED = {"jieba": 300_000, "words": 6_000_000, "characters": 8_000_000}
WORTH_SECONDS = 4.0
MOST_WORKERS = 8


def tokenise_rows(
    texts: Sequence[str],
    language: str,
    name: str,
    max_length: int,
    report: Report,
    what: str,
    workers: int | None = None,
) -> Tokens:
    """Tokenise texts; the outcome is the same whatever the number of workers (None: as many as pay)."""
    if workers is None:
        workers = _worth(texts, name, max_length)
    if workers < 2:
        return tokenise_all(texts, language, name, max_length, report, what)
    with tempfile.TemporaryDirectory(prefix="uegr-") as folder:
        shares = [texts[a:b] for a, b in _bounds(texts, workers)]
        jobs = []
        for number, share in enumerate(shares):
            path = Path(folder) / f"{number}.json"
            header = {"texts": share, "language": language, "name": name, "max_length": max_length}
            path.write_text(json.dumps(header))
            jobs.append(_start(path))
        try:
            begun = last = time.monotonic()
            while any(job.poll() is None for job in jobs):
                time.sleep(0.05)
                if time.monotonic() - last > 2:
                    last = time.monotonic()
                    doing = f"tokenising {len(texts):,} texts ({name}, {workers} processes)"
                    report(f"{what}: {doing}, {last - begun:.0f} s")
        finally:
            for job in jobs:
                job.kill()
                job.wait()
        parts = [read_tokens(Path(folder) / f"{number}.npz", silent) for number in range(len(jobs))]
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts):
        report(f"{what}: a tokenising process failed; going on in one process")
        return tokenise_all(texts, language, name, max_length, report, what)
    return merged(whole)


def merged(parts: Sequence[Tokens]) -> Tokens:
    """Return the tokens of all parts in one, forms numbered as they first appear."""
    numbers: dict[str, int] = {}
    ids = [
        np.array([numbers.setdefault(form, len(numbers)) for form in part.forms], np.int32)[part.ids]
        for part in parts
    ]
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    return Tokens(
        tuple(numbers), np.concatenate(ids), offsets, np.concatenate([part.starts for part in parts])
    )


def write_tokens(path: Path, tokens: Tokens, report: Report) -> None:
    """Write tokens as a cache file."""
    arrays = {"ids": tokens.ids, "offsets": tokens.offsets, "starts": tokens.starts}
    cache.write_arrays(path, {"forms": tokens.forms}, arrays, report)


def read_tokens(path: Path, report: Report) -> Tokens | None:
    """Return the tokens of a cache file, or None where it is missing or damaged."""
    if (stored := cache.read_arrays(path, report)) is None:
        return None
    header, arrays = stored
    return Tokens(tuple(header["forms"]), arrays["ids"], arrays["offsets"], arrays["starts"])


def _worth(texts: Sequence[str], name: str, max_length: int) -> int:
    """Return the number of processes that pays for these texts."""
    most = CHARACTERS_PER_TOKEN * max_length
    seconds = sum(min(len(text), most) for text in texts) / SPEED[name]
    if seconds < WORTH_SECONDS:
        return 1
    processors = cores()
    return min(processors, MOST_WORKERS, int(seconds // (WORTH_SECONDS / 2)), len(texts))


def _bounds(texts: Sequence[str], shares: int) -> list[tuple[int, int]]:
    """Return where to cut the texts into contiguous shares of about equally many characters."""
    ends = np.cumsum([len(text) + 1 for text in texts])
    cuts = np.searchsorted(ends, ends[-1] * np.arange(1, shares) / shares).tolist()
    return list(zip([0, *cuts], [*cuts, len(texts)], strict=True))


def _start(path: Path) -> subprocess.Popen[bytes]:
    root = str(Path(zoo.__file__).parents[1])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    return subprocess.Popen(
        [sys.executable, "-m", "zoo.text.segment", str(path), str(path.with_suffix(".npz"))],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main(arguments: Sequence[str]) -> None:
    """Tokenise the texts of one JSON file into one cache file: the work of one process."""
    source, target = map(Path, arguments)
    job = json.loads(source.read_text())
    tokens = tokenise_all(job["texts"], job["language"], job["name"], job["max_length"], silent, "")
    write_tokens(target, tokens, silent)


if __name__ == "__main__":
    main(sys.argv[1:])
