"""One runner of a grid, in a fork: the program as it is, with cells that take milliseconds.

Only the training is a stand-in (`_trained`), and workers are forked in place of spawned, so that nobody
imports torch once more. The stand-in's result follows from the cell's name alone. While it runs it holds a
lock of its own, apart from the program's: who finds it taken writes that down.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import multiprocessing.util
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from zoo.core.classes import encode_classes
from zoo.core.command import command
from zoo.core.result import DONE, Result
from zoo.grid import index, trainings
from zoo.studies import run
from zoo.studies.study import Study

EPOCHS = 4
PACE = 0.01  # seconds of an epoch, in the mean
LONG = 150  # entries of a curve, so that a file takes a while to write: about 10 kB

Twist = Callable[[], None]  # something that is changed in the runner's process before it begins


class Runner(NamedTuple):
    """A runner: its process, which leads a session of its own, and where its standard error goes."""

    pid: int
    said: Path


def start(study: Study, said: Path, witness: Path, twist: Twist | None = None) -> Runner:
    """Run a study in a fork of this process, which must have one thread only."""
    said.touch()  # it may be killed before it says anything
    sys.stdout.flush()
    sys.stderr.flush()
    if (pid := os.fork()) == 0:
        _child(study, said, witness, twist)
    return Runner(pid, said)


def wait(runner: Runner, seconds: float = 30.0) -> int | None:
    """Its exit code, negative for a signal; None: it did not end, and has been killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status = os.waitpid(runner.pid, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(runner.pid, signal.SIGKILL)
    os.waitpid(runner.pid, 0)
    return None


def processes(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z":
                found.append(int(folder.name))
    return found


def _child(study: Study, said: Path, witness: Path, twist: Twist | None) -> NoReturn:
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        _stand_in(witness)
        if twist is not None:
            twist()
        code = command("zoo.ablate", lambda: _run(study))
        multiprocessing.util._exit_function()  # as at the end of any program: no worker outlives it
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _run(study: Study) -> int:
    """What `python -m zoo.ablate` does, without the table."""
    planned = run.plan(study)
    if planned.pending:
        study.write(planned.places.out)
    code = run.stopped(planned)
    results = run.results_of(planned)
    if code:
        return code
    return 1 if any(not result.done for result in results) or len(results) < len(planned.jobs) else 0


def _stand_in(witness: Path) -> None:
    contexts = multiprocessing.get_context
    multiprocessing.get_context = lambda kind=None: contexts("fork")  # type: ignore[assignment]
    index.WORTH = 1  # type: ignore[misc]

    def train(
        head: Result, settings: Any, corpus: Any, device: Any, progress: Any, *rest: Any, **more: Any
    ) -> Result:
        return _trained(head, progress, witness)

    trainings.train_cell = train  # type: ignore[assignment]
    trainings.run_baseline = lambda head, corpus, settings: _trained(head, lambda *_: None, witness)  # type: ignore


def _trained(head: Result, progress: Callable[[float, dict[str, Any]], None], witness: Path) -> Result:
    draw, pace = random.Random(head.id), random.Random()
    assert head.corpus is not None
    rows = head.corpus.test_rows
    with _alone(witness, head.id):
        for epoch in range(1, EPOCHS + 1):
            time.sleep(pace.random() * 2 * PACE)
            entry = {"epoch": epoch, "validation_accuracy": 0.5, "loss": 0.1, "learning_rate": 0.01}
            progress(epoch / EPOCHS, entry)
    truth = np.array([i % 2 for i in range(rows)])
    predictions = np.array([draw.randrange(2) for _ in range(rows)])
    return replace(
        head, status=DONE, truth=encode_classes(truth), predictions=encode_classes(predictions),
        measures={"accuracy": float((truth == predictions).mean())}, validation_accuracy=draw.random(),
        best_epoch=1,
        curve=tuple({"epoch": i + 1, "loss": draw.random()} for i in range(LONG)),
        seconds={"total": pace.random()},
    )  # fmt: skip


@contextlib.contextmanager
def _alone(witness: Path, cell_id: str) -> Iterator[None]:
    """Note it where another living process is in this cell."""
    held = os.open(witness / cell_id, os.O_CREAT | os.O_RDWR)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with open(witness / "twice", "a", encoding="utf-8") as file:
                file.write(f"{cell_id}\n")
        yield
    finally:
        os.close(held)
