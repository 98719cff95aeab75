"""Progress of a grid on standard error: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from zoo.grid.worker import Event, Job


def duration(seconds: float) -> str:
    """75 -> '1:15'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class GridProgress:
    """Shows the events of a grid; use it as a context manager and hand its `send` to the workers."""

    def __init__(self, jobs: list[Job], missing: set[str]) -> None:
        self.jobs = jobs
        self.units = {n: job.units for n, job in enumerate(jobs) if job.id in missing}
        self.shares = dict.fromkeys(self.units, 0.0)
        self.finished = self.failed = 0
        self.began = time.perf_counter()
        self.bars: dict[int, Any] = {}
        self.rich: Any = self._rich() if sys.stderr.isatty() and self.units else None

    def _rich(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            "{task.description}",
            BarColumn(24),
            "{task.percentage:>3.0f} %",
            TextColumn("{task.fields[note]}"),
        )
        return Progress(*columns, console=Console(stderr=True), transient=True)

    def __enter__(self) -> GridProgress:
        if self.rich is not None:
            self.rich.start()
            self.total = self.rich.add_task("all cells", total=1.0, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.rich is not None:
            self.rich.stop()

    def send(self, event: Event) -> None:
        """Take one event of a worker."""
        kind, number, payload = event
        job = self.jobs[number]
        self.shares[number] = {"start": 0.0, "epoch": payload.get("share", 0.0)}.get(kind, 1.0)
        if kind == "failed":
            self.failed += 1
        if kind in ("done", "failed"):
            self.finished += 1
            self._finish(number, self._line(job, kind, payload))
        elif self.rich is not None:
            self._bar(number, job, payload)

    def remaining(self) -> str:
        """Estimated time to the end, from the share of the work done so far."""
        total = sum(self.units.values())
        done = sum(self.units[n] * share for n, share in self.shares.items() if n in self.units)
        if done == 0:
            return "?"
        return duration((time.perf_counter() - self.began) * (total - done) / done)

    def _line(self, job: Job, kind: str, payload: dict[str, Any]) -> str:
        cell = job.cell
        fold = "" if cell.fold is None else f" fold {cell.fold}"
        name = f"{cell.corpus} {cell.arch} {cell.recipe} seed {cell.seed}{fold}".replace(" - ", " ")
        end = (
            f"failed: {payload['reason']}"
            if kind == "failed"
            else f"validation {100 * payload['accuracy']:.2f} %  ({payload['seconds']:.0f} s)"
        )
        return f"[{self.finished}/{len(self.units)}] {name:<44} {end}  left {self.remaining()}"

    def _finish(self, number: int, line: str) -> None:
        if self.rich is None:
            print(line, file=sys.stderr, flush=True)
            return
        self.rich.console.print(line, highlight=False, markup=False)
        if number in self.bars:
            self.rich.remove_task(self.bars.pop(number))
        self._advance()

    def _bar(self, number: int, job: Job, payload: dict[str, Any]) -> None:
        if number not in self.bars:
            name = f"{job.cell.corpus} {job.cell.arch} {job.cell.recipe} s{job.cell.seed}"
            self.bars[number] = self.rich.add_task(name, total=1.0, note="")
        entry = payload.get("entry", {})
        note = (
            f"epoch {entry['epoch']}  loss {entry['loss']:.3f}  "
            f"validation {100 * entry['validation_accuracy']:.1f} %  lr {entry['learning_rate']:.1e}"
            if entry
            else "epoch 1"
        )
        self.rich.update(self.bars[number], completed=self.shares[number], note=note)
        self._advance()

    def _advance(self) -> None:
        total = sum(self.units.values()) or 1.0
        done = sum(self.units[n] * share for n, share in self.shares.items() if n in self.units)
        note = f"{self.finished}/{len(self.units)} cells  left {self.remaining()}"
        self.rich.update(self.total, completed=done / total, note=note)
