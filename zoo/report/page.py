"""docs/results.md from the committed results: `python -m zoo.report.page`.

The page is a function of the files under results/ and of the hand-written docs/results_notes.md, if there is
one; a test makes it anew and compares. What it concludes is worked out from the numbers (`statements`).

    results/full/        cells of `zoo.ablate --preset full`, any part of them
    results/full_last/   those of BiLSTM with `--set pooling=last`
    results/full_tuned/  those at each recipe's best setting
    results/full_search/ tune*.json, what `zoo.tune --preset full --json` printed
    results/defaults/    cells of `zoo.study defaults`, and so for each study that has a folder
    results/drift/       networks measured by `zoo.study drift`, and so for each of these
    results/quick/       cells of `zoo.ablate --preset quick`; the page needs these, the rest may be absent
    results/glue/        cells of `zoo.study glue`
    results/tune*.json   what `zoo.tune --json` printed
    results/tuned/       cells at the best settings that were found on validation
    results/demo/        cells of the demo
    results/demo_wide/   its cells once more, with --no-portable
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.core.command import CommandParser, command
from zoo.core.errors import UserError
from zoo.core.names import display
from zoo.evidence.cells import Cells
from zoo.evidence.compare import REFERENCE
from zoo.evidence.statements import findings
from zoo.grid.store import Store
from zoo.report import studied, whole
from zoo.report.blocks import Block, Figure, Heading, List, Text, markdown
from zoo.report.diagnostics import diagnostics
from zoo.report.figure import draw_differences, drawable
from zoo.report.glue import beside_the_paper, glue_tables
from zoo.report.grids import GRIDS
from zoo.report.machines import kinds_apart
from zoo.report.resolution import resolution
from zoo.report.sections import grid
from zoo.report.setup import changed_settings, setup
from zoo.report.tables import ArchTable
from zoo.report.tuning import tuning
from zoo.report.verdicts import highest, verdicts

__all__ = ["NOTES", "build_page", "main", "write_page"]

NOTES = "results_notes.md"  # beside the page; written by hand, included as it is
RESULTS, DOCS = Path("results"), Path("docs")

_INTRODUCTION = """\
Made by `python -m zoo.report.page` from the files under `results/`; a test makes it anew and compares.
Every number, verdict and list below comes from those files. A difference that does not favour a recipe
is shown exactly as one that does.

Repeated on one kind of processor, a run is the same bit for bit. Kinds differ in the last digit of a sum,
and training enlarges that, unless runs are portable (`--portable`). So two decimals of one run say little,
several seeds tell more, and only runs of one kind are paired."""

_STATEMENTS = """\
Each statement says that one recipe is above another, on average over the corpora (AVG). It is held
against the 95% interval of the paired difference, at the sizes of text and model listed above, not at
the paper's:

- **supported**: the whole interval is above 0;
- **not supported**: the whole interval is below 0, so it is the other way round;
- **not resolved**: 0 lies in the interval, or it comes from one seed, so that it does not cover another;
- **not measured**: a corpus has no paired runs.

"All models" is the mean over the models. They share the test texts, so what the choice of texts does to
them is taken as fully dependent. Differences are in points with their interval, in parentheses the
paper's difference and whether it lies inside the interval. The intervals hold one by one: about one in
twenty misses. A star marks p \\< 0.05 after Holm's correction over one family: all differences of this
section that come from several seeds, in all models, and all models together. The rules are code
(`zoo/evidence/statements.py`)."""

_RESOLVED = "Which differences could be resolved"
_RESOLUTION = """\
"Not resolved" may mean that there is no difference, or that these runs could not have shown it. The
smallest difference that they tell from 0 four times in five, from the spread that they have themselves;
beside it the paper's, and how many seeds that would take here."""

_PART = "A tenth of the data"
_AS_ABOVE = "Read as above."

_DIAGNOSTICS = """\
Means over the training steps of the last epoch and over runs, with dropout on; losses in nats, batch
means. Kept share: entries of the gradient that the mask lets through, of those that are not zero. Drop
rate: mean over the units of a site. Perturbation: its size relative to the word vectors (root mean
squares). Divergence: as the recipe defines it, so symmetric KL and JS are on other scales. The second
table of a model has the last epoch's clean loss by corpus, and the epoch that validation chose (a mean
over runs)."""

GLUE = "glue"  # folder of results
_GLUE = """\
MiniLM (6 layers, 22.7 million weights, from a Python package) fine-tuned through `uegr.attach` on a part of
two tasks. GLUE's test labels are not public: the dev part is the test part here, as in the paper, and the
epoch is chosen on rows cut off the training part. AdvGLUE's texts were changed to mislead other models."""

_TUNED = """\
The same comparison with each recipe at the best setting found on validation. What differs from the
settings of the tables above:"""


def build_page(results: Path, docs: Path) -> str:
    """The text of the page.

    Raises:
        UserError: no cells in results/quick, or a file that is not what it should be.
    """
    cells = {name: _cells(results / name) for name in GRIDS}
    full, quick, tuned, last = (cells[name] for name in ("full", "quick", "tuned", "full_last"))
    if not quick.groups:
        raise UserError(f"{results / 'quick'}: holds no results; expected those of zoo.ablate --preset quick")
    tables = GRIDS["quick"].tables(quick)
    blocks: list[Block] = [Heading("Results", 1), _prose(_INTRODUCTION), *whole.in_sentences(full)]
    blocks += _whole(full, cells["full_tuned"])
    if last.groups:
        blocks += whole.by_last_states(last, full, _grid("full_last", last))
    if tried := tuning(results / "full_search"):
        blocks += [Heading(f"{whole.TITLE}: settings tried on validation"), *tried]
    blocks += studied.sections(studied.folders(results))
    blocks += [Heading(f"{_PART}: what was run"), *setup(quick)]
    blocks += [Heading(f"{_PART}: accuracy, differences, cost"), *_tables(tables, "quick")]
    blocks += [Heading(f"{_PART}: which of the paper's statements these results support")]
    blocks += [_prose(_AS_ABOVE if full.groups else _STATEMENTS)]
    blocks += [*verdicts(findings(quick)), *highest(tables)]
    blocks += _resolution(_PART, tables, again=bool(full.groups))
    blocks += [Heading(f"{_PART}: inside the runs"), _prose(_AS_ABOVE if full.groups else _DIAGNOSTICS)]
    blocks += diagnostics(quick)
    if tried := tuning(results):
        blocks += [Heading(f"{_PART}: settings tried on validation"), *tried]
    if tuned.groups:
        changes = changed_settings(tuned, quick)
        lines = (f"{method}: {'; '.join(own) or 'none'}." for method, own in changes.items())
        blocks += [Heading(f"{_PART}: at the best settings found"), _prose(_TUNED), List(tuple(lines))]
        tables = GRIDS["tuned"].tables(tuned)
        blocks += [*_tables(tables, "tuned"), *verdicts(findings(tuned))]
        if resolved := resolution(tables, heading=4):
            blocks += [Heading(_RESOLVED, 3), *resolved]
    if (pretrained := _cells(results / GLUE)).groups:
        blocks += _glue(pretrained)
    if (demo := cells["demo"]).groups:
        blocks += [Heading("The demo"), *setup(demo), *_grid("demo", demo)]
        wide = _cells(results / "demo_wide")
        if apart := kinds_apart(demo.done(), wide.done()):
            blocks += [Text(apart)]
    notes = docs / NOTES
    if notes.exists():
        blocks += [Heading("What could be the cause")]
        blocks += [_prose(f"Written by hand ({NOTES}); all of the above is not.")]
        blocks += [_prose(notes.read_text(encoding="utf-8"))]
    return markdown(blocks)


def write_page(results: Path, docs: Path) -> list[Path]:
    """Write results.md and figures/ into `docs`; returns the paths written."""
    text = build_page(results, docs)
    figures = docs / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    paths = [docs / "results.md"]
    paths[0].write_text(text, encoding="utf-8")
    for name, folder in GRIDS.items():
        paths += draw_differences(folder.tables(_cells(results / name)), figures / name, folder.title)
    paths += draw_differences(glue_tables(_cells(results / GLUE)), figures / GLUE, "MiniLM on GLUE")
    return paths + studied.draw_studies(results, figures)


def _glue(cells: Cells) -> list[Block]:
    """The section on the pre-trained model, as far as it is there."""
    tables = glue_tables(cells)
    blocks: list[Block] = [Heading("A pre-trained model on GLUE"), _prose(_GLUE), *setup(cells)]
    return [*blocks, *_tables(tables, GLUE), *beside_the_paper(tables)]


def _whole(full: Cells, best: Cells) -> list[Block]:
    """The sections on the whole corpora, as far as they are there."""
    if not full.groups:
        return []
    blocks = [*whole.first(full), Heading(f"{whole.TITLE}: accuracy, differences, cost")]
    tables = GRIDS["full"].tables(full)
    blocks += [*_tables(tables, "full"), *whole.said(full, _prose(_STATEMENTS))]
    blocks += _resolution(whole.TITLE, tables)
    blocks += whole.inside(full, _prose(_DIAGNOSTICS))
    if best.groups:
        blocks += whole.at_their_best(best, full, _grid("full_tuned", best))
    return blocks


def _resolution(part: str, tables: Sequence[ArchTable], again: bool = False) -> list[Block]:
    found = resolution(tables)
    how = _prose(_AS_ABOVE if again else _RESOLUTION)
    return [Heading(f"{part}: {_RESOLVED[0].lower()}{_RESOLVED[1:]}"), how, *found] if found else []


def _cells(folder: Path) -> Cells:
    return Cells.of(Store(folder).cells())


def _prose(text: str) -> Text:
    return Text(text, markup=True)


def _grid(name: str, cells: Cells) -> list[Block]:
    return _tables(GRIDS[name].tables(cells), name)


def _tables(tables: Sequence[ArchTable], name: str) -> list[Block]:
    alt = f"Paired differences to {display(REFERENCE)}"
    figure = Figure(f"figures/{name}.svg", alt) if drawable(tables) else None
    return grid(tables, level=3, figure=figure)


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
