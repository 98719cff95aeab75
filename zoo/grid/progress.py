"""Progress of a grid on standard error: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

from zoo.grid.plan import Job
from zoo.grid.remaining import Remaining
from zoo.grid.worker import Event

BAR = 14  # characters


def duration(seconds: float) -> str:
    """75 -> '1:15'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def cell_label(job: Job) -> str:
    """A cell's names in a line: `imdb textcnn uegr s0 f1 alpha=4`."""
    cell = job.cell
    names = [cell.corpus, *([] if job.is_reference else [cell.arch]), cell.recipe]
    names += [] if job.is_reference else [f"s{cell.seed}"]
    names += [] if cell.fold is None else [f"f{cell.fold}"]
    return " ".join([*names, *([job.variant] if job.variant else [])])


class GridProgress:
    """Shows the events of a grid; use it as a context manager and hand its `send` to the workers."""

    def __init__(
        self, jobs: Sequence[Job], pending: Iterable[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        wanted = set(pending)
        self.jobs = jobs
        self.numbers = {n for n, job in enumerate(jobs) if job.id in wanted}
        self.finished: set[int] = set()
        self.remaining = Remaining({n: jobs[n] for n in self.numbers}, clock)
        self.bars: dict[int, Any] = {}
        self.width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
        longest = max((len(cell_label(jobs[n])) for n in self.numbers), default=0)
        # What is left of a line beside the counter, the score, the seconds and the time to the end.
        self.room = longest if self.width is None else max(12, min(longest, self.width - 46))
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
        if number in self.finished:
            return
        self.remaining.take(kind, number, payload.get("share", 0.0))
        if kind in ("done", "failed"):
            self.finished.add(number)
            self._finish(number, self._line(number, kind, payload))
        elif self.rich is not None:
            self._bar(number, payload)

    def _line(self, number: int, kind: str, payload: dict[str, Any]) -> str:
        total = str(len(self.numbers))
        counter = f"[{len(self.finished):>{len(total)}}/{total}]"
        name = _cut(cell_label(self.jobs[number]), self.room)
        if kind == "failed":
            line = f"{counter} {name} failed: {payload['reason']}"
        else:
            line = f"{counter} {name} {100 * payload['accuracy']:6.2f} % {payload['seconds']:6.0f} s"
            line += self._left()
        return line if self.width is None else _cut(line, self.width - 1).rstrip()

    def _left(self) -> str:
        seconds = self.remaining.seconds()
        return "" if seconds is None else f"  left {duration(seconds)}"

    def _note(self) -> str:
        return f"{len(self.finished)}/{len(self.numbers)} cells{self._left()}"

    def _finish(self, number: int, line: str) -> None:
        if self.rich is None:
            print(line, file=sys.stderr, flush=True)
            return
        self.rich.console.print(line, highlight=False, markup=False, soft_wrap=True)
        if number in self.bars:
            self.rich.remove_task(self.bars.pop(number))
        self._advance()

    def _bar(self, number: int, payload: dict[str, Any]) -> None:
        assert self.width is not None
        if number not in self.bars:
            name = _cut(cell_label(self.jobs[number]), self.room)
            self.bars[number] = self.rich.add_task(name, total=1.0, note="")
        entry = payload.get("entry", {})
        note = "epoch 1"
        if entry:
            note = f"epoch {entry['epoch']}  {100 * entry['validation_accuracy']:.1f} %"
            if self.width >= 110:
                note += f"  loss {entry['loss']:.3f}  learning rate {entry['learning_rate']:.1e}"
        self.rich.update(self.bars[number], completed=payload.get("share", 0.0), note=note)
        self._advance()

    def _advance(self) -> None:
        self.rich.update(self.total, completed=self.remaining.share(), note=self._note())


def _cut(text: str, width: int) -> str:
    """The text in exactly `width` characters."""
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
