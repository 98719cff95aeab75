"""Following a grid that runs elsewhere: hand in its cells, write their results, tell of them. One process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from zoo.core.errors import UserError, write_whole
from zoo.grid.engines.engine import lost
from zoo.grid.engines.owner import News, Sent
from zoo.grid.jobs import Job, Send
from zoo.grid.store import Pending, Store, from_text
from zoo.grid.worker import outcome

A_PORTION = 1000  # cells handed in at once

Submit = Callable[[Sequence[Job]], None]
Take = Callable[[Sequence[str]], News]


class Stopped(UserError):
    """The grid has stopped by itself: its owner says what would stop every cell."""


@contextmanager
def alone(store: Store, engine: str) -> Iterator[None]:
    """One follower a folder.

    Raises:
        UserError: another process follows the grid of this folder.
    """
    with store.claim(f"{engine}.follower") as mine:
        if not mine:
            raise UserError(
                f"{store.folder}: another process here follows the grid of this folder with --engine "
                f"{engine}; expected one at a time"
            )
        yield


def follow(
    jobs: Sequence[Job], store: Store, submit: Submit, take: Take, send: Send, pending: Pending
) -> None:
    """Run the cells of `pending` to the last. Results that an earlier follower left behind are written too.

    Raises:
        UserError: what stops all cells alike.
    """
    numbers = {job.id: n for n, job in enumerate(jobs) if job.id in pending}
    left = set(numbers)
    written: list[str] = []
    try:
        for start in range(0, len(jobs), A_PORTION):
            submit([job for job in jobs[start : start + A_PORTION] if job.id in pending])
        while left:
            news = take(written)
            written = []
            for kind, cell_id, payload in news.events:
                if cell_id in left:
                    send((kind, numbers[cell_id], payload))
            for cell_id, sent in news.results.items():
                _write(store, jobs, numbers, cell_id, sent, send)
                written.append(cell_id)
                left.discard(cell_id)
            if news.error is not None and not news.results:
                raise Stopped(news.error)
    finally:
        # Whatever ends it: what is finished is fetched first, and nothing that is written is fetched again.
        while results := take(written).results:
            written = list(results)
            for cell_id, sent in results.items():
                _write(store, jobs, numbers, cell_id, sent, send)


def _write(
    store: Store, jobs: Sequence[Job], numbers: dict[str, int], cell_id: str, sent: Sent | None, send: Send
) -> None:
    number = numbers.get(cell_id)
    if sent is not None:
        result = from_text(sent.text, f"the result that came back of {cell_id}")
    elif number is not None:
        result = lost(jobs[number], "its worker was lost, and so were those that tried it again")
    else:
        return
    if number is None and store.done(cell_id):
        return  # written by a follower that died before it could say so
    for name, content in sent.files.items() if sent else ():
        write_whole(_place(store, name), content)
    store.write(result)  # last: who sees it finds its files
    if number is not None:
        send(outcome(number, result))


def _place(store: Store, name: str) -> Path:
    """Where a file that came back belongs: below the results folder, and nowhere else."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.parts[0] not in ("weights", "models"):
        raise UserError(f"a worker sent the file {name!r}; expected one below weights/ or models/")
    return store.folder / path
