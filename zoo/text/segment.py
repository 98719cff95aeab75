"""Tokenising in several processes, where it lasts: contiguous shares of the texts, merged in their order.

The processes are joblib's (loky): nothing of the caller's program is run again in them (as a spawned pool
would) and none of its threads is copied (as a forked pool would).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.core.processes import cores
from zoo.text.cache import read_arrays, write_arrays
from zoo.text.normalise import CHARACTERS_PER_TOKEN
from zoo.text.settings import Report, silent
from zoo.text.tokenise import Tokens, tokenise_all

# Characters a second of one process, and the seconds of work from which a second process pays for its start.
SPEED = {"jieba": 300_000, "words": 6_000_000, "characters": 8_000_000}
WORTH_SECONDS = 4.0
MOST_WORKERS = 8
SHARES_PER_WORKER = 4  # so that progress can be told, and no process waits long for the slowest
IDLE_SECONDS = 5  # a dictionary takes 100 MB of each process


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
    from joblib import Parallel, delayed

    report(f"{what}: tokenising {len(texts):,} texts ({name}, {workers} processes)")
    shares = [texts[a:b] for a, b in _bounds(texts, SHARES_PER_WORKER * workers)]
    jobs = (delayed(tokenise_all)(share, language, name, max_length, silent, "") for share in shares)
    pool = Parallel(workers, backend="loky", return_as="generator", idle_worker_timeout=IDLE_SECONDS)
    parts: list[Tokens] = []
    done = 0
    try:
        for part in pool(jobs):
            parts.append(part)
            done += len(part.offsets) - 1
            report(f"{what}: {done:,} of {len(texts):,} texts tokenised")
    except (RuntimeError, OSError) as error:
        # A process that is killed (for its memory, say) ends the pool: joblib's TerminatedWorkerError.
        report(f"{what}: a tokenising process failed ({type(error).__name__}); going on in one process")
        return tokenise_all(texts, language, name, max_length, report, what)
    return merged(parts)


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
    write_arrays(path, {"forms": tokens.forms}, arrays, report)


def read_tokens(path: Path, report: Report) -> Tokens | None:
    """Return the tokens of a cache file, or None where it is missing or damaged."""
    if (stored := read_arrays(path, report)) is None:
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
    return [(a, b) for a, b in zip([0, *cuts], [*cuts, len(texts)], strict=True) if a < b]
