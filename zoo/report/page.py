"""docs/results.md from the committed results: `python -m zoo.report.page`.

The page is a function of the files under results/ and of the hand-written docs/results_notes.md, if there is
one; a test makes it anew and compares. What it concludes is worked out from the numbers (`statements`).

    results/quick/       cells of `zoo.ablate --preset quick`; the page needs these, the rest may be absent
    results/tune*.json   what `zoo.tune --json` printed
    results/tuned/       cells at the best settings that were found on validation
    results/demo/        cells of the demo
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.core.command import CommandParser, command
from zoo.core.errors import UserError
from zoo.core.names import display
from zoo.evidence.statements import findings
from zoo.grid.store import Store
from zoo.report.diagnostics import diagnostics_text
from zoo.report.figure import draw_differences, drawable
from zoo.report.render import markdown, markdown_list
from zoo.report.setup import changed_settings, setup_text
from zoo.report.tables import Table, build_tables
from zoo.report.tuning import tuning_text
from zoo.report.verdicts import highest_text, verdicts_text

__all__ = ["NOTES", "build_page", "main", "write_page"]

NOTES = "results_notes.md"  # beside the page; written by hand, included as it is
RESULTS, DOCS = Path("results"), Path("docs")

_INTRODUCTION = """\
# Results

Made by `python -m zoo.report.page` from the files under `results/`; a test makes it anew and compares.
Every number, verdict and list below comes from those files. A difference that does not favour a recipe
is shown exactly as one that does."""

_STATEMENTS = """\
Each statement says that one recipe is above another, on average over the corpora (AVG). It is held
against the 95% interval of the paired difference, at the sizes of text and model listed above, not at
the paper's:

- **supported**: the whole interval is above 0;
- **not supported**: the whole interval is below 0, so it is the other way round;
- **not resolved**: 0 lies in the interval, or it comes from one run, so that it does not cover another seed;
- **not measured**: a corpus has no paired runs.

"All models" is the mean over the models. They share the test texts, so what the choice of texts does to
them is taken as fully dependent. Differences are in points with their interval, in parentheses the
paper's difference and whether it lies inside the interval. The intervals hold one by one: about one in
twenty misses. A star marks p \\< 0.05 after Holm's correction over all differences of this section. The
rules are code (`zoo/evidence/statements.py`)."""

_DIAGNOSTICS = """\
Means over the training steps of the last epoch and over runs, with dropout on; losses in nats, batch
means. Kept share: entries of the gradient that the mask lets through, of those that are not zero. Drop
rate: mean over the units of a site. Perturbation: its size relative to the word vectors (root mean
squares). Divergence: as the recipe defines it, so symmetric KL and JS are on other scales. The second
table of a model has the last epoch's clean loss by corpus, and the epoch that validation chose (a mean
over runs)."""

_TUNED = """\
The same comparison with each recipe at the best setting found on validation. What differs from the
settings of the tables above:"""


def build_page(results: Path, docs: Path) -> str:
    """The text of the page.

    Raises:
        UserError: no cells in results/quick, or a file that is not what it should be.
    """
    quick, tuned, demo = (_cells(results / name) for name in ("quick", "tuned", "demo"))
    if not quick:
        raise UserError(f"{results / 'quick'}: holds no results; expected those of zoo.ablate --preset quick")
    tables = build_tables(quick, paper=True)
    parts = [_INTRODUCTION, "## What was run", setup_text(quick)]
    parts += ["## Accuracy, differences, cost", _tables(tables, "quick")]
    parts += ["## Which of the paper's statements these results support", _STATEMENTS]
    parts += [verdicts_text(findings(quick)), highest_text(tables)]
    parts += ["## Inside the runs", _DIAGNOSTICS, diagnostics_text(quick)]
    if tuning := tuning_text(results):
        parts += ["## Settings tried on validation", tuning]
    if tuned:
        parts += ["## At the best settings found", _TUNED, _changes(tuned, quick)]
        parts += [_tables(build_tables(tuned, paper=True), "tuned"), verdicts_text(findings(tuned))]
    if demo:
        parts += ["## The demo", setup_text(demo), _tables(build_tables(demo), "demo")]
    notes = docs / NOTES
    if notes.exists():
        parts += ["## What could be the cause", f"Written by hand ({NOTES}); all of the above is not."]
        parts.append(notes.read_text(encoding="utf-8").strip())
    return "\n\n".join(part for part in parts if part) + "\n"


def write_page(results: Path, docs: Path) -> list[Path]:
    """Write results.md and figures/ into `docs`; returns the paths written."""
    text = build_page(results, docs)
    figures = docs / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    paths = [docs / "results.md"]
    paths[0].write_text(text, encoding="utf-8")
    for name in ("quick", "tuned", "demo"):
        tables = build_tables(_cells(results / name), paper=name != "demo")
        paths += draw_differences(tables, figures / name)
    return paths


def _cells(folder: Path) -> list[dict[str, Any]]:
    return list(Store(folder).cells()) if folder.exists() else []


def _tables(tables: Sequence[Table], figure: str) -> str:
    """The tables, the figure, and once for all of them the footnotes that they share."""
    shared = [note for note in tables[0].footnotes if all(note in table.footnotes for table in tables)]
    own = [replace(t, footnotes=tuple(n for n in t.footnotes if n not in shared)) for t in tables]
    parts = [markdown(own, level=3).strip()]
    if drawable(tables):
        parts.append(f"![Paired differences to {display(tables[0].reference)}](figures/{figure}.svg)")
    return "\n\n".join([*parts, "To be read with the tables:", markdown_list(shared)])


def _changes(tuned: Sequence[Mapping[str, Any]], quick: Sequence[Mapping[str, Any]]) -> str:
    changes = changed_settings(tuned, quick)
    lines = {
        recipe: [f"{change}, {' and '.join(map(display, archs))}" for change, archs in own.items()]
        for recipe, own in changes.items()
    }
    return markdown_list(f"{display(recipe)}: {'; '.join(own) or 'none'}." for recipe, own in lines.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command("zoo.report.page", lambda: _run(_parse(sys.argv[1:] if arguments is None else arguments)))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = CommandParser(prog="python -m zoo.report.page", description="Make docs/results.md.")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the results (default: results)"
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page (default: docs)")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    print("Written: " + ", ".join(str(path) for path in write_page(options.results, options.docs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
