"""Runs of tests on altered copies of the repository, in forks of a process that has imported what is large.

A fork takes the torch that is there; a fresh process would import it again, which costs more than the tests.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import shutil
import signal
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

# Imported once: every run of tests is a fork that finds them there. Nothing of ours is among them.
PRELOADED = (
    "numpy", "scipy.stats", "sklearn.svm", "sklearn.feature_extraction.text", "torch", "torch._dynamo",
    "safetensors.torch", "filelock", "matplotlib.figure", "rich.console", "hypothesis.strategies", "pytest",
)  # fmt: skip
OURS = ("uegr", "uegr_ref", "zoo", "bench")
TIMEOUT = 300.0  # seconds; a hundred times what tests of an error take, so that a busy machine is no finding
ENVIRONMENT = {
    "HYPOTHESIS_PROFILE": "mutants",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "OMP_NUM_THREADS": "1",  # one core each: the copies are the parallelism
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class Job(NamedTuple):
    """Tests to run on a copy whose `file` holds `text` instead (None: on the code as it is)."""

    name: str
    tests: tuple[str, ...]
    file: str | None = None
    text: str = ""


class Outcome(NamedTuple):
    """The first test that failed (None: none), else what kept the tests from running."""

    by: str | None = None
    problem: str | None = None
    seconds: float = 0.0
    output: str = ""


def preload() -> None:
    """Import what the forks are to find."""
    os.environ.update(ENVIRONMENT)
    for name in PRELOADED:
        with contextlib.suppress(ImportError):  # the reference's tests need few of them
            importlib.import_module(name)


class _Watcher:
    """A plugin of pytest that keeps the first failure, and the first file that could not be loaded."""

    def __init__(self) -> None:
        self.failed: str | None = None
        self.unloaded: str | None = None
        self.passed = 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.passed += report.passed and report.when == "call"
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and self.unloaded is None:
            self.unloaded = f"{report.nodeid}: {str(report.longrepr).strip().splitlines()[-1]}"


def _tested(folder: Path, tests: tuple[str, ...], file: str | None) -> dict[str, Any]:
    """Fields of an outcome: the tests, run in this process on the code in `folder`."""
    import pytest

    if already := [name for name in sys.modules if name.split(".")[0] in OURS]:
        return {"problem": f"loaded before the copy: {already}"}
    os.environ.update(ENVIRONMENT, PYTHONPATH=str(folder))
    os.chdir(folder)
    sys.path[0] = str(folder)
    sys.argv = ["pytest"]
    sys.modules["__main__"] = types.ModuleType("__main__")  # what processes that tests start may look at
    watcher = _Watcher()
    options = ["-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider"]
    options += ["--rootdir", str(folder), "--basetemp", str(folder.parent / "tmp")]
    code = pytest.main([*options, *tests], plugins=[watcher])
    if watcher.failed:
        return {"by": watcher.failed}
    if code != 0 or not watcher.passed:
        return {"problem": watcher.unloaded or f"pytest ended with {code!r}, {watcher.passed} tests passed"}
    return {"problem": _not_of_the_copy(folder, file)}


def _not_of_the_copy(folder: Path, file: str | None) -> str | None:
    """What was loaded from elsewhere than the copy, or the altered module if it was not loaded at all."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in OURS and not (module.__file__ or "").startswith(f"{folder}/"):
            return f"{name} was loaded from {module.__file__}, not from the copy"
    if file is not None:
        name = ".".join(Path(file).with_suffix("").parts).removesuffix(".__init__")
        place = importlib.import_module(name).__file__
        if place != str(folder / file):
            return f"{name} lies in {place}, not in the copy"
    return None


def _child(writer: int, folder: Path, tests: tuple[str, ...], file: str | None) -> NoReturn:
    """Run the tests, write the outcome to the pipe, end without the parent's clean-up."""
    try:
        os.setsid()  # so that the parent can end what the tests start, too
        output = os.open(folder.parent / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        with os.fdopen(writer, "w", encoding="utf-8") as pipe:
            try:
                found = _tested(folder, tests, file)
            except BaseException:
                traceback.print_exc()
                found = {"problem": traceback.format_exc().strip().splitlines()[-1]}
            sys.stdout.flush()
            json.dump(found, pipe)
    finally:
        os._exit(0)


class _Running(NamedTuple):
    job: Job
    pid: int
    place: Path
    started: float


def _start(job: Job, sound: Path) -> tuple[int, _Running]:
    """A fork that tests a copy, and the end of the pipe that its outcome comes from."""
    place = Path(tempfile.mkdtemp(dir=sound.parent))
    folder, started = place / "copy", time.monotonic()
    shutil.copytree(sound, folder, symlinks=True, copy_function=os.link)
    if job.file is not None:
        (folder / job.file).unlink()  # else the sound one would be written to
        (folder / job.file).write_text(job.text, encoding="utf-8")
    reader, writer = os.pipe()
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        os.close(reader)
        _child(writer, folder, job.tests, job.file)
    os.close(writer)
    return reader, _Running(job, pid, place, started)


def _end(running: _Running, message: str | None) -> Outcome:
    """The outcome, and the place cleaned up. message: what came by the pipe; None: nothing in time."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    os.waitpid(running.pid, 0)
    output = (running.place / "output").read_text(encoding="utf-8", errors="replace")[-3000:]
    shutil.rmtree(running.place, ignore_errors=True)
    if message is None:
        found: dict[str, Any] = {"problem": f"nothing finished within {TIMEOUT:g} s"}
    else:
        found = json.loads(message) if message else {"problem": "the tests' process died"}
    return Outcome(**found, seconds=round(time.monotonic() - running.started, 1), output=output)


def outcomes(jobs: list[Job], sound: Path, workers: int) -> Iterator[tuple[Job, Outcome]]:
    """Every job with its outcome, as they end; `workers` at a time, on copies of `sound`."""
    selector, waiting = selectors.DefaultSelector(), list(reversed(jobs))
    running: dict[int, _Running] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                reader, one = _start(waiting.pop(), sound)
                running[reader] = one
                selector.register(reader, selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select(timeout=1)}
            late = {r for r, one in running.items() if time.monotonic() - one.started > TIMEOUT}
            for reader in ready | late:
                selector.unregister(reader)
                with os.fdopen(reader, "r", encoding="utf-8") as pipe:
                    message = pipe.read() if reader in ready else None
                one = running.pop(reader)
                yield one.job, _end(one, message)
    finally:
        for one in running.values():
            _end(one, None)
