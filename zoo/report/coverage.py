"""How often the intervals of the reports cover, as a table: `python -m zoo.report.coverage`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from zoo.core.command import CommandParser, command, status
from zoo.core.errors import UserError
from zoo.core.names import display
from zoo.evidence.coverage import ALL, AT_LEAST, CASES, CONFIDENCE, CORPORA, NOMINAL, Coverage, simulate
from zoo.report.blocks import Block, Table, Text, terminal

__all__ = ["as_blocks", "as_dict", "main"]

EXIT_BELOW = 1
_CLAIMS = {NOMINAL: "exact", AT_LEAST: "at least"}
_ABOVE = """\
What claims "at least" is above by construction: each part of the variance has its own quantile, no interval \
is narrower than for independent answers, averages doubt the largest spread, what texts do to several models \
counts as the same to all, and accuracies alone know no pairs. "One seed, for another" is what no report \
claims: such a difference earns no star and is not resolved."""


def as_blocks(found: Sequence[Coverage], seed: int, scale: float) -> list[Block]:
    """The table, and what it was drawn from."""
    draws = {coverage.draws for coverage in found}
    within = 196 * (CONFIDENCE * (1 - CONFIDENCE) / min(draws)) ** 0.5
    rows = tuple(
        (
            c.case.form,
            ALL if c.case.where == ALL else display(c.case.where),
            f"{c.case.seeds}" if c.case.folds == 1 else f"{c.case.seeds} x {c.case.folds}",
            _CLAIMS.get(c.case.claim, "none"),
            f"{100 * c.share:.1f}" + ("" if c.holds() else "*"),
            f"{100 * c.half_width:.2f}",
        )
        for c in found
    )
    header = ("Interval over", "Corpus", "Seeds", "Claim", "Covered, %", "±, points")
    part = "" if scale == 1 else f", here 1/{scale:g} of them and wider spreads over seeds"
    sizes = ", ".join(f"{display(name)} {c.texts:,}" for name, c in CORPORA.items())
    return [
        Table(header, rows, f"Coverage of {CONFIDENCE:.0%} intervals, {min(draws):,} draws each"),
        Text(
            f"Test texts: {sizes}{part}. Seeds: by folds, if any. ±: median half-width. Drawn by seed {seed}."
        ),
        Text(
            f"{CONFIDENCE:.0%} is found within {within:.1f} points in 95 of 100 repeats. A star marks what "
            "is not as claimed; a form that covers exactly so much gets one in 1 of 10,000 repeats."
        ),
        Text(_ABOVE),
    ]


def as_dict(coverage: Coverage) -> dict[str, Any]:
    """One row as JSON types; the half-width is a fraction of 1."""
    case = coverage.case
    names = ("form", "where", "seeds", "folds", "claim")
    return {name: getattr(case, name) for name in names} | {
        "draws": coverage.draws,
        "covered": coverage.share,
        "half_width": coverage.half_width,
        "as_claimed": coverage.holds(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, 1 where an interval does not cover what it claims."""
    return command(
        "zoo.report.coverage", lambda: _run(parse(sys.argv[1:] if arguments is None else arguments))
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a simulation."""
    parser = CommandParser(
        prog="python -m zoo.report.coverage",
        description="Simulate how often the intervals of the reports cover the truth.",
    )
    parser.add_argument("--draws", type=int, default=2000, help="draws of each interval (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: 0)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="divide the texts by this: faster (default: 1, minutes)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    if options.draws < 1 or options.seed < 0 or not 1 <= options.scale <= 100:
        raise UserError(
            f"--draws {options.draws} --seed {options.seed} --scale {options.scale:g}: expected at least one "
            "draw, a seed from 0 and a scale of 1 to 100"
        )
    found = []
    for i, case in enumerate(CASES, 1):
        status(f"{i} of {len(CASES)}: {case.form}, {case.where}")
        found.append(simulate(case, options.draws, options.seed, options.scale))
    status("")
    if options.json:
        rows = [as_dict(coverage) for coverage in found]
        print(json.dumps({"seed": options.seed, "scale": options.scale, "rows": rows}, indent=1))
    else:
        print(terminal(as_blocks(found, options.seed, options.scale)), end="")
    return 0 if all(coverage.holds() for coverage in found) else EXIT_BELOW


if __name__ == "__main__":
    sys.exit(main())
