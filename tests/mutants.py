"""Do the tests test anything? Plant errors in copies of the repository and see what objects.

    python tests/mutants.py                 a table as it goes; exit code 1 if an error stays unseen
    python tests/mutants.py --json          one object: planted, caught, seconds, mutants
    python tests/mutants.py --part method   only the errors of tests/planted/method.txt
    python tests/mutants.py fgsm js         only the errors whose name contains one of the words
    python tests/mutants.py --since main    only those whose file, or a file of whose tests, has changed since
    python tests/mutants.py --sample 100 --seed X   so many, drawn by X: what CI does with the commit

Each copy runs the tests named beside its error, up to the first failure. Before that every test named
anywhere runs once on the code as it is, where it must pass. The errors stand in tests/planted/<part>.txt, one
block each, with an empty line between; a block that begins with # is a remark:

    name | file, from the repository's root | tests, if not the file of the same name
    - the text to find, which stands once in the file
    + the text to put in its place

`tests` are what pytest takes: files, or single tests of them (tests/zoo/core/test_records.py::test_x[a b]),
with spaces between. An error costs what its tests cost, so name the few that should see it. Exit code 2: an
error cannot be planted, does not load or never ends, or its tests do not pass without it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from forked import Job, Outcome, outcomes, preload

REPOSITORY = Path(__file__).parents[1]
PLANTED = Path(__file__).parent / "planted"
COPIED = ("uegr", "uegr_ref", "zoo", "bench", "tests", "data", "docs", "pyproject.toml")
LINKED = ("results", "README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "constraints.txt")


class Mutant(NamedTuple):
    """`old`, which stands once in `file`, becomes `new`; paths from the repository's root."""

    part: str
    name: str
    file: str
    tests: tuple[str, ...]
    old: str
    new: str


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


def planted(mutant: Mutant, sound: Path) -> Job:
    """The tests of an error, on a copy that has it."""
    text = (sound / mutant.file).read_text(encoding="utf-8").replace(mutant.old, mutant.new)
    return Job(mutant.name, mutant.tests, mutant.file, text)


def misplaced(mutant: Mutant) -> str | None:
    """Why an error cannot be planted."""
    path = REPOSITORY / mutant.file
    times = path.read_text(encoding="utf-8").count(mutant.old) if path.is_file() and mutant.old else 0
    return None if times == 1 else f"{mutant.old!r} stands {times} times in {mutant.file}, not once"


# --- the command ------------------------------------------------------------------------------------------


def baseline(mutants: list[Mutant]) -> list[Job]:
    """All tests that the errors name, by file, each once."""
    files: dict[str, set[str]] = {}
    for test in dict.fromkeys(test for mutant in mutants for test in mutant.tests):
        files.setdefault(test.split("::")[0], set()).add(test)
    return [
        Job(file, (file,) if file in tests else tuple(sorted(tests))) for file, tests in sorted(files.items())
    ]


def main() -> int:
    """Plant them all."""
    parts = sorted(path.stem for path in PLANTED.glob("*.txt"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*", help="only the errors whose name contains one of these")
    parser.add_argument("--part", nargs="+", choices=parts, default=parts, help="only these files of errors")
    parser.add_argument("--since", metavar="COMMIT", help="only those that changes since can have touched")
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
    if options.since is not None:
        files = changed_since(options.since)
        chosen = [m for m in chosen if files & {m.file, *(test.split("::")[0] for test in m.tests)}]
    if options.sample is not None:
        drawn = set(sorted(chosen, key=lambda m: drawn_by(options.seed, m))[: options.sample])
        chosen = [mutant for mutant in chosen if mutant in drawn]
    start = time.monotonic()
    preload()

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
        jobs = {planted(mutant, sound): mutant for mutant in chosen}
        tried = outcomes(list(jobs), sound, options.workers)
        rows = rows_of(chosen, ((jobs[job], outcome) for job, outcome in tried), say)
    seconds = round(time.monotonic() - start, 1)
    return report(rows, seconds, options.json)


def changed_since(commit: str) -> set[str]:
    """Files of the repository that are not as they were at a commit."""
    line = ["git", "-C", str(REPOSITORY), "diff", "--name-only", commit]
    return set(subprocess.run(line, capture_output=True, text=True, check=True).stdout.split())


def drawn_by(seed: str, mutant: Mutant) -> bytes:
    """The place of an error in the draw of this seed; another error in the files changes no other's place."""
    return hashlib.sha256(f"{seed}/{mutant.part}/{mutant.name}".encode()).digest()


def rows_of(chosen: list[Mutant], tried: Iterator[tuple[Mutant, Outcome]], say: Any) -> list[dict[str, Any]]:
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
