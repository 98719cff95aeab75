"""docs/results.md and the pages under docs/results/, from the results: `python -m zoo.report.page`.

The pages are a function of the files under results/ and of those under docs/notes/, written by hand: one with
the name of a page is a part of it. A test makes them anew and compares. What they conclude is worked out from
the numbers (`statements`). The first page has the preset `full` and the list of the others.

    results/full/        cells of `zoo.ablate --preset full`, any part of them
    results/full_last/   those of BiLSTM with `--set pooling=last`
    results/full_tuned/  those at each recipe's best setting
    results/full_search/ tune*.json, what `zoo.tune --preset full --json` printed
    results/defaults/    cells of `zoo.study defaults`, and so for each study that has a folder
    results/drift/       networks measured by `zoo.study drift`, and so for each of these
    results/quick/       cells of `zoo.ablate --preset quick`; the pages need these, the rest may be absent
    results/glue/        cells of `zoo.study glue`
    results/tune*.json   what `zoo.tune --json` printed
    results/tuned/       cells at the best settings that were found on validation
    results/demo/        cells of the demo
    results/demo_wide/   its cells once more, with --no-portable
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.core.command import CommandParser, command
from zoo.core.errors import UserError
from zoo.core.names import display
from zoo.evidence.cells import Cells
from zoo.evidence.compare import REFERENCE
from zoo.evidence.planned import table_iv
from zoo.evidence.statements import findings
from zoo.grid.store import Store
from zoo.report import studied, whole
from zoo.report.at_a_glance import draw_at_a_glance
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

__all__ = ["FIRST", "NOTES", "OTHERS", "build_pages", "draw_figures", "main", "write_pages"]

FIRST, OTHERS = "results.md", "results"  # the first page, and the folder of the others beside it
NOTES = "notes"  # a folder beside them
RESULTS, DOCS = Path("results"), Path("docs")

_INTRODUCTION = """\
Made by `python -m zoo.report.page` from the files under `results/`; a test makes it anew and compares.
Every number, verdict and list below comes from those files. A difference that does not favour a recipe
is shown exactly as one that does.

A *cell* is one training: a corpus, a model, a method, a seed. A *recipe* is a method with its settings, and a
row of most tables. w/o Dropout and Dropout are plain training. AT also trains on attacked word vectors; in
R-Drop two passes with dropout must agree; R-AT is both. R-AT-SU is R-AT with the selective update, which
moves a random part of the parameters. UEGR, the paper's method, has JS divergence and adaptive dropout in
place of R-AT-SU's plain forms. The *reference row*, TF-IDF with a linear SVM, is no network. FGSM is an
attack: one step on the word vectors, by the sign of the gradient."""

_REPEATED = """\
Repeated on one kind of processor, a run is the same bit for bit. Kinds differ in the last digit of a sum,
and training enlarges that, unless runs are portable (`--portable`). So two decimals of one run say little,
several seeds tell more, and only runs of one kind are paired."""

_STATEMENTS = """\
Each statement says that one recipe is above another, on average over the corpora (AVG). It is held
against the 95% interval of the paired difference, at the sizes of text and model listed above, not at
the paper's:

- **supported**: the whole interval is above 0. That is the rule for one statement alone; of the paper's
  claims `python -m zoo.report results` uses the word only where it holds after Holm's correction over all
  claims tested;
- **not supported**: the whole interval is below 0, so it is the other way round;
- **not resolved**: 0 lies in the interval, or it comes from one seed, so that it does not cover another;
- **not measured**: a corpus has no paired runs.

The last column is the mean over the models, or over those that have several seeds where there are two of
them. They share the test texts, so what the choice of texts does to them is taken as fully dependent.
Differences are in points with their interval, in parentheses the paper's difference and whether it lies
inside the interval. The intervals hold one by one: about one in twenty misses. A star marks p \\< 0.05
after Holm's correction over one family: all differences of this section that come from several seeds, in
each model and in the last column. The rules are code
(`zoo/evidence/statements.py`)."""

_RUN, _TABLES = "What was run", "Accuracy, differences, cost"
_SUPPORTED = "Which of the paper's statements these results support"
_RESOLVED = "Which differences could be resolved"
_RESOLUTION = """\
"Not resolved" may mean that there is no difference, or that these runs could not have shown it. The
smallest difference that they tell from 0 four times in five, from the spread that they have themselves;
beside it the paper's, and how many seeds that would take here."""

_BACK = f"Made like [the first page of results](../{FIRST}), which lists all of them."

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
two tasks. GLUE's test labels are not public: the test part of SST-2 here is its dev part, as in the paper,
and that of MRPC is the one of the original corpus, whose training part is GLUE's train and dev parts. The
epoch is chosen on rows cut off the training part. AdvGLUE's texts were changed to mislead other models."""

_TUNED = """\
The same comparison with each recipe at the best setting found on validation. What differs from the
settings of the tables above:"""


@dataclass(frozen=True)
class Page:
    """Blocks under a title.

    Args:
        asks: the questions that it answers, for the list of pages.
    """

    title: str
    asks: tuple[str, ...]
    blocks: list[Block]

    @property
    def name(self) -> str:
        """Of its file, without suffix."""
        return re.sub("[^a-z0-9]+", "-", self.title.lower().replace("'", ""))


def build_pages(results: Path, docs: Path) -> dict[str, str]:
    """The text of each page by its place in `docs`.

    Raises:
        UserError: no cells in results/quick, or a file that is not what it should be.
    """
    cells = {name: _cells(results / name) for name in GRIDS}
    if not cells["quick"].groups:
        raise UserError(f"{results / 'quick'}: holds no results; expected those of zoo.ablate --preset quick")
    others = [*_others(results, cells)]
    full = cells["full"]
    blocks: list[Block] = [Heading("Results", 1), _prose(_INTRODUCTION), *whole.in_sentences(full)]
    blocks += [Heading("Where the rest is"), _contents(others), *_whole(full, cells["full_tuned"])]
    texts = {FIRST: markdown([*blocks, *_notes(docs, FIRST)])}
    for page in others:
        name = f"{page.name}.md"
        blocks = [Heading(page.title, 1), _prose(_BACK), *page.blocks, *_notes(docs, name)]
        texts[f"{OTHERS}/{name}"] = markdown(map(_deeper, blocks))
    return texts


def write_pages(results: Path, docs: Path) -> list[Path]:
    """Write the pages and figures/ into `docs`; returns the paths written."""
    texts = build_pages(results, docs)
    (docs / OTHERS).mkdir(parents=True, exist_ok=True)
    paths = [docs / name for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths + draw_figures(results, docs / "figures")


def draw_figures(results: Path, figures: Path) -> list[Path]:
    """Write every figure of the pages into `figures`; returns the paths written."""
    figures.mkdir(parents=True, exist_ok=True)
    paths = draw_at_a_glance(table_iv(_cells(results / "full")), figures / whole.ANSWER)
    for name, folder in GRIDS.items():
        paths += draw_differences(folder.tables(_cells(results / name)), figures / name, folder.title)
    paths += draw_differences(glue_tables(_cells(results / GLUE)), figures / GLUE, "MiniLM on GLUE")
    return paths + studied.draw_studies(results, figures)


def _others(results: Path, cells: Mapping[str, Cells]) -> Iterator[Page]:
    """All pages but the first, as far as there are results for them."""
    for title, answered in studied.by_page(studied.folders(results)).items():
        blocks: list[Block] = []
        for own in answered:
            blocks += [Heading(f"The study {own.name}"), *own.blocks]
        yield Page(title, tuple(own.asks for own in answered), blocks)
    full, last = cells["full"], cells["full_last"]
    if last.groups:
        yield Page(
            "BiLSTM by its last states",
            ("What does it change how the states of BiLSTM become one vector?",),
            whole.by_last_states(last, full, _grid("full_last", last)),
        )
    if tried := tuning(results / "full_search"):
        asks = ("What was tried before tables were run, and what does validation prefer?",)
        yield Page("Settings tried on validation", asks, tried)
    if (pretrained := _cells(results / GLUE)).groups:
        asks = ("What does the method do to a pre-trained model (Tables I and II, in part)?",)
        yield Page("A pre-trained model on GLUE", asks, _glue(pretrained))
    asks = ("What do five epochs on a tenth of the rows say, in the paper's reading of the method?",)
    yield Page("A tenth of the data", asks, _tenth(results, cells["quick"], cells["tuned"]))
    if (demo := cells["demo"]).groups:
        blocks = [*setup(demo), *_grid("demo", demo)]
        if apart := kinds_apart(demo.done(), _cells(results / "demo_wide").done()):
            blocks += [Text(apart)]
        yield Page("The demo", ("What does the command of the README print, in full?",), blocks)


def _contents(pages: Sequence[Page]) -> Text:
    """Each page with the questions that it answers."""
    lines = (f"- [{page.title}]({OTHERS}/{page.name}.md): {' '.join(page.asks)}" for page in pages)
    return _prose("\n".join(lines))


def _notes(docs: Path, name: str) -> list[Block]:
    """What is written by hand for the page of this name."""
    path = docs / NOTES / name
    if not path.exists():
        return []
    where = f"Written by hand (docs/{NOTES}/{name}); all of the above is not."
    return [Heading("What could be the cause"), _prose(where), _prose(path.read_text(encoding="utf-8"))]


def _deeper(block: Block) -> Block:
    """A figure as it is seen from the folder of pages."""
    return replace(block, path=f"../{block.path}") if isinstance(block, Figure) else block


def _tenth(results: Path, quick: Cells, tuned: Cells) -> list[Block]:
    """The grid on a part of the rows, and the same at the best settings."""
    tables = GRIDS["quick"].tables(quick)
    blocks: list[Block] = [Heading(_RUN), *setup(quick), Heading(_TABLES), *_tables(tables, "quick")]
    blocks += [Heading(_SUPPORTED), _prose(_STATEMENTS), *verdicts(findings(quick)), *highest(tables)]
    blocks += _resolution(tables)
    blocks += [Heading("Inside the runs"), _prose(_DIAGNOSTICS), *diagnostics(quick)]
    if tried := tuning(results):
        blocks += [Heading("Settings tried on validation"), *tried]
    if not tuned.groups:
        return blocks
    changes = changed_settings(tuned, quick)
    lines = (f"{method}: {'; '.join(own) or 'none'}." for method, own in changes.items())
    blocks += [Heading("At the best settings found"), _prose(_TUNED), List(tuple(lines))]
    tables = GRIDS["tuned"].tables(tuned)
    blocks += [*_tables(tables, "tuned"), *verdicts(findings(tuned))]
    if resolved := resolution(tables, heading=4):
        blocks += [Heading(_RESOLVED, 3), *resolved]
    return blocks


def _glue(cells: Cells) -> list[Block]:
    """What is there of the pre-trained model."""
    tables = glue_tables(cells)
    return [_prose(_GLUE), *setup(cells), *_tables(tables, GLUE), *beside_the_paper(tables)]


def _whole(full: Cells, best: Cells) -> list[Block]:
    """The sections on the preset `full`, as far as they are there."""
    if not full.groups:
        return []
    tables = GRIDS["full"].tables(full)
    blocks = [*whole.first(full), _prose(_REPEATED), Heading(_TABLES), *_tables(tables, "full")]
    blocks += [Heading(_SUPPORTED), *whole.said(full, _prose(_STATEMENTS)), *_resolution(tables)]
    blocks += whole.inside(full, _prose(_DIAGNOSTICS))
    if best.groups:
        blocks += whole.at_their_best(best, full, _grid("full_tuned", best))
    return blocks


def _resolution(tables: Sequence[ArchTable]) -> list[Block]:
    found = resolution(tables)
    return [Heading(_RESOLVED), _prose(_RESOLUTION), *found] if found else []


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
    parser = CommandParser(
        prog="python -m zoo.report.page",
        description="Make docs/results.md and the pages under docs/results/.",
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the results (default: results)"
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the pages (default: docs)")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    print("Written: " + ", ".join(str(path) for path in write_pages(options.results, options.docs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
