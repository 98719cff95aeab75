"""Do the tests test anything? Plant errors in copies of the repository and see what objects.

    python tests/mutants.py                 a table as it goes; exit code 1 if an error stays unseen
    python tests/mutants.py --json          one object: planted, caught, seconds, mutants
    python tests/mutants.py --part reference    only the errors of tests/planted/reference.txt
    python tests/mutants.py fgsm js         only the errors whose name contains one of the words

Each copy runs the test files named beside its error, up to the first failure. The errors stand in
tests/planted/<part>.txt, one block each:

    name | file, from the repository's root | test files, if not the one of the same name
    - the text to find, which stands once in the file
    + the text to put in its place
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).parents[1]
PLANTED = Path(__file__).parent / "planted"
TIMEOUT = 120.0
# What the tests of a part need, beside pyproject.toml.
NEEDS = {"reference": ("uegr_ref", "tests/uegr_ref")}


class Mutant(NamedTuple):
    """`old`, which stands once in `file`, becomes `new`; paths from the repository's root."""

    part: str
    name: str
    file: str
    tests: str
    old: str
    new: str


def read(part: str) -> list[Mutant]:
    """The errors of tests/planted/<part>.txt."""
    mutants = []
    for block in (PLANTED / f"{part}.txt").read_text(encoding="utf-8").strip().split("\n\n"):
        head, *lines = block.split("\n")
        name, file, *tests = head.split(" | ")
        old, new = ("\n".join(line[2:] for line in lines if line[0] == sign) for sign in "-+")
        mutants.append(Mutant(part, name, file, tests[0] if tests else own_test(file), old, new))
    return mutants


def own_test(file: str) -> str:
    """The test file that is named like a file."""
    path = Path(file)
    if path.parts[0] == "uegr_ref":
        return f"tests/uegr_ref/test_ref_{path.name}"
    return str(Path("tests", *path.parts[:-1], f"test_{path.name}"))


def template(part: str, folder: Path) -> None:
    """A copy of what the part's tests need, without errors."""
    for needed in NEEDS[part]:
        shutil.copytree(REPOSITORY / needed, folder / needed, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", folder)


def plant(mutant: Mutant, folder: Path) -> None:
    """Put the error into a copy."""
    path = folder / mutant.file
    text = path.read_text(encoding="utf-8")
    if (times := text.count(mutant.old)) != 1:
        raise SystemExit(f"{mutant.name}: {mutant.old!r} stands {times} times in {mutant.file}, not once")
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def first_failure(folder: Path, tests: str) -> tuple[str | None, str]:
    """The first test that fails on a copy (None if all pass), and what pytest printed."""
    options = ["-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    options += ["-o", "addopts=--import-mode=importlib"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "HYPOTHESIS_PROFILE": "mutants",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "OMP_NUM_THREADS": "1",  # one core each: the copies are the parallelism
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", *options, *tests.split()]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"(nothing finished within {TIMEOUT:g} s)", ""
    failed = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
    if done.returncode and not failed:  # a copy that does not even load proves nothing about the tests
        raise SystemExit(f"pytest could not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return (failed[1] if failed else None), done.stdout


def objection(mutant: Mutant, sound: Path) -> str | None:
    """The first test that fails on a copy of `sound` with the error in it.

    The copy takes the compiled files along, with their times: only the altered module is compiled anew.
    """
    with tempfile.TemporaryDirectory(prefix="uegr-mutant-") as name:
        folder = Path(name) / "copy"
        shutil.copytree(sound, folder)
        plant(mutant, folder)
        return first_failure(folder, mutant.tests)[0]


def main() -> int:
    """Plant them all."""
    parts = sorted(path.stem for path in PLANTED.glob("*.txt"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*", help="only the errors whose name contains one of these")
    parser.add_argument("--part", nargs="+", choices=parts, default=parts, help="only these files of errors")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    words = [word.lower() for word in options.words]
    chosen = [
        mutant
        for part in options.part
        for mutant in read(part)
        if not words or any(word in mutant.name.lower() for word in words)
    ]
    start = time.perf_counter()

    def say(line: str) -> None:
        if not options.json:
            print(line, flush=True)

    rows: list[dict[str, Any]] = []
    width = max((len(m.name) for m in chosen), default=0)
    with (
        tempfile.TemporaryDirectory(prefix="uegr-sound-") as name,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        say(f"{len(chosen)} errors to plant; first the tests without any ...")
        for part in dict.fromkeys(m.part for m in chosen):
            sound = Path(name) / part
            sound.mkdir()
            template(part, sound)
            tests = sorted({file for m in chosen if m.part == part for file in m.tests.split()})
            failing, output = first_failure(sound, " ".join(tests))
            if failing:
                print(f"{failing} fails on the code as it is:\n{output}", file=sys.stderr)
                return 1
        waiting = {pool.submit(objection, m, Path(name) / m.part): m for m in chosen}
        for done in as_completed(waiting):
            mutant, by = waiting[done], done.result()
            rows.append({"name": mutant.name, "file": mutant.file, "caught": by is not None, "by": by})
            say(f"  {'caught' if by else 'MISSED'}  {mutant.name:{width}}  {by or ''}")
    order = {m.name: i for i, m in enumerate(chosen)}
    rows.sort(key=lambda row: order[row["name"]])
    caught, seconds = sum(row["caught"] for row in rows), round(time.perf_counter() - start, 1)
    if options.json:
        print(json.dumps({"planted": len(rows), "caught": caught, "seconds": seconds, "mutants": rows}))
    else:
        missed = [row["name"] for row in rows if not row["caught"]]
        say(f"\n{caught} of {len(rows)} caught in {seconds:g} s.")
        for missing in missed:
            say(f"missed: {missing}")
    return 0 if caught == len(rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
