"""Who holds a grid that runs elsewhere: it gives out cells, tries lost ones again, keeps results.

The owner lives in the cluster and outlasts whoever follows it. A result is text, and files where a network is
kept; it is handed over until the follower says that it is written, so that nothing is lost whenever the
follower dies. Nothing here knows which engine: `launch` runs one cell somewhere and `lost` says which of its
errors mean that the place was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from zoo.core.errors import UserError
from zoo.grid.jobs import Job

A_PORTION, SIZE = 200, 2**28  # results handed over at once, and bytes of files after which no more are
MOST_EVENTS = 10_000  # kept while nobody follows
PATIENCE = 1.0  # seconds that a follower waits for news

# (event, cell, payload), as in `zoo.grid.worker` but by the cell's name: followers number cells differently.
Told = tuple[str, str, dict[str, Any]]


class Sent(NamedTuple):
    """What a worker sends of a cell: its result as text, and files by their names in the results folder."""

    text: str
    files: dict[str, bytes]


Launch = Callable[[Job], Awaitable[Sent]]


class News(NamedTuple):
    """What a follower gets: events, results by cell (None: lost for good), and what stops the grid."""

    events: list[Told]
    results: dict[str, Sent | None]
    error: str | None


class Owner:
    """The cells of one results folder.

    Args:
        launch: runs a cell and gives what it sends.
        lost: the errors of `launch` after which the cell is tried again.
        retries: so often; then the cell has failed.
    """

    def __init__(self, launch: Launch, lost: tuple[type[BaseException], ...], retries: int) -> None:
        self.launch, self.lost, self.retries = launch, lost, retries
        self.waiting: deque[Job] = deque()
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.known: set[str] = set()  # waiting, running, or with a result that is not fetched yet
        self.results: dict[str, Sent | None] = {}
        self.events: deque[Told] = deque(maxlen=MOST_EVENTS)
        self.error: str | None = None
        self.most = 0
        self.news = asyncio.Event()

    async def submit(self, jobs: Sequence[Job], most: int) -> None:
        """Run these cells too, `most` at a time; those that are known already are not run twice."""
        self.most, self.error = most, None
        for job in jobs:
            if job.id not in self.known:
                self.known.add(job.id)
                self.waiting.append(job)
        self._fill()

    async def tell(self, kind: str, cell_id: str, payload: dict[str, Any]) -> None:
        """An event of a cell that runs."""
        self.events.append((kind, cell_id, payload))
        self.news.set()

    async def take(self, written: Sequence[str]) -> News:
        """Forget the results that are written; give those that are not, and what was told since."""
        for cell_id in written:
            if cell_id in self.results:
                del self.results[cell_id]
                self.known.discard(cell_id)
        if not self.results and not self.events and self.error is None:
            self.news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), PATIENCE)
        events = list(self.events)
        self.events.clear()
        return News(events, dict(self._portion()), self.error)

    def _portion(self) -> Iterator[tuple[str, Sent | None]]:
        size = 0
        for cell_id, sent in islice(self.results.items(), A_PORTION):
            yield cell_id, sent
            size += sum(map(len, sent.files.values())) if sent else 0
            if size > SIZE:
                return

    def _fill(self) -> None:
        while self.waiting and len(self.tasks) < self.most and self.error is None:
            job = self.waiting.popleft()
            self.tasks[job.id] = asyncio.get_running_loop().create_task(self._run(job))

    async def _run(self, job: Job) -> None:
        try:
            self.results[job.id] = await self._tried(job)
        except UserError as error:  # it would stop every other cell too
            self._stop(str(error))
            self.known.discard(job.id)
        except Exception as error:  # of the engine itself: no worker can be set up
            self._stop(f"{type(error).__name__}: {str(error).strip().splitlines()[-1] if str(error) else ''}")
            self.known.discard(job.id)
        del self.tasks[job.id]
        self.news.set()
        self._fill()

    async def _tried(self, job: Job) -> Sent | None:
        for _ in range(self.retries + 1):
            try:
                return await self.launch(job)
            except self.lost:
                continue
        return None

    def _stop(self, reason: str) -> None:
        self.error = self.error or reason
        self.known -= {job.id for job in self.waiting}
        self.waiting.clear()
