"""What is done to a grid: a disturbance at a random moment, then runs until all cells are there."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.kill import runner as runners
from tests.kill.runner import Runner, Twist
from zoo.core.errors import UserError
from zoo.grid.index import FILE
from zoo.grid.store import WRITING, Store
from zoo.studies.study import Study

# What must be 0, in the order of print:
# finished cells that are gone; cells that two processes ran at once; results that are not those of an
# undisturbed run; processes, locks, half-written files that stayed; messages that do not say what is wrong.
COUNTED = ("lost", "twice", "others", "left", "unclear")
# Parts of a result that tell where and when, which may differ.
_VARYING = ("seconds", "machine", "made_by")


@dataclass
class Round:
    """One grid in a folder of its own, and what was found out about it.

    Args:
        study: with places inside `place`.
        undisturbed: content of each cell after a run that nobody disturbed; empty: this is that run.
    """

    study: Study
    place: Path
    draw: random.Random
    undisturbed: Mapping[str, Any]
    whole: float = 1.0  # seconds of an undisturbed run: moments are drawn from them
    twist: Twist | None = None
    middle: bool = False  # whether some cells were done, and not all, when a runner ended
    found: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in COUNTED})
    seen: dict[str, Any] = field(default_factory=dict)  # finished cells by name, as first seen
    runs: int = 0

    @property
    def out(self) -> Path:
        """The results folder."""
        return self.study.out()

    @property
    def witness(self) -> Path:
        """Where cells that run hold a lock."""
        return self.place / "witness"

    def start(self, twist: Twist | None = None, **places: Any) -> Runner:
        """A runner; places in place of the study's."""
        self.runs += 1
        self.witness.mkdir(exist_ok=True)
        study = replace(self.study, places=replace(self.study.places, **places))

        def twists() -> None:
            for one in (self.twist, twist):
                if one is not None:
                    one()

        return runners.start(study, self.place / f"said-{self.runs}", self.witness, twists)

    def end(self, runner: Runner, *codes: int, said: str = "") -> None:
        """Wait for it. It must end with one of these codes, say that much, and leave no process."""
        code = runners.wait(runner)
        text = runner.said.read_text(encoding="utf-8", errors="replace")
        last = text.strip().splitlines()[-1] if text.strip() else ""
        if code not in codes:
            self.found["unclear"].append(f"ended with {code}, expected one of {codes}: {last}")
        for sign in ("Traceback", "Exception ignored", "Error in atexit"):
            if sign in text:
                self.found["unclear"].append(f"{sign}: {last}")
        if code == 2 and (not last.startswith("zoo.ablate: ") or said not in last):
            self.found["unclear"].append(f"expected {said!r} in the last line: {last}")
        if code == 130 and "interrupted" not in text:
            self.found["unclear"].append(f"interrupted and does not say so: {last}")
        end = time.monotonic() + 5
        while (left := runners.processes(runner.pid)) and time.monotonic() < end:
            time.sleep(0.01)
        for process in left:
            self.found["left"].append(f"process {process}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.look()

    def look(self) -> None:
        """Compare the finished cells with those seen before."""
        now = finished(self.out)
        for cell_id, content in self.seen.items():
            if cell_id not in now:
                self.found["lost"].append(cell_id)
            elif now[cell_id] != content:
                self.found["others"].append(cell_id)
        self.seen = now
        self.middle |= 0 < len(now) < len(self.undisturbed)

    def complete(self) -> None:
        """Run it to the end, at most three times, and count everything."""
        for _ in range(3):
            runner = self.start()
            self.end(runner, 0, 1)
            if len(self.seen) == len(self.undisturbed or self.seen):
                break
        store = Store(self.out)
        for cell_id, content in self.undisturbed.items():
            if cell_id not in self.seen:
                self.found["lost"].append(f"{cell_id} never finished")
            elif self.seen[cell_id] != content:
                self.found["others"].append(cell_id)
            with store.claim(cell_id) as mine:
                if not mine:
                    self.found["left"].append(f"lock of {cell_id}")
        self.found["left"] += [str(path) for path in self.out.rglob(f"{WRITING}/.*.tmp")]
        with contextlib.suppress(FileNotFoundError):
            self.found["twice"] += (self.witness / "twice").read_text().split()

    def moment(self) -> None:
        """Let a random time pass: a while after so many more cells are done, or anywhere in a whole run."""
        if self.draw.random() < 0.25:
            time.sleep(self.draw.random() * self.whole)
            return
        wanted, end = self.draw.randrange(len(self.undisturbed)), time.monotonic() + 2 * self.whole
        while len(list(self.out.glob("[!.]*.json"))) < wanted and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(self.draw.random() * 0.03)

    def interrupt(self) -> None:
        """A run that is killed somewhere in the middle, so that some cells are done."""
        runner = self.start()
        self.moment()
        kill_group(runner)
        self.end(runner, -signal.SIGKILL, 0)


def finished(folder: Path) -> dict[str, Any]:
    """Content of the finished cells of a folder by name; files that are none are left out."""
    found, store = {}, Store(folder)
    for cell_id in store.names():
        with contextlib.suppress(UserError):
            if (result := store.read(cell_id)).done:
                found[cell_id] = {k: v for k, v in result.as_json().items() if k not in _VARYING}
    return found


def kill_group(runner: Runner) -> None:
    """SIGKILL for the runner and its workers."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(runner.pid, signal.SIGKILL)


# --- disturbances -----------------------------------------------------------------------------------------


def kill_runner(one: Round) -> None:
    """SIGKILL of the runner alone."""
    runner = one.start()
    one.moment()
    os.kill(runner.pid, signal.SIGKILL)
    one.end(runner, -signal.SIGKILL, 0)


def kill_worker(one: Round) -> None:
    """SIGKILL of a worker: its cell is recorded, the others go on."""
    runner = one.start()
    one.moment()
    workers = [process for process in runners.processes(runner.pid) if process != runner.pid]
    if workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.draw.choice(workers), signal.SIGKILL)
    one.end(runner, 0, 1)


def kill_all(one: Round) -> None:
    """SIGKILL of the whole group, twice in a row."""
    one.interrupt()
    one.interrupt()


def interrupt_twice(one: Round) -> None:
    """Ctrl-C, and again before it has ended."""
    runner = one.start()
    one.moment()
    for _ in range(2):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(runner.pid, signal.SIGINT)
        time.sleep(one.draw.random() * 0.2 * one.whole)
    one.end(runner, 130, 0)


def full_disk(one: Round) -> None:
    """A file system with room for some of the cells; where none can be mounted, a bound on a file's size."""
    with small_disk(one.out, "64k") as grow:
        if grow is None:
            runner = one.start(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
            one.end(runner, 2, said="File too large")
        else:
            one.end(one.start(), 2, said="No space left on device")
            grow("64m")
        one.complete()


def read_only(one: Round) -> None:
    """A folder that nobody may write to, some cells of which are done."""
    with small_disk(one.out, "64m") as change:
        one.interrupt()
        if len(one.seen) == len(one.undisturbed):
            return
        if change is not None:
            change("ro")
            one.end(one.start(), 2, said="Read-only file system")
            change("rw")
        elif os.geteuid() != 0:
            one.out.chmod(0o500)
            one.end(one.start(), 2, said="Permission denied")
            one.out.chmod(0o700)
        one.complete()


def clock_jumps(one: Round) -> None:
    """The clock jumps by years at every look; files of the index carry times of the past and the future."""
    runner = one.start(_jumping)
    one.moment()
    kill_group(runner)
    one.end(runner, -signal.SIGKILL, 0)
    for path in [*one.out.glob("*.json"), one.out / FILE]:
        if path.exists():
            moved = path.stat().st_mtime + one.draw.uniform(-3e8, 3e8)
            os.utime(path, (moved, moved))
    one.end(one.start(_jumping), 0, 1)


def several_machines(one: Round) -> None:
    """Two runners on one folder, cells of a third one copied into it meanwhile, one of the two killed."""
    both = [one.start(), one.start()]
    for cell_id in one.draw.sample(sorted(one.undisturbed), 2):
        one.moment()
        one.out.mkdir(exist_ok=True)
        if not (one.out / f"{cell_id}.json").exists():
            shutil.copy(
                one.place.parent / "undisturbed" / "out" / f"{cell_id}.json", one.out / f".{cell_id}.copy"
            )
            os.replace(one.out / f".{cell_id}.copy", one.out / f"{cell_id}.json")
    time.sleep(one.draw.random() * 0.2 * one.whole)
    if one.draw.random() < 0.5:
        kill_group(both[0])
    for runner in both:
        one.end(runner, -signal.SIGKILL, 0, 1)


def broken_result(one: Round) -> None:
    """A result file that is cut or empty: named in one line; once it is deleted, the cell is run again."""
    one.interrupt()
    if not one.seen:
        return
    broken = one.out / f"{one.draw.choice(sorted(one.seen))}.json"
    content = broken.read_bytes()
    del one.seen[broken.stem]
    broken.write_bytes(content[: one.draw.choice([0, one.draw.randrange(len(content) - 2)])])
    one.end(one.start(), 2, said=broken.name)
    broken.unlink()


def half_a_cache(one: Round) -> None:
    """Prepared texts that were cut while they were written, and leftovers of whoever wrote them."""
    cache = one.place / "cache"
    places = {"cache": str(cache)}
    runner = one.start(**places)
    time.sleep(one.draw.random() * 0.2 * one.whole)
    kill_group(runner)
    one.end(runner, -signal.SIGKILL, 0)
    for path in sorted(cache.rglob("*.npz")):
        content = path.read_bytes()
        path.write_bytes(content[: one.draw.randrange(len(content))])
    one.end(one.start(**places), 0, 1)


DISTURBANCES: dict[str, Callable[[Round], None]] = {
    "SIGKILL of the runner": kill_runner,
    "SIGKILL of a worker": kill_worker,
    "SIGKILL of the group": kill_all,
    "Ctrl-C twice": interrupt_twice,
    "full disk": full_disk,
    "read-only folder": read_only,
    "clock jumps": clock_jumps,
    "two runners and a copy": several_machines,
    "cut or empty result": broken_result,
    "half a cache": half_a_cache,
}


def _jumping() -> None:
    real, draw = time.time, random.Random()
    time.time = lambda: real() + draw.uniform(-3e8, 3e8)  # type: ignore[assignment]


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None] | None]:
    """A file system of this size in `folder`, and what remounts it; None where none can be mounted here."""
    folder.mkdir(parents=True)
    mounted = _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)

    def change(how: str) -> None:
        _mount("-o", f"remount,{how if how in ('ro', 'rw') else f'size={how}'}", folder)

    try:
        yield change if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=False, capture_output=True)


def _mount(*words: object) -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run(["mount", *map(str, words)], check=False, capture_output=True).returncode == 0
    return False
