"""Do the tests test anything? Plant errors in copies of the repository and see what objects.

    python tests/mutants.py                 a table as it goes; exit code 1 if an error stays unseen
    python tests/mutants.py --json          one object: planted, caught, seconds, mutants
    python tests/mutants.py --part method   only the errors of tests/planted/method.txt
    python tests/mutants.py fgsm js         only the errors whose name contains one of the words
    python tests/mutants.py --sample 150 --seed X   so many, drawn by X: what CI does with the commit

Each copy runs the tests named beside its error, up to the first failure. Before that every test named
anywhere runs once on the code as it is, where it must pass. The errors stand in tests/planted/<part>.txt, one
block each, with an empty line between; a block that begins with # is a remark:

    name | file, from the repository's root | tests, if not the file of the same name
    - the text to find, which stands once in the file
    + the text to put in its place

`tests` are what pytest takes: files, or single tests of them (tests/zoo/core/test_records.py::test_x[a b]),
with spaces between. An error costs what its tests cost, so name the few that should see it. Exit code 2: an
error cannot be planted, does not load, or its tests do not pass without it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import re
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

REPOSITORY = Path(__file__).parents[1]
PLANTED = Path(__file__).parent / "planted"
COPIED = ("uegr_ref", "zoo", "bench", "tests", "data", "pyproject.toml")
LINKED = ("docs", "results", "README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "constraints.txt")
# Imported once: every run of tests is a fork that finds them there. Nothing of ours is among them.
PRELOADED = (
    "numpy", "scipy.stats", "sklearn.svm", "sklearn.feature_extraction.text", "torch", "torch._dynamo",
    "safetensors.torch", "filelock", "matplotlib.figure", "rich.console", "hypothesis.strategies", "pytest",
)  # fmt: skip
OURS = ("uegr_ref", "zoo", "bench")
TIMEOUT, TIMEOUT_SOUND = 60.0, 300.0
ENVIRONMENT = {
    "HYPOTHESIS_PROFILE": "mutants",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "OMP_NUM_THREADS": "1",  # one core each: the copies are the parallelism
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class Mutant(NamedTuple):
    """`old`, which stands once in `file`, becomes `new`; paths from the repository's root."""

    part: str
    name: str
    file: str
    tests: tuple[str, ...]
    old: str
    new: str


class Sound(NamedTuple):
    """Tests of one file on the code as it is."""

    name: str
    tests: tuple[str, ...]


class Outcome(NamedTuple):
    """The first test that failed (None: none), else what kept the tests from running."""

    by: str | None = None
    problem: str | None = None
    seconds: float = 0.0
    output: str = ""


# --- the errors -------------------------------------------------------------------------------------------


def read(part: str) -> list[Mutant]:
    """The errors of tests/planted/<part>.txt."""
    mutants = []
    for block in (PLANTED / f"{part}.txt").read_text(encoding="utf-8").strip().split("\n\n"):
        head, *lines = block.strip("\n").split("\n")
        if head.startswith("#"):
            continue
        name, file, *tests = head.split(" | ")
        old, new = ("\n".join(line[2:] for line in lines if line[0] == sign) for sign in "-+")
        named = re.split(" (?=tests/)", tests[0]) if tests else [own_test(file)]
        mutants.append(Mutant(part, name, file, tuple(named), old, new))
    return mutants


def own_test(file: str) -> str:
    """The test file that is named like a file."""
    path = Path(file)
    if path.parts[0] == "uegr_ref":
        return f"tests/uegr_ref/test_ref_{path.name}"
    return str(Path("tests", *path.parts[:-1], f"test_{path.name}"))


def copy_of_code(folder: Path) -> None:
    """A copy of what tests need; large folders that nobody writes to are links."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for name in COPIED:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
        else:
            shutil.copy(REPOSITORY / name, folder)
    for name in LINKED:
        (folder / name).symlink_to(REPOSITORY / name)


def plant(mutant: Mutant, folder: Path) -> None:
    """Put the error into a copy, whose other files are links to the sound one's."""
    path = folder / mutant.file
    text = path.read_text(encoding="utf-8")
    path.unlink()
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def misplaced(mutant: Mutant) -> str | None:
    """Why an error cannot be planted."""
    path = REPOSITORY / mutant.file
    times = path.read_text(encoding="utf-8").count(mutant.old) if path.is_file() and mutant.old else 0
    return None if times == 1 else f"{mutant.old!r} stands {times} times in {mutant.file}, not once"


# --- one run of tests, in a fork --------------------------------------------------------------------------


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
    job: Mutant | Sound
    pid: int
    place: Path
    started: float

    @property
    def timeout(self) -> float:
        return TIMEOUT if isinstance(self.job, Mutant) else TIMEOUT_SOUND


def _start(job: Mutant | Sound, sound: Path) -> tuple[int, _Running]:
    """A fork that tests a copy, and the end of the pipe that its outcome comes from."""
    place = Path(tempfile.mkdtemp(dir=sound.parent))
    folder, started = place / "copy", time.monotonic()
    file = job.file if isinstance(job, Mutant) else None
    shutil.copytree(sound, folder, symlinks=True, copy_function=os.link)
    if isinstance(job, Mutant):
        plant(job, folder)
    reader, writer = os.pipe()
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        os.close(reader)
        _child(writer, folder, job.tests, file)
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
        found: dict[str, Any] = {"by": f"(nothing finished within {running.timeout:g} s)"}
    else:
        found = json.loads(message) if message else {"problem": "the tests' process died"}
    return Outcome(**found, seconds=round(time.monotonic() - running.started, 1), output=output)


def outcomes(jobs: list[Any], sound: Path, workers: int) -> Iterator[tuple[Any, Outcome]]:
    """Every job with its outcome, as they end; `workers` at a time."""
    selector, waiting = selectors.DefaultSelector(), list(reversed(jobs))
    running: dict[int, _Running] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                reader, one = _start(waiting.pop(), sound)
                running[reader] = one
                selector.register(reader, selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select(timeout=1)}
            late = {r for r, one in running.items() if time.monotonic() - one.started > one.timeout}
            for reader in ready | late:
                selector.unregister(reader)
                with os.fdopen(reader, "r", encoding="utf-8") as pipe:
                    message = pipe.read() if reader in ready else None
                one = running.pop(reader)
                yield one.job, _end(one, message)
    finally:
        for one in running.values():
            _end(one, None)


# --- the command ------------------------------------------------------------------------------------------


def baseline(mutants: list[Mutant]) -> list[Sound]:
    """All tests that the errors name, by file, each once."""
    files: dict[str, set[str]] = {}
    for test in dict.fromkeys(test for mutant in mutants for test in mutant.tests):
        files.setdefault(test.split("::")[0], set()).add(test)
    return [
        Sound(file, (file,) if file in tests else tuple(sorted(tests)))
        for file, tests in sorted(files.items())
    ]


def main() -> int:
    """Plant them all."""
    parts = sorted(path.stem for path in PLANTED.glob("*.txt"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*", help="only the errors whose name contains one of these")
    parser.add_argument("--part", nargs="+", choices=parts, default=parts, help="only these files of errors")
    parser.add_argument("--sample", type=int, help="only so many of them, drawn by --seed")
    parser.add_argument("--seed", default="", help="of the sample: any text")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="at a time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    words = [word.lower() for word in options.words]
    chosen = [
        mutant
        for part in options.part
        for mutant in read(part)
        if not words or any(word in mutant.name.lower() for word in words)
    ]
    for mutant in chosen:
        if problem := misplaced(mutant):
            print(f"{mutant.part}: {mutant.name}: {problem}", file=sys.stderr)
            return 2
    if options.sample is not None:
        drawn = set(sorted(chosen, key=lambda m: drawn_by(options.seed, m))[: options.sample])
        chosen = [mutant for mutant in chosen if mutant in drawn]
    start = time.monotonic()
    os.environ.update(ENVIRONMENT)
    for name in PRELOADED:
        with contextlib.suppress(ImportError):  # the reference's part needs few of them
            importlib.import_module(name)

    def say(line: str) -> None:
        if not options.json:
            print(line, flush=True)

    with tempfile.TemporaryDirectory(prefix="uegr-mutants-") as name:
        sound = Path(name) / "sound"
        sound.mkdir()
        copy_of_code(sound)
        checks = baseline(chosen)
        say(f"{len(chosen)} errors to plant; first the tests of {len(checks)} files without any ...")
        for check, outcome in outcomes(checks, sound, options.workers):
            if outcome.by or outcome.problem:
                wrong = outcome.by or f"{check.name}: {outcome.problem}"
                print(f"the code as it is: {wrong}\n{outcome.output}", file=sys.stderr)
                return 2
        say(f"they pass, after {time.monotonic() - start:.0f} s.")
        rows = planted(chosen, outcomes(chosen, sound, options.workers), say)
    seconds = round(time.monotonic() - start, 1)
    return report(rows, seconds, options.json)


def drawn_by(seed: str, mutant: Mutant) -> bytes:
    """The place of an error in the draw of this seed; another error in the files changes no other's place."""
    return hashlib.sha256(f"{seed}/{mutant.part}/{mutant.name}".encode()).digest()


def planted(chosen: list[Mutant], tried: Iterator[tuple[Mutant, Outcome]], say: Any) -> list[dict[str, Any]]:
    """A row an error, in the order of the files, said as they come."""
    rows, width = {}, max((len(m.name) for m in chosen), default=0)
    for number, (mutant, outcome) in enumerate(tried, 1):
        rows[mutant] = {
            "part": mutant.part, "name": mutant.name, "file": mutant.file, "old": mutant.old,
            "new": mutant.new, "caught": outcome.by is not None, "by": outcome.by,
            "problem": outcome.problem, "seconds": outcome.seconds,
        }  # fmt: skip
        word = "caught" if outcome.by else "BROKEN" if outcome.problem else "MISSED"
        found = outcome.by or outcome.problem or ""
        say(
            f"{number:4}/{len(chosen)}  {word}  {outcome.seconds:5.1f} s  "
            f"{mutant.part:9} {mutant.name:{width}}  {found}"
        )
    return [rows[mutant] for mutant in chosen]


def report(rows: list[dict[str, Any]], seconds: float, as_json: bool) -> int:
    """The sums, and what was missed with its text; returns the exit code."""
    caught = sum(row["caught"] for row in rows)
    broken = [row for row in rows if row["problem"]]
    if as_json:
        print(json.dumps({"planted": len(rows), "caught": caught, "seconds": seconds, "mutants": rows}))
        return 2 if broken else 0 if caught == len(rows) else 1
    for part in dict.fromkeys(row["part"] for row in rows):
        of_part = [row["caught"] for row in rows if row["part"] == part]
        print(f"{part:10} {sum(of_part)} of {len(of_part)}")
    print(f"{caught} of {len(rows)} caught in {seconds:g} s.")
    for row in rows:
        if not row["caught"]:
            print(f"\n{'broken' if row['problem'] else 'missed'}: {row['name']} | {row['file']}")
            print("\n".join([f"- {line}" for line in row["old"].split("\n")]))
            print("\n".join([f"+ {line}" for line in row["new"].split("\n")]))
            if row["problem"]:
                print(row["problem"])
    return 2 if broken else 0 if caught == len(rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
