"""Progress of a grid on standard error: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

from zoo.core.command import duration
from zoo.grid.jobs import Event, Job
from zoo.grid.remaining import Remaining

BAR = 12  # characters
BESIDE = 46  # at most, beside a cell's name: counter, score, seconds and time to the end; or bar and note


def cell_names(job: Job) -> tuple[str, ...]:
    """Corpus, arch, recipe, seed, fold, variant of a cell; empty where it has none."""
    cell = job.cell
    fold = "" if cell.fold is None else f"f{cell.fold}"
    if job.is_reference:
        return cell.corpus, "", cell.recipe, "", fold, job.variant
    return cell.corpus, cell.arch, cell.recipe, f"s{cell.seed}", fold, job.variant


def cell_labels(jobs: Sequence[Job], width: int | None) -> list[str]:
    """Each cell's names in at most `width` characters: `imdb textcnn uegr s0 f1 alpha=4`.

    Where they are too long, the names that all networks share are left out, then the beginning.
    """
    names = [cell_names(job) for job in jobs]
    networks = [found for found, job in zip(names, jobs, strict=True) if not job.is_reference]
    shared = [len(set(column)) == 1 for column in zip(*networks, strict=True)]

    def joined(parts: Sequence[str]) -> str:
        return " ".join(part for part in parts if part)

    labels = [joined(found) for found in names]
    if width is None or max(map(len, labels), default=0) <= width:
        return labels
    differing = [
        label
        if job.is_reference
        else joined([part for part, same in zip(found, shared, strict=True) if not same])
        for label, found, job in zip(labels, names, jobs, strict=True)
    ]
    return [label if len(label) <= width else "…" + label[1 - width :] for label in differing]


class GridProgress:
    """Shows the events of a grid; use it as a context manager and hand its `send` to the workers."""

    def __init__(
        self,
        jobs: Sequence[Job],
        pending: Iterable[str],
        clock: Callable[[], float] = time.monotonic,
        together: int = 1,
    ) -> None:
        wanted = set(pending)
        self.jobs = jobs
        self.numbers = {n for n, job in enumerate(jobs) if job.id in wanted}
        self.finished: set[int] = set()
        self.remaining = Remaining({n: jobs[n] for n in self.numbers}, clock, together)
        self.waited = False
        self.bars: dict[int, Any] = {}
        self.width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
        numbers = sorted(self.numbers)
        most = None if self.width is None else max(12, self.width - BESIDE)
        self.labels = dict(zip(numbers, cell_labels([jobs[n] for n in numbers], most), strict=True))
        self.room = max(map(len, ("all cells", *self.labels.values())))
        self.rich: Any = self._rich() if self.width is not None and self.numbers else None

    def _rich(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(BAR),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}", markup=False),
        )
        return Progress(*columns, console=Console(stderr=True), transient=True)

    def __enter__(self) -> GridProgress:
        if self.rich is not None:
            self.rich.start()
            self.total = self.rich.add_task("all cells".ljust(self.room), total=1.0, note=self._note())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.rich is not None:
            self.rich.stop()

    def send(self, event: Event) -> None:
        """Take one event of a worker. A cell counts once, whoever tells that it has ended."""
        kind, number, payload = event
        if kind == "waiting":
            self._wait(payload["cells"])
            return
        if number in self.finished:
            return
        self.remaining.take(kind, number, payload.get("share", 0.0), payload.get("seconds", 0.0))
        if kind in ("done", "failed"):
            self.finished.add(number)
            self._finish(number, self._line(number, kind, payload))
        elif kind == "paused":
            name = self.labels[number].ljust(self.room)
            self._say(f"{' ' * len(self._counter())} {name} goes on next time")
            self._forget(number)
        elif self.rich is not None:
            self._bar(number, payload)

    def _wait(self, cells: Sequence[int]) -> None:
        """Say once that nothing goes on here. What a worker of this run is in, is no reason to wait."""
        others = [n for n in cells if n not in self.finished and n not in self.remaining.running]
        if others and not self.waited:
            self.waited = True
            self._say(f"{len(others)} cells are claimed by other runners; waiting")

    def _line(self, number: int, kind: str, payload: dict[str, Any]) -> str:
        counter = self._counter()
        name = self.labels[number].ljust(self.room)
        if kind == "failed":
            line = f"{counter} {name} failed: {payload['reason']}"
        else:
            line = (
                f"{counter} {name} validation {100 * payload['accuracy']:.2f} % {payload['seconds']:6.0f} s"
            )
            line += self._left()
        if self.width is None or len(line) < self.width:
            return line
        return line[: self.width - 2] + "…"

    def _counter(self) -> str:
        total = str(len(self.numbers))
        return f"[{len(self.finished):>{len(total)}}/{total}]"

    def _left(self) -> str:
        seconds = self.remaining.seconds()
        return "" if seconds is None else f"  left {duration(seconds)}"

    def _note(self) -> str:
        return f"{len(self.finished)}/{len(self.numbers)}{self._left()}"

    def _finish(self, number: int, line: str) -> None:
        self._say(line)
        self._forget(number)
        if self.rich is not None:
            self._advance()

    def _say(self, line: str) -> None:
        if self.rich is None:
            print(line, file=sys.stderr, flush=True)
        else:
            self.rich.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _forget(self, number: int) -> None:
        if number in self.bars:
            self.rich.remove_task(self.bars.pop(number))

    def _bar(self, number: int, payload: dict[str, Any]) -> None:
        assert self.width is not None
        if number not in self.bars:
            self.bars[number] = self.rich.add_task(self.labels[number], total=1.0, note="epoch 1")
        entry, note = payload.get("entry", {}), None
        if entry:
            note = f"epoch {entry['epoch']}  {100 * entry['validation_accuracy']:.1f} %"
            if self.width >= 110:
                note += f"  loss {entry['loss']:.3f}  learning rate {entry['learning_rate']:.1e}"
        told = {} if note is None else {"note": note}  # within an epoch the last one's stands
        self.rich.update(self.bars[number], completed=payload.get("share", 0.0), **told)
        self._advance()

    def _advance(self) -> None:
        self.rich.update(self.total, completed=self.remaining.share(), note=self._note())
