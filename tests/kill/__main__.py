"""Is anything lost? Disturb grids at random moments and count: `python -m tests.kill`.

    python -m tests.kill --rounds 100      a table, a line for each kind of disturbance; all of it must be 0
    python -m tests.kill --json            one JSON object

A round runs a grid of nine cells of milliseconds (`tests/kill/runner.py`), disturbs it, runs it to the end
and compares it with one that nobody disturbed. Exit code 1: something is not 0; each case is named.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a fork takes no threads along

import torch

from tests.kill.rounds import COUNTED, DISTURBANCES, Round
from tests.kill.runner import Twist
from tests.zoo.corpora import write_films
from zoo.studies import run
from zoo.studies.study import Study, Where

Done = Sequence[tuple[str, Round]]


def campaign(
    rounds: int,
    seed: int,
    place: Path,
    kinds: Sequence[str] = tuple(DISTURBANCES),
    twist: Twist | None = None,
) -> list[tuple[str, Round]]:
    """Each round's kind and what was found; the kinds in turn. `twist` changes the runners' program."""
    torch.set_num_threads(1)
    place.mkdir(parents=True, exist_ok=True)
    films = write_films(place)
    sound = _round(place / "undisturbed", films, random.Random(seed))
    run.plan(sound.study)  # imports what the forks are to find
    sound.complete()
    began = time.monotonic()
    again = _round(place / "again", films, random.Random(seed))
    again.complete()
    whole = time.monotonic() - began
    if any(sound.found.values()) or len(sound.seen) != 9:
        raise RuntimeError(f"the undisturbed run: {len(sound.seen)} cells, {sound.found}")
    done = []
    for number in range(rounds):
        kind = kinds[number % len(kinds)]
        one = _round(place / f"round-{number}", films, random.Random(f"{seed}/{number}"))
        one.undisturbed, one.whole, one.twist = sound.seen, whole, twist
        DISTURBANCES[kind](one)
        one.complete()
        done.append((kind, one))
        bad = [f"{name}: {case}" for name, cases in one.found.items() for case in cases]
        for line in bad[:5]:
            print(f"round {number}, {kind}: {line}", file=sys.stderr, flush=True)
        if not bad:
            shutil.rmtree(one.place)
        if sys.stderr.isatty():
            print(f"\r{number + 1}/{rounds} ", end="", file=sys.stderr, flush=True)
    return done


def _round(place: Path, films: Path, draw: random.Random) -> Round:
    place.mkdir()
    sizes = {"embedding": 8, "filters": 4, "widths": [1, 2], "max_length": 12, "epochs": 1}
    axes = {
        "corpora": [str(films)], "archs": ["textcnn"], "recipes": ["dropout", "uegr"], "seeds": [0, 1, 2, 3],
    }  # fmt: skip
    places = Where(str(place / "out"), cache=str(films.parent / "cache"), device="cpu", jobs=2)
    return Round(Study.of("demo", axes, changes=sizes, places=places), place, draw, {})


def table(done: Done) -> str:
    """A line for each kind, and the sum. `half`: rounds that were met with some of their cells done."""
    kinds = list(dict.fromkeys(kind for kind, _ in done))
    lines = [f"{'':<23}{'rounds':>7}{'half':>6}" + "".join(f"{name:>9}" for name in COUNTED)]
    for kind in [*kinds, "all"]:
        own = [one for name, one in done if kind in (name, "all")]
        counts = "".join(f"{sum(len(one.found[name]) for one in own):>9}" for name in COUNTED)
        lines.append(f"{kind:<23}{len(own):>7}{sum(one.middle for one in own):>6}{counts}")
    return "\n".join(lines)


def main() -> int:
    """Run the campaign; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="how many (default 10, one of each kind)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    parser.add_argument("--kind", nargs="+", choices=list(DISTURBANCES), help="these kinds alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="uegr-kill-") as place:
        done = campaign(options.rounds, options.seed, Path(place), options.kind or tuple(DISTURBANCES))
    seconds = time.monotonic() - began
    sums = {name: sum(len(one.found[name]) for _, one in done) for name in COUNTED}
    if options.json:
        print(json.dumps({"rounds": len(done), "seed": options.seed, **sums, "seconds": round(seconds, 1)}))
    else:
        print(f"{table(done)}\n{len(done)} rounds, seed {options.seed}, {seconds:.0f} s")
    return 1 if any(sums.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
